//! Two services that trust one authority after the other, and what each step of that changes: in memory, or in the files that they
//! read again.

use std::net::SocketAddr;
use std::sync::Weak;

use ztl_core::TrustDomain;
use ztl_mtls::{CrlSet, IssuedSvid};

use super::folder::Folder;
use super::revoking::list;
use super::*;

/// An authority, and whom it revoked as soon as it was there.
pub(crate) struct Authority {
    pub(crate) mesh: Mesh,
    pub(crate) revoked: X509Svid,
}

impl Authority {
    fn new() -> Arc<Self> {
        let mesh = Mesh::new("");
        let revoked = mesh.svid("/caller");
        Arc::new(Self { mesh, revoked })
    }

    fn issue(&self, path: &str) -> IssuedSvid {
        let (id, hour) = (support::id(path), Duration::from_secs(3600));
        let ca = &self.mesh.authority;
        let issued = ca.issue(&id, support::now(), hour, &ztl_mtls::provider());
        issued.expect("an SVID")
    }
}

/// Where a service has what rotates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Memory,
    Files,
}

/// Who issues what is shown now. Whoever is honest holds `running` for as long as what it was issued is in use.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) authority: Arc<Authority>,
    running: Arc<()>,
}

/// The way from one authority to the next.
enum Step {
    /// One is trusted.
    One,
    /// Both are trusted, and the old one issues.
    Both(Arc<Authority>),
    /// Both are trusted, and the new one issues: the old one is there until nobody uses what it issued.
    Leaving(Arc<Authority>, Weak<()>),
    /// The old one was taken away.
    Gone(Arc<Authority>),
}

pub(crate) struct World {
    pub(crate) db: Guard,
    pub(crate) caller: Guard,
    pub(crate) address: SocketAddr,
    pub(crate) marker: Marker,
    callers: SocketAddr,
    folder: Option<Folder>,
    current: std::sync::Mutex<Current>,
    /// The last one that nobody trusts any more.
    withdrawn: std::sync::Mutex<Option<Arc<Authority>>>,
}

/// The names of the two, and their paths.
const ENDS: [(&str, &str); 2] = [("db", "/db"), ("caller", "/caller")];

impl World {
    pub(crate) async fn begin(from: Kept) -> Self {
        let (listener, address) = support::listener().await;
        let (back, callers) = support::listener().await;
        let policy = policy(address.port(), callers.port());
        let authority = Authority::new();
        let folder = (from == Kept::Files).then(|| Folder::new("rotation"));
        if let Some(folder) = &folder {
            trust(folder, &[&authority]);
            for (name, path) in ENDS {
                show(folder, name, &authority.issue(path));
            }
        }
        let build = async |(name, path): (&str, &str)| {
            let audit = Arc::new(MemorySink::new(1000));
            let builder = Guard::builder(name)
                .policy(Policy::from_toml(&policy).unwrap_or_else(|error| panic!("{error}")))
                .endpoint("db", address)
                .allow_dev_authority()
                .audit(audit);
            let builder = match &folder {
                None => builder
                    .identity(authority.mesh.svid(path))
                    .bundle(authority.mesh.authority.bundle()),
                Some(Folder(at)) => builder
                    .identity_files(
                        at.join(format!("{name}.pem")),
                        at.join(format!("{name}.key")),
                    )
                    .bundle_file("prod.example", at.join("bundle.pem"))
                    .crl_file("prod.example", at.join("crl.pem"))
                    .reload_every(Duration::from_millis(10)),
            };
            let guard = builder.build().await;
            guard.unwrap_or_else(|error| panic!("{error}"))
        };
        let [db, caller] = [build(ENDS[0]).await, build(ENDS[1]).await];
        let marker = Marker::default();
        serve(&db, listener, marker.app());
        serve(&caller, back, Marker::default().app());
        db.deny(Denied::Id(support::id("/thief")));
        let world = Self {
            db,
            caller,
            address,
            marker,
            callers,
            folder,
            current: std::sync::Mutex::new(Current {
                authority: Arc::clone(&authority),
                running: Arc::new(()),
            }),
            withdrawn: std::sync::Mutex::new(None),
        };
        world.trust(0, &[&authority]);
        world
    }

    pub(crate) fn current(&self) -> Current {
        lock(&self.current).clone()
    }

    pub(crate) fn withdrawn(&self) -> Option<Arc<Authority>> {
        lock(&self.withdrawn).clone()
    }

    fn guards(&self) -> [&Guard; 2] {
        [&self.db, &self.caller]
    }

