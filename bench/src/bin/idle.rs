//! `idle COUNT`: what an idle connection over mutual TLS holds. One server after the other, bare and guarded, in a process of
//! its own; this process opens COUNT connections, asks once on each, and reads how far the server's resident memory grew.
//! `idle serve ENGINE` is that server: it reads its authority from standard input, and ends with it. One JSON line a figure.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use ztl_bench::authority::Secret;
use ztl_bench::service::Hello;
use ztl_bench::tls::Caller;
use ztl_bench::wire::{Connection, PROTOCOLS, Server, runtime};

/// Connections that are opened before anything is measured, so that pools and tables are there.
const WARM: usize = 200;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", engine] => serve(engine),
        [count] => measure(count.parse().expect("a number")),
        _ => panic!("idle COUNT"),
    }
}

fn serve(engine: &str) {
    let mut lines = BufReader::new(std::io::stdin());
    let mut secret = String::new();
    lines.read_line(&mut secret).expect("an authority");
    let secret: Value = serde_json::from_str(&secret).expect("JSON");
    let text = |key: &str| secret[key].as_str().expect("PEM").to_owned();
    let hello = Arc::new(Hello::from_secret(&Secret {
        bundle: text("bundle"),
        key: text("key"),
    }));
    let server = match engine {
        "bare" => Server::bare(&hello),
        "ztl" => Server::guarded(&hello),
        other => panic!("`{other}` is neither `bare` nor `ztl`"),
    };
    println!("{}", server.address);
    // Until the other process closes it.
    let _ = lines.read_to_end(&mut Vec::new());
}

/// A server in a process of its own.
struct Process {
    child: Child,
    address: core::net::SocketAddr,
    // Closed, it ends the server.
    stdin: Option<ChildStdin>,
}

impl Process {
    fn start(hello: &Hello, engine: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["serve", engine])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let secret = hello.authority().secret();
        let mut stdin = child.stdin.take().expect("a pipe");
        let line = json!({ "bundle": secret.bundle, "key": secret.key });
        writeln!(stdin, "{line}").expect("written");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut address)
            .expect("an address");
        Self {
            address: address.trim().parse().expect("an address"),
            stdin: Some(stdin),
            child,
        }
    }

    /// Bytes of memory that are resident and its own.
    fn resident(&self) -> f64 {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(path).expect("the kernel's figures");
        let kilobytes = |key: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(key));
            let field = line.and_then(|line| line.split_whitespace().nth(1));
            field.and_then(|field| field.parse().ok()).expect("kB")
        };
        (kilobytes("Private_Dirty:") + kilobytes("Private_Clean:")) * 1024.0
    }

    /// Files and sockets that are open.
    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(path).expect("descriptors").count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn measure(count: usize) {
    let hello = Hello::new();
    for protocol in PROTOCOLS {
        let mut each = Vec::new();
        for engine in ["bare", "ztl"] {
            let process = Process::start(&hello, engine);
            each.push(held(&hello, &process, protocol, engine, count));
        }
        print("idle-bytes-over-bare", "ztl", protocol, each[1] - each[0]);
    }
}

fn held(
    hello: &Hello,
    process: &Process,
    protocol: &'static str,
    engine: &str,
    count: usize,
) -> f64 {
    let caller = Caller::new(hello, protocol);
    runtime().block_on(async {
        let mut open = Vec::new();
        for _ in 0..WARM {
            open.push(asked(hello, &caller, process).await);
        }
        let (before, sockets) = (process.resident(), process.descriptors());
        for _ in 0..count {
            open.push(asked(hello, &caller, process).await);
        }
        let held = process.descriptors() - sockets;
        assert!(held + 8 >= count, "{held} of {count} connections are held");
        let each = (process.resident() - before) / count as f64;
        print("idle-bytes", engine, protocol, each);
        print("idle-held", engine, protocol, held as f64);
        each
    })
}

async fn asked(hello: &Hello, caller: &Caller, process: &Process) -> Connection {
    let mut connection = Connection::open(caller, process.address).await;
    connection.ask(hello.path()).await;
    connection
}

fn print(measure: &str, engine: &str, protocol: &str, value: f64) {
    println!(
        "{}",
        json!({ "measure": measure, "engine": engine, "protocol": protocol, "value": value })
    );
}
