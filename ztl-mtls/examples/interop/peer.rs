//! The others: how each is started, as client and as server, and how each tells which alert it was sent.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::pki::{Credential, Pki};

/// A TLS stack that nobody here wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    OpenSsl,
    Curl,
    Go,
    Python,
}

/// A peer whose program is here.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) peer: Peer,
    /// The program and what comes before all other arguments.
    command: Vec<String>,
    tls12: bool,
}

impl Peer {
    pub(crate) const ALL: [Self; 4] = [Self::OpenSsl, Self::Curl, Self::Go, Self::Python];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OpenSsl => "openssl",
            Self::Curl => "curl",
            Self::Go => "go",
            Self::Python => "python",
        }
    }

    /// The program, built where it has to be; else why there is none.
    pub(crate) fn program(self, folder: &Path) -> Result<Program, String> {
        let file = |name: &str| folder.join(name).display().to_string();
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).map_err(|error| error.to_string())
        };
        let command = match self {
            Self::OpenSsl => vec!["openssl".to_owned()],
            Self::Curl => vec!["curl".to_owned()],
            Self::Python => {
                write("peer.py", include_str!("peer.py"))?;
                vec!["python3".to_owned(), file("peer.py")]
            }
            Self::Go => {
                write("peer.go", include_str!("peer.go"))?;
                let (program, source) = (file("peer-go"), file("peer.go"));
                works(Command::new("go").args(["build", "-o", &program, &source]))?;
                vec![program]
            }
        };
        match self {
            Self::OpenSsl => works(Command::new("openssl").arg("version"))?,
            Self::Curl => works(Command::new("curl").arg("--version"))?,
            Self::Python => works(Command::new("python3").args(["-c", "import ssl"]))?,
            Self::Go => {}
        }
        Ok(Program {
            peer: self,
            command,
            tls12: false,
        })
    }
}

fn works(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("{}: {error}", command.get_program().display())),
    }
}

impl Program {
    pub(crate) fn name(&self) -> String {
        let version = if self.tls12 { " (TLS 1.2)" } else { "" };
        format!("{}{version}", self.peer.name())
    }

    pub(crate) const fn is_tls12(&self) -> bool {
        self.tls12
    }

    pub(crate) fn can_serve(&self) -> bool {
        self.peer != Peer::Curl
    }

    /// The same, with nothing newer than TLS 1.2, where it can be told so.
    pub(crate) fn speaking_tls12(&self) -> Option<Self> {
        matches!(self.peer, Peer::OpenSsl | Peer::Curl).then(|| Self {
            tls12: true,
            ..self.clone()
        })
    }

    /// Calls us at this port.
    pub(crate) fn client(&self, port: u16, pki: &Pki, credential: Credential) -> Command {
        let mut command = self.start();
        let (ca, name) = (pki.path("ca.pem"), credential.name());
        let (certificate, key) = (
            pki.path(&format!("{name}.pem")),
            pki.path(&format!("{name}.key")),
        );
        let shows = credential != Credential::None;
        match self.peer {
            Peer::OpenSsl => {
                command.args([
                    "s_client",
                    "-quiet",
                    "-connect",
                    &format!("127.0.0.1:{port}"),
                ]);
                command.args(["-servername", "localhost", "-verify_hostname", "localhost"]);
                command.args(["-CAfile", &ca, "-verify_return_error"]);
                if shows {
                    command.args(["-cert", &certificate, "-key", &key]);
                }
                if self.tls12 {
                    command.arg("-tls1_2");
                }
            }
            Peer::Curl => {
                command.args(["-sS", "--max-time", "20", "--noproxy", "*", "--cacert", &ca]);
                command.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
                if shows {
                    command.args(["--cert", &certificate, "--key", &key]);
                }
                if self.tls12 {
                    command.args(["--tls-max", "1.2"]);
                }
                command.arg(format!("https://localhost:{port}/"));
            }
            Peer::Go | Peer::Python => {
                command.args(["client", &port.to_string(), &ca]);
                if shows {
                    command.args([&certificate, &key]);
                }
            }
        }
        command
    }

    /// Serves at a port of its own choosing, asks for a certificate, and says the port in a line of its own.
    pub(crate) fn server(&self, pki: &Pki, credential: Credential) -> Command {
        let mut command = self.start();
        let (ca, name) = (pki.path("ca.pem"), credential.name());
        let (certificate, key) = (
            pki.path(&format!("{name}.pem")),
            pki.path(&format!("{name}.key")),
        );
        match self.peer {
            Peer::OpenSsl => {
                command.args(["s_server", "-accept", "127.0.0.1:0", "-www"]);
                command.args(["-cert", &certificate, "-key", &key]);
                command.args(["-CAfile", &ca, "-Verify", "1", "-verify_return_error"]);
                if self.tls12 {
                    command.arg("-tls1_2");
                }
            }
            _ => {
                command.args(["server", "0", &ca, &certificate, &key]);
            }
        }
        command
    }

    fn start(&self) -> Command {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command.args(words);
        command
    }
}

/// The alert that a peer says it was sent, by its name in RFC 8446 §6.2. Each says it in words of its own.
pub(crate) fn alert_in(output: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 10] = [
        ("unknown ca", "unknown_ca"),
        ("unknown certificate authority", "unknown_ca"),
        ("certificate expired", "certificate_expired"),
        ("expired certificate", "certificate_expired"),
        ("certificate revoked", "certificate_revoked"),
        ("revoked certificate", "certificate_revoked"),
        ("certificate required", "certificate_required"),
        ("certificate unknown", "certificate_unknown"),
        ("unknown certificate", "certificate_unknown"),
        ("protocol version", "protocol_version"),
    ];
    let said = output.to_lowercase().replace('_', " ");
    // curl's words for this alert where it ends a handshake; a certificate of ours that it refused it would tell more about.
    if said.contains("curl: (60) ssl certificate verification failed") {
        return Some("certificate_expired");
    }
    let lines = said
        .lines()
        .filter(|line| line.contains("alert") || line.contains("remote error"));
    lines
        .flat_map(|line| WORDS.iter().filter(move |(words, _)| line.contains(words)))
        .map(|(_, alert)| *alert)
        .next()
}