    /// Both ends trust these, each with a revocation list of its own that is made anew.
    fn trust(&self, round: usize, authorities: &[&Arc<Authority>]) {
        if let Some(folder) = &self.folder {
            return trust(folder, authorities);
        }
        let domain = || TrustDomain::parse("prod.example").expect("domain");
        let lists = authorities
            .iter()
            .map(|of| list(&of.mesh.authority, &[&of.revoked]).der().clone());
        let lists = CrlSet::from_der(domain(), lists).expect("lists");
        let roots = authorities
            .iter()
            .flat_map(|of| of.mesh.authority.bundle().certificates().to_vec());
        let bundle = TrustBundle::from_der(domain(), roots).expect("bundle");
        let other = TrustDomain::parse(&format!("round-{round}.example")).expect("domain");
        let set = BundleSet::new([bundle, TrustBundle::empty(other)]).expect("set");
        for guard in self.guards() {
            // In this order: of whom a new authority issues for, the status is known.
            guard.swap_crls(lists.clone());
            guard.swap_bundles(set.clone());
        }
    }

    /// Both ends show SVIDs with new keys, whom is called first.
    async fn show(&self, authority: &Authority) {
        for (guard, (name, path)) in self.guards().into_iter().zip(ENDS) {
            let issued = authority.issue(path);
            let Some(folder) = &self.folder else {
                guard.swap_identity(issued.svid).expect("an SVID");
                continue;
            };
            show(folder, name, &issued);
            until("the files are read", || {
                guard
                    .svid()
                    .is_ok_and(|svid| svid.chain() == issued.svid.chain())
            })
            .await;
        }
    }

    /// Whether either end takes an SVID of this authority.
    async fn is_taken(&self, authority: &Authority) -> [bool; 2] {
        let ask = async |at, path: &str| {
            let svid = authority.mesh.svid(path);
            let answer = knock(at, None, Some(&svid), b"http/1.1", get1("/v1/probe")).await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
        };
        [
            ask(self.address, "/caller").await,
            ask(self.callers, "/db").await,
        ]
    }

    /// Rotates what can be until it is done; tells how often, and how many authorities were withdrawn.
    pub(crate) async fn rotate(&self, runs: impl Fn() -> bool) -> [usize; 2] {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let (mut step, [mut rounds, mut withdrawn]) = (Step::One, [0, 0]);
        while runs() {
            ticks.tick().await;
            rounds += 1;
            let issues = self.current().authority;
            step = match step {
                Step::One => Step::Both(Authority::new()),
                Step::Both(next) if self.is_taken(&next).await == [true, true] => {
                    self.show(&next).await;
                    let next = Current {
                        authority: next,
                        running: Arc::new(()),
                    };
                    let old = std::mem::replace(&mut *lock(&self.current), next);
                    Step::Leaving(old.authority, Arc::downgrade(&old.running))
                }
                Step::Leaving(old, running) if running.strong_count() == 0 => Step::Gone(old),
                Step::Gone(old) if self.is_taken(&old).await == [false, false] => {
                    withdrawn += 1;
                    *lock(&self.withdrawn) = Some(old);
                    Step::One
                }
                waits => waits,
            };
            match &step {
                Step::Both(other) | Step::Leaving(other, _) => {
                    let issues = self.current().authority;
                    self.trust(rounds, &[other, &issues]);
                }
                Step::One | Step::Gone(_) => self.trust(rounds, &[&issues]),
            }
            self.show(&self.current().authority).await;
            let nobody = Denied::Id(support::id(&format!("/round-{rounds}")));
            self.db.deny(nobody);
        }
        [rounds, withdrawn]
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

fn trust(folder: &Folder, authorities: &[&Arc<Authority>]) {
    let lists = authorities
        .iter()
        .map(|of| list(&of.mesh.authority, &[&of.revoked]));
    let lists: String = lists.map(|list| list.pem().expect("PEM")).collect();
    let roots: String = authorities
        .iter()
        .map(|of| of.mesh.authority.bundle_pem())
        .collect();
    folder.write("crl.pem", &lists);
    folder.write("bundle.pem", &roots);
}

fn show(folder: &Folder, name: &str, issued: &IssuedSvid) {
    folder.write(&format!("{name}.pem"), &issued.cert_pem);
    folder.write(&format!("{name}.key"), &issued.key_pem);
}

fn policy(db: u16, caller: u16) -> String {
    format!(
        "schema = 1\ntrust_domain = \"prod.example\"\n\
         [workloads.caller]\nid = \"spiffe://prod.example/caller\"\nports = [{caller}]\n\
         [workloads.thief]\nid = \"spiffe://prod.example/thief\"\n\
         [workloads.db]\nid = \"spiffe://prod.example/db\"\nports = [{db}]\n\
         [[permit]]\nname = \"reads\"\nfrom = [\"caller\", \"thief\"]\nto = \"db\"\nactions = [\"GET /v1/{{*rest}}\"]\n\
         [[permit]]\nname = \"probes\"\nfrom = \"db\"\nto = \"caller\"\nactions = [\"GET /v1/probe\"]\n"
    )
}
