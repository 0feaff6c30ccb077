//! A service under mixed load: its policy, SVIDs and keys change every 100 ms, and it is killed and started again.
//!
//! `load [SECONDS [LIFE]]`: for how long, and how long one life of the service is. 15 and 5 where not said. Ends with status 1 where a
//! request was lost between honest ends that no kill cut off, something was permitted by a policy older than one that was in force
//! when it was sent, an answer has no record in the audit log, a line of it cannot be read, or memory or descriptors grew.

mod files;
mod process;
mod serve;
mod traffic;
mod trail;

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use files::Files;
use process::{Footprint, Service};
use traffic::{KINDS, Kind, Traffic};
use trail::Trail;

/// Why there is no load.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// How often everything is written anew.
const ROUND: Duration = Duration::from_millis(100);
/// What a life of the service has settled after: pools, arenas and tables are there.
const SETTLED: Duration = Duration::from_secs(2);
/// Most that a process may grow from then until it is killed.
const GROWTH: Footprint = Footprint {
    bytes: 8 * 1024 * 1024,
    descriptors: 32,
};

#[tokio::main]
async fn main() -> Result<ExitCode, Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seconds = |text: &str| text.parse().map(Duration::from_secs);
    let (span, life) = match words.as_slice() {
        ["serve", folder] => {
            serve::serve(Path::new(folder)).await?;
            return Ok(ExitCode::SUCCESS);
        }
        [] => (Duration::from_secs(15), Duration::from_secs(5)),
        [span] => (seconds(span)?, Duration::from_secs(5)),
        [span, life] => (seconds(span)?, seconds(life)?),
        _ => return Err("load [SECONDS [LIFE]]".into()),
    };
    if life <= SETTLED || span < life {
        return Err("a life is longer than 2 seconds and no longer than the whole".into());
    }
    let folder = Folder::new()?;
    let (report, wrong) = load(&folder.0, span, life).await?;
    println!("{report}");
    for what in wrong.iter().take(10) {
        eprintln!("{what}");
    }
    if !wrong.is_empty() {
        eprint!("{}", folder.tail_of_errors());
    }
    Ok(ExitCode::from(u8::from(!wrong.is_empty())))
}

/// Runs everything; a line of JSON, and what went wrong.
async fn load(
    folder: &Path,
    span: Duration,
    life: Duration,
) -> Result<(Value, Vec<String>), Failed> {
    let files = Files::new(folder)?;
    let traffic = Arc::new(Traffic::new(folder.to_owned(), files));
    let mut trail = Trail::new(folder.join("audit.jsonl"));
    let mut service = Service::start(folder).await?;
    let rounds = tokio::spawn(rounds(Arc::clone(&traffic)));
    let mut callers = traffic.start().await?;
    let mut ours = Growth::default();
    let mut theirs = Vec::new();
    let lives = (span.as_secs() / life.as_secs()).max(1);
    for number in 1..=lives {
        theirs.push(live(&service, &mut ours, life).await?);
        if number == lives {
            traffic.end();
            while let Some(ended) = callers.join_next().await {
                ended?;
            }
        }
        traffic.outages.fetch_add(1, Ordering::SeqCst);
        service.kill().await?;
        let read = trail.check(traffic.take_answered());
        read.unwrap_or_else(|error| traffic.went_wrong(error.to_string()));
        if number == lives {
            break;
        }
        // Every other life goes on in the file of the one before.
        if number.is_multiple_of(2) {
            trail.rotate()?;
        }
        service = Service::start(folder).await?;
        traffic.outages.fetch_add(1, Ordering::SeqCst);
    }
    rounds.abort();
    // What it is writing is written before the folder goes.
    let _ = rounds.await;
    trail
        .finish()
        .unwrap_or_else(|error| traffic.went_wrong(error.to_string()));
    Ok(report(&traffic, &trail, &theirs, &ours, span))
}

/// Writes all files anew, again and again.
async fn rounds(traffic: Arc<Traffic>) {
    let mut ticks = tokio::time::interval(ROUND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut files = traffic.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = files.next() {
            traffic.went_wrong(format!("the files of a round were not written: {error}"));
        }
    }
}

