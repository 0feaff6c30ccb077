//! The quickstart as its README tells it: started, called by a client of our own, and by curl where there is one.

#![cfg(test)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use ztl_tower::core::TrustDomain;
use ztl_tower::mtls::{
    BundleSet, Bundles, IdentitySource, Prover, ServerVerifier, TrustBundle, X509Svid,
    client_config, provider,
};

const ADDRESS: &str = "127.0.0.1:28443";
const DEADLINE: Duration = Duration::from_secs(10);

/// The running example; it ends with the test.
struct Service {
    child: Child,
    folder: PathBuf,
    curls: Vec<String>,
}

impl Service {
    fn start() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("quickstart");
        fs::create_dir_all(&folder).expect("folder");
        let mut child = Command::new(env!("CARGO_BIN_EXE_quickstart-axum"))
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let mut curls = Vec::new();
        for line in stdout.lines() {
            let line = line.expect("UTF-8");
            if line.starts_with("curl ") {
                curls.push(line);
            } else if line.starts_with("Why ") {
                break;
            }
        }
        // It prints before it listens: asked again until it does, at most for ten seconds.
        let listens = (0..1000).any(|_| {
            assert_eq!(child.try_wait().expect("status"), None, "it ended");
            let connected = TcpStream::connect(ADDRESS).is_ok();
            if !connected {
                std::thread::sleep(Duration::from_millis(10));
            }
            connected
        });
        assert!(listens, "it does not listen");
        Self {
            child,
            folder,
            curls,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join("target/quickstart").join(name)
    }

    /// Asks as the workload whose certificate lies in the folder, and proves the service by its SPIFFE ID.
    fn get(&self, path: &str) -> String {
        let provider = provider();
        let domain = TrustDomain::parse("quickstart.example").expect("domain");
        let bundle = TrustBundle::from_pem_file(domain, self.file("bundle.pem")).expect("bundle");
        let set = BundleSet::new([bundle]).expect("set");
        let prover = Prover::new(Bundles::new(set), &provider).allow_dev_authority();
        let meant = |peer: ztl_tower::core::Peer| {
            assert_eq!(peer.id().as_str(), "spiffe://quickstart.example/service");
            Ok(())
        };
        let verifier = ServerVerifier::new(prover, Arc::new(meant));
        let svid =
            X509Svid::from_pem_files(self.file("curl.pem"), self.file("curl.key"), &provider);
        let identity = Arc::new(IdentitySource::new(svid.expect("svid")));
        let config = client_config(provider, identity, verifier, &[b"http/1.1"]).expect("config");
        let name = "service".try_into().expect("name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("connection");
        let stream = TcpStream::connect(ADDRESS).expect("connects");
        stream.set_read_timeout(Some(DEADLINE)).expect("deadline");
        let mut stream = StreamOwned::new(connection, stream);
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
        )
        .expect("request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("response");
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn curl_says_hello_and_learns_no_secret() {
    let service = Service::start();
    let hello = service.get("/hello");
    assert!(hello.starts_with("HTTP/1.1 200 OK"), "{hello}");
    assert!(
        hello.ends_with("hello, spiffe://quickstart.example/curl\n"),
        "{hello}"
    );
    let secret = service.get("/secret");
    assert!(secret.starts_with("HTTP/1.1 403 Forbidden"), "{secret}");
    assert!(!secret.contains("nobody hears this"), "{secret}");

    assert_eq!(service.curls.len(), 2);
    let curl = Command::new("curl").arg("--version").output();
    if curl.is_ok_and(|curl| curl.status.success()) {
        for line in &service.curls {
            let (command, status) = line.split_once('#').expect("a comment");
            let output = Command::new("sh")
                .args([
                    "-c",
                    &format!("{command} --silent --show-error --max-time 10"),
                ])
                .current_dir(&service.folder)
                .output()
                .expect("sh");
            let answer = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                answer.split_whitespace().nth(1),
                Some(status.trim()),
                "{line}: {answer} {errors}"
            );
        }
    } else {
        eprintln!("skipped: there is no curl here");
    }

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = fs::metadata(service.file("curl.key")).expect("key");
        assert_eq!(key.permissions().mode() & 0o777, 0o600, "T28");
    }
    let audit = fs::read_to_string(service.file("audit.jsonl")).expect("audit");
    let last = |wanted: &str| audit.lines().any(|line| line.contains(wanted));
    assert!(last("\"rule\":\"curl-says-hello\""), "{audit}");
    assert!(last("\"reason\":\"no_action_permitted\""), "{audit}");
}

#[test]
fn the_quickstart_is_at_most_forty_lines() {
    assert!(include_str!("../src/main.rs").lines().count() <= 40);
}
