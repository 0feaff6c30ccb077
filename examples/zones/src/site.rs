//! The workloads behind their guards: one policy, an SVID each, an address each in its zone, an audit log each.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use ztl_core::Timestamp;
use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_mtls::{BundleSet, Bundles, DevCa, IdentitySource, Prover, X509Svid};
use ztl_tower::{Guard, Peer, ServeError};

use crate::raw::Broker;

/// Where each workload stands, and a place that is in no zone.
const PLACES: [(&str, [u8; 4]); 9] = [
    ("historian", [127, 0, 110, 1]),
    ("plc-gateway", [127, 0, 110, 2]),
    ("orchestrator", [127, 0, 110, 3]),
    ("dashboard", [127, 0, 120, 1]),
    ("laptop", [127, 0, 120, 2]),
    ("sensor", [127, 0, 130, 1]),
    ("camera", [127, 0, 130, 2]),
    ("broker", [127, 0, 130, 3]),
    ("nowhere", [127, 0, 199, 1]),
];
/// HTTP.
pub(crate) const HTTP: u16 = 18443;
/// Lines, as raw bytes.
pub(crate) const LINES: u16 = 18883;
const HOUR: Duration = Duration::from_secs(3600);

/// One workload.
pub(crate) struct Workload {
    pub(crate) svid: X509Svid,
    /// Its audit log.
    pub(crate) audit: Arc<MemorySink>,
    /// How many requests and lines got through to its own code.
    pub(crate) served: Arc<AtomicUsize>,
    guard: Guard,
}

/// All of them.
pub(crate) struct Site {
    pub(crate) policy: Policy,
    pub(crate) prover: Prover,
    workloads: HashMap<String, Workload>,
    ports: HashMap<u16, u16>,
    services: JoinSet<Result<(), ServeError>>,
    /// The broker's door for raw bytes.
    door: JoinSet<io::Result<()>>,
}

impl Site {
    pub(crate) async fn start(text: String) -> Result<Self, Box<dyn Error>> {
        let mut text = text;
        let (mut listeners, mut ports) = (Vec::new(), HashMap::new());
        let declared = Policy::from_toml(&text)?;
        for port in [HTTP, LINES] {
            let (free, bound) = listen(&declared, port).await?;
            text = text.replace(&port.to_string(), &free.to_string());
            ports.insert(port, free);
            listeners.extend(bound.into_iter().map(|(name, bound)| (name, port, bound)));
        }
        let policy = Policy::from_toml(&text)?;
        let (provider, now) = (ztl_mtls::provider(), now());
        let authority = DevCa::new(policy.trust_domain().clone(), now)?;
        let bundles = Bundles::new(BundleSet::new([authority.bundle()])?);
        let mut site = Self {
            prover: Prover::new(bundles, &provider).allow_dev_authority(),
            workloads: HashMap::new(),
            ports,
            services: JoinSet::new(),
            door: JoinSet::new(),
            policy,
        };
        for workload in site.policy.workloads() {
            let svid = authority.issue(workload.id(), now, HOUR, &provider)?.svid;
            let audit = Arc::new(MemorySink::new(1024));
            let guard = Guard::builder(workload.name())
                .policy(Policy::from_toml(&text)?)
                .identity(svid.clone())
                .bundle(authority.bundle())
                .allow_dev_authority()
                .audit(Arc::clone(&audit))
                .drain_timeout(Duration::from_secs(1))
                .build()
                .await?;
            let workload = Workload {
                svid,
                audit,
                served: Arc::default(),
                guard,
            };
            let name = workload.guard.name().to_owned();
            site.workloads.insert(name, workload);
        }
        for (name, port, listener) in listeners {
            let workload = site.workload(&name)?;
            let (guard, served) = (workload.guard.clone(), Arc::clone(&workload.served));
            if port == HTTP {
                let app = Router::new().fallback(answer).with_state(served);
                site.services.spawn(guard.serve_listener(listener, app));
            } else {
                let broker = Broker {
                    guard,
                    identity: Arc::new(IdentitySource::new(workload.svid.clone())),
                    prover: site.prover.clone(),
                    served,
                };
                site.door.spawn(broker.serve(listener));
            }
        }
        Ok(site)
    }

    pub(crate) fn workload(&self, name: &str) -> Result<&Workload, String> {
        let workload = self.workloads.get(name);
        workload.ok_or_else(|| format!("the policy declares no workload `{name}`"))
    }

    /// Where it listens. Another port than the policy's where that one was taken.
    pub(crate) fn address(&self, name: &str, port: u16) -> SocketAddr {
        SocketAddr::new(place(name), self.ports.get(&port).copied().unwrap_or(port))
    }

    /// Ends every listener, and waits for it.
    pub(crate) async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        for workload in self.workloads.values() {
            workload.guard.shutdown();
        }
        self.door.shutdown().await;
        while let Some(ended) = self.services.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// What every service of the example does: it says what it was asked, and by whom. Who gets here is what matters.
async fn answer(
    State(served): State<Arc<AtomicUsize>>,
    peer: Peer,
    method: Method,
    uri: Uri,
) -> String {
    served.fetch_add(1, Ordering::Relaxed);
    format!("{method} {uri} for {}\n", peer.id())
}

/// Where somebody stands.
pub(crate) fn place(name: &str) -> IpAddr {
    let found = PLACES.iter().find(|(place, _)| *place == name);
    found
        .map_or(Ipv4Addr::LOCALHOST, |(_, place)| Ipv4Addr::from(*place))
        .into()
}

/// Everybody who listens on this port in the policy, listening; all on another one where somebody else has taken it.
async fn listen(policy: &Policy, port: u16) -> io::Result<(u16, Vec<(String, TcpListener)>)> {
    let mut free = port;
    loop {
        match listen_all(policy, port, free).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                free = probe.local_addr()?.port();
            }
            bound => return Ok((free, bound?)),
        }
    }
}

async fn listen_all(
    policy: &Policy,
    port: u16,
    free: u16,
) -> io::Result<Vec<(String, TcpListener)>> {
    let mut bound = Vec::new();
    for workload in policy.workloads() {
        if workload.ports().contains(&port) {
            let listener = TcpListener::bind((place(workload.name()), free)).await?;
            bound.push((workload.name().to_owned(), listener));
        }
    }
    Ok(bound)
}

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever issues certificates and asks for a decision tells both the time"
)]
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
