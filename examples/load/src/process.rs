//! The service's process: started, looked at, killed.

use std::alloc::System;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::Failed;
use crate::files::ADDRESS;

/// A service that runs, and ends with this.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
}

impl Service {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(folder: &Path) -> Result<Self, Failed> {
        let errors = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("errors"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()?;
        for _ in 0..500 {
            if TcpStream::connect(ADDRESS).await.is_ok() {
                return Ok(Self { child });
            }
            if let Some(status) = child.try_wait()? {
                return Err(format!("the service does not start: {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err("the service does not listen after 10 seconds".into())
    }

    /// Kills it as `kill -9` does: it learns nothing of it, and writes nothing any more.
    pub(crate) async fn kill(mut self) -> Result<(), Failed> {
        if let Some(status) = self.child.try_wait()? {
            return Err(format!("the service ended by itself: {status}").into());
        }
        Ok(self.child.kill().await?)
    }

    /// What it holds.
    pub(crate) fn footprint(&self) -> Result<Footprint, Failed> {
        let id = self.child.id().ok_or("the service has ended")?;
        Footprint::of(&id.to_string())
    }
}

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes and open descriptors of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Footprint {
    pub(crate) bytes: usize,
    pub(crate) descriptors: usize,
}

impl Footprint {
    /// Of this process: bytes that are allocated. Resident ones of many threads that come and go with guards are the allocator's.
    pub(crate) fn ours() -> Result<Self, Failed> {
        let stats = ALLOCATOR.stats();
        Ok(Self {
            bytes: stats
                .bytes_allocated
                .saturating_sub(stats.bytes_deallocated),
            descriptors: std::fs::read_dir("/proc/self/fd")?.count(),
        })
    }

    /// Of another process, by its number.
    fn of(process: &str) -> Result<Self, Failed> {
        let folder = Path::new("/proc").join(process);
        let status = std::fs::read_to_string(folder.join("status"))?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next());
        let kib: usize = resident.ok_or("no resident size")?.parse()?;
        Ok(Self {
            bytes: kib * 1024,
            descriptors: std::fs::read_dir(folder.join("fd"))?.count(),
        })
    }
}
