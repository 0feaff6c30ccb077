//! A workload in another language: a process of its own, with its own library of ztl, which ends with this one.

use core::fmt;
use std::error::Error;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use ztl_core::SpiffeId;
use ztl_mtls::write_private;

use crate::tls::Pem;

/// What a handler of it writes to its log, before it answers: this, and who was let in.
const SERVED: &str = "served ";
/// The first time it is built.
const PATIENCE: Duration = Duration::from_secs(600);

/// The language of a workload that is not in Rust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Go,
    Python,
}

impl Language {
    const fn example(self) -> &'static str {
        match self {
            Self::Go => "go-service",
            Self::Python => "python-service",
        }
    }
}

/// A running process.
pub(crate) struct Foreign {
    pub(crate) language: Language,
    folder: Folder,
    child: Child,
}

impl Foreign {
    /// Has its `run` build it and become it, and waits until it listens.
    pub(crate) async fn start(
        language: Language,
        name: &str,
        files: &Files<'_>,
        address: SocketAddr,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = Folder::new(name)?;
        let at = |ending: &str| folder.0.join(format!("{name}.{ending}"));
        write_private(&at("key"), files.pem.key.as_bytes())?;
        fs::write(at("pem"), &files.pem.cert)?;
        fs::write(folder.0.join("bundle.pem"), files.bundle)?;
        let policy = folder.0.join("policy.toml");
        fs::write(&policy, files.policy)?;
        let log = File::create(folder.log())?;
        let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let child = Command::new(run.join(language.example()).join("run"))
            .arg("--serve")
            .args([&folder.0, &policy])
            .args([address.ip().to_string(), address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut foreign = Self {
            language,
            folder,
            child,
        };
        foreign.listens(name, address).await?;
        Ok(foreign)
    }

    async fn listens(&mut self, name: &str, address: SocketAddr) -> Result<(), Box<dyn Error>> {
        let last = Instant::now() + PATIENCE;
        while TcpStream::connect(address).await.is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > last {
                return Err(Box::new(Missing {
                    name: name.to_owned(),
                    example: self.language.example(),
                    said: fs::read_to_string(self.folder.log())?,
                }));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Its audit. A record is there before the request that it is of is answered.
    pub(crate) fn audit(&self, name: &str) -> PathBuf {
        self.folder.0.join(format!("{name}.jsonl"))
    }

    /// Who called, each time that a handler ran.
    pub(crate) fn callers(&self) -> Vec<Option<SpiffeId>> {
        let log = fs::read_to_string(self.folder.log()).unwrap_or_default();
        log.lines()
            .filter_map(|line| line.strip_prefix(SERVED))
            .map(|id| SpiffeId::parse(id).ok())
            .collect()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it is given.
pub(crate) struct Files<'a> {
    pub(crate) pem: &'a Pem,
    pub(crate) bundle: &'a str,
    pub(crate) policy: &'a str,
}

/// A folder beside the program, which goes with the process.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let beside = program.parent().ok_or("the program is in no folder")?;
        let path = beside.join(format!("five-workloads-{}-{name}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A service that did not come to listen, mostly since something is not here.
#[derive(Debug)]
pub(crate) struct Missing {
    name: String,
    example: &'static str,
    said: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            example,
            said,
        } = self;
        write!(
            f,
            "`{name}` does not run as `{example}`: {}\n    = help: `examples/{example}/run` tries it alone, and \
             `examples/{example}/README.md` says what it needs",
            said.trim()
        )
    }
}

impl Error for Missing {}
