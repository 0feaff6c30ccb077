//! One meeting of us and a peer, either calling the other. Every process that is started is ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Result;
use crate::ours::Ours;
use crate::peer::{Program, alert_in};
use crate::pki::{Credential, Pki};
use crate::row::{Row, Way};

/// Longest life of a process.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that does not outlive us, and all that it says.
struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (to, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            listen(out, to.clone());
        }
        if let Some(err) = child.stderr.take() {
            listen(err, to);
        }
        Ok(Self { child, lines })
    }

    /// The port that a server says it listens at: the digits behind the last colon of the first line with `ACCEPT`.
    fn port(&self) -> Result<u16> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE)?;
            if let Some((_, port)) = line.rsplit_once(':').filter(|_| line.contains("ACCEPT")) {
                return Ok(port.trim().parse()?);
            }
        }
    }

    /// All that it said, once it has ended by itself.
    fn output(self) -> String {
        let mut said = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            said.push_str(&line);
            said.push('\n');
        }
        said
    }

    /// What it said about a meeting that is over: as far as it says so soon.
    fn said_soon(self, wanted: bool) -> String {
        let mut said = String::new();
        while let Ok(line) = self
            .lines
            .recv_timeout(if wanted { PATIENCE } else { BRIEF })
        {
            said.push_str(&line);
            said.push('\n');
            if alert_in(&said).is_some() {
                break;
            }
        }
        said
    }
}

/// Hands on each line until nothing more comes, or nobody listens any more.
fn listen(from: impl Read + Send + 'static, to: mpsc::Sender<String>) {
    thread::spawn(move || {
        let lines = BufReader::new(from)
            .split(b'\n')
            .map_while(|line| line.ok());
        lines
            .map(|line| String::from_utf8_lossy(&line).into_owned())
            .try_for_each(|line| to.send(line))
    });
}

/// How long a server is listened to that has nothing that must be heard.
const BRIEF: Duration = Duration::from_millis(200);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The peer calls us.
pub(crate) fn they_call(
    ours: &Ours,
    pki: &Pki,
    program: &Program,
    theirs: Credential,
) -> Result<Row> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let mut process = Process::start(program.client(port, pki, theirs))?;
    if let Some(mut stdin) = process.child.stdin.take() {
        // One that reads nothing may have gone already.
        let _ = stdin.write_all(b"GET / HTTP/1.0\r\n\r\n");
    }
    let ended = ours.serve_one(&listener)?;
    let said = process.output();
    Ok(Row {
        way: Way::TheyCall,
        peer: program.name(),
        too_old: program.is_tls12() && !ours.speaks_tls12(),
        ours: ours.credential,
        theirs,
        answered: said.lines().any(|line| line.trim() == "ok"),
        told: alert_in(&said).map(str::to_owned),
        ended,
    })
}

/// We call the peer.
pub(crate) fn they_serve(
    ours: &Ours,
    pki: &Pki,
    program: &Program,
    theirs: Credential,
) -> Result<Row> {
    let process = Process::start(program.server(pki, theirs))?;
    let port = process.port()?;
    let ended = ours.call(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let said = process.said_soon(theirs.refusal().is_some());
    Ok(Row {
        way: Way::TheyServe,
        peer: program.name(),
        too_old: program.is_tls12() && !ours.speaks_tls12(),
        ours: ours.credential,
        theirs,
        answered: ended.answer.starts_with("HTTP/1."),
        told: alert_in(&said).map(str::to_owned),
        ended,
    })
}