/// One life of the service, but for its end.
async fn live(service: &Service, ours: &mut Growth, life: Duration) -> Result<Growth, Failed> {
    let mut growth = Growth::default();
    let end = Instant::now() + life;
    tokio::time::sleep(SETTLED).await;
    while Instant::now() < end {
        growth.add(service.footprint()?);
        ours.add(Footprint::ours()?);
        tokio::time::sleep(ROUND * 2).await;
    }
    Ok(growth)
}

/// How a process grew: from the least of the first samples to the least of the last, since what is in flight comes and goes.
#[derive(Debug, Default)]
struct Growth(Vec<Footprint>);

impl Growth {
    fn add(&mut self, sample: Footprint) {
        self.0.push(sample);
    }

    fn of(&self, figure: fn(&Footprint) -> usize) -> (usize, usize) {
        let third = self.0.len().div_ceil(3);
        let first = self.0.iter().take(third).map(figure).min();
        let last = self.0.iter().rev().take(third).map(figure).min();
        (first.unwrap_or_default(), last.unwrap_or_default())
    }

    /// What grew beyond what it may.
    fn beyond(&self) -> Option<String> {
        let (bytes, descriptors) = (self.of(|it| it.bytes), self.of(|it| it.descriptors));
        let grew = |of: (usize, usize), most| of.1.saturating_sub(of.0) > most;
        if grew(bytes, GROWTH.bytes) {
            Some(format!("memory grew from {} to {} bytes", bytes.0, bytes.1))
        } else if grew(descriptors, GROWTH.descriptors) {
            let (first, last) = descriptors;
            Some(format!("descriptors grew from {first} to {last}"))
        } else {
            None
        }
    }
}

/// What came of it, and all that went wrong.
fn report(
    traffic: &Traffic,
    trail: &Trail,
    theirs: &[Growth],
    ours: &Growth,
    span: Duration,
) -> (Value, Vec<String>) {
    let mut wrong = traffic.wrong();
    let lost = wrong.len();
    for growth in theirs {
        wrong.extend(growth.beyond().map(|what| format!("the service: {what}")));
    }
    wrong.extend(ours.beyond().map(|what| format!("the callers: {what}")));
    let mut requests = serde_json::Map::new();
    let counts = traffic.good.iter().zip(&traffic.permitted);
    for ((kind, _, name), (good, permitted)) in KINDS.into_iter().zip(counts) {
        let [good, permitted] = [good, permitted].map(|count| count.load(Ordering::SeqCst));
        requests.insert(name.to_owned(), json!(good));
        // Each kind has to have been asked, and where it is to be seen, permitted and denied.
        let seen = match kind {
            Kind::Flip => permitted > 0 && permitted < good,
            Kind::Hostile => good > 0,
            _ => permitted > 0,
        };
        if !seen {
            wrong.push(format!(
                "{name}: {good} requests, {permitted} permitted, tell nothing"
            ));
        }
    }
    let policies = traffic.policies.load(Ordering::SeqCst);
    if policies < span.as_secs() {
        wrong.push(format!("only {policies} policies came into force"));
    }
    let (records, torn) = trail.counts();
    let last = theirs.last();
    let report = json!({
        "requests": requests,
        "cut": traffic.cut.load(Ordering::SeqCst),
        "kills": theirs.len(),
        "policies": policies,
        "records": records,
        "torn": torn,
        "bytes": last.map(|growth| growth.of(|it| it.bytes)),
        "callers": ours.of(|it| it.bytes),
        "descriptors": last.map(|growth| growth.of(|it| it.descriptors)),
        "lost": lost,
        "wrong": wrong.len(),
    });
    (report, wrong)
}

/// A folder for one run.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, Failed> {
        let path = std::env::temp_dir().join(format!("ztl-load-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// The last of what the service said.
    fn tail_of_errors(&self) -> String {
        let text = std::fs::read_to_string(self.0.join("errors")).unwrap_or_default();
        let from = text.lines().count().saturating_sub(20);
        let lines = text
            .lines()
            .skip(from)
            .map(|line| format!("service: {line}\n"));
        lines.collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
