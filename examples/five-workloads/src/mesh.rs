//! The five workloads behind their guards: one policy, an SVID each, an address each, a log each.

use std::collections::HashMap;
use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use ztl_core::SpiffeId;
use ztl_core::policy::{Policy, Span};
use ztl_tower::{Guard, PublicTls, ServeError};

use crate::args::Args;
use crate::document::{Document, DocumentError, declared};
use crate::foreign::{Files, Foreign, Language};
use crate::ledger::{Kept, Ledger};
use crate::pki::Pki;
use crate::places::{Places, in_one_zone};
use crate::services::tools::Tools;
use crate::services::{Addresses, NAMES, Outbound, Service};
use crate::tls::{self, Trust};
use crate::wire::DEADLINE;

/// The workload that the outside reaches.
pub(crate) const GATEWAY: &str = "gateway";

/// One workload, running.
pub(crate) struct Running {
    pub(crate) ledger: Ledger,
    process: Process,
}

/// Where it runs.
enum Process {
    This(Guard, Service),
    Another(Foreign),
}

impl Running {
    /// Its guard, where that is in this process.
    pub(crate) const fn guard(&self) -> Option<&Guard> {
        match &self.process {
            Process::This(guard, _) => Some(guard),
            Process::Another(_) => None,
        }
    }

    /// Its language, where that is not Rust.
    pub(crate) fn language(&self) -> Option<Language> {
        match &self.process {
            Process::This(..) => None,
            Process::Another(foreign) => Some(foreign.language),
        }
    }

    /// Who called, each time that a handler ran: nobody, where nobody was proved.
    pub(crate) fn callers(&self) -> Vec<Option<SpiffeId>> {
        match &self.process {
            Process::This(_, service) => service.callers(),
            Process::Another(foreign) => foreign.callers(),
        }
    }
}

/// All of them.
pub(crate) struct Mesh {
    pub(crate) policy: Policy,
    pub(crate) places: Places,
    pub(crate) pki: Pki,
    pub(crate) addresses: Arc<Addresses>,
    running: HashMap<&'static str, Running>,
    tasks: JoinSet<Result<(), ServeError>>,
}

impl Mesh {
    pub(crate) async fn start(mut document: Document, args: &Args) -> Result<Self, Box<dyn Error>> {
        let mut policy = document.load()?;
        let places = Places::of(&policy, args.one_address)?;
        if !places.are_real {
            document = document.with(in_one_zone(&policy));
            policy = document.load()?;
        }
        let (listeners, moved) = listen(&policy, &places).await?;
        document = document.with(moved);
        policy = document.load()?;
        let mut addresses = Addresses::new();
        for (name, listener) in &listeners {
            addresses.insert(name, listener.local_addr()?);
        }
        let mut mesh = Self {
            pki: Pki::new(&policy)?,
            policy,
            places,
            addresses: Arc::new(addresses),
            running: HashMap::new(),
            tasks: JoinSet::new(),
        };
        for (name, listener) in listeners {
            match args.language(name) {
                None => mesh.run(name, listener, document.load()?).await?,
                Some(language) => mesh.run_in(language, name, listener, &document).await?,
            }
        }
        Ok(mesh)
    }

    /// Has another process be the workload.
    async fn run_in(
        &mut self,
        language: Language,
        name: &'static str,
        listener: TcpListener,
        document: &Document,
    ) -> Result<(), Box<dyn Error>> {
        let files = Files {
            pem: &self.pki.of(name)?.pem,
            bundle: &self.pki.bundle_pem,
            policy: document.text(),
        };
        // Held until now, so that the address is free for it.
        drop(listener);
        let foreign = Foreign::start(language, name, &files, self.address(name)?).await?;
        let running = Running {
            ledger: Ledger::There(foreign.audit(name)),
            process: Process::Another(foreign),
        };
        self.running.insert(name, running);
        Ok(())
    }

    /// Builds a workload's guard and serves it.
    async fn run(
        &mut self,
        name: &'static str,
        listener: TcpListener,
        policy: Policy,
    ) -> Result<(), Box<dyn Error>> {
        let kept = Arc::new(Kept::default());
        let credential = self.pki.of(name)?;
        let from = self.places.of_workload(name);
        let mut builder = Guard::builder(name)
            .policy(policy)
            .identity(credential.svid.clone())
            .bundle(self.pki.bundle.clone())
            .token_verifier(self.pki.tokens.clone())
            .audit(Arc::clone(&kept))
            .source_addr(from)
            .connect_timeout(DEADLINE)
            .handshake_timeout(DEADLINE)
            .drain_timeout(Duration::from_secs(1));
        for (workload, address) in &*self.addresses {
            builder = builder.endpoint(workload, *address);
        }
        let guard = builder.build().await?;
        let service = Service::new(Outbound::Guarded(guard.client()));
        let tools = Tools {
            from,
            addresses: Arc::clone(&self.addresses),
            tls: Some(tls::client(
                &self.pki.provider,
                Trust::Anyone,
                Some(&credential.pem),
            )?),
        };
        let app = service.routes(name, tools);
        if name == GATEWAY {
            let web = &self.pki.web;
            let tls = PublicTls::from_pem(web.cert_pem.as_bytes(), web.key_pem.as_bytes());
            let serve = guard.serve_public_listener(listener, tls, app);
            self.tasks.spawn(serve);
        } else {
            self.tasks.spawn(guard.serve_listener(listener, app));
        }
        self.running.insert(
            name,
            Running {
                ledger: Ledger::Here(kept),
                process: Process::This(guard, service),
            },
        );
        Ok(())
    }

    pub(crate) fn workload(&self, name: &str) -> Result<&Running, String> {
        let running = self.running.get(name);
        running.ok_or_else(|| format!("`{name}` is not one of the five workloads"))
    }

    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr, String> {
        let address = self.addresses.get(name).copied();
        address.ok_or_else(|| format!("`{name}` is not one of the five workloads"))
    }

    /// Ends every listener, and waits for it.
    pub(crate) async fn stop(mut self) -> Result<(), Box<dyn Error>> {
        for running in self.running.values() {
            if let Some(guard) = running.guard() {
                guard.shutdown();
            }
        }
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended??;
            }
            Ok::<_, Box<dyn Error>>(())
        };
        timeout(DEADLINE, ended).await?
    }
}

type Listeners = Vec<(&'static str, TcpListener)>;

/// Listens where the policy says; on a free port where that one is taken, and says what has to change in the document.
async fn listen(
    policy: &Policy,
    places: &Places,
) -> Result<(Listeners, Vec<(Span, String)>), Box<dyn Error>> {
    let (mut listeners, mut moved) = (Vec::new(), Vec::new());
    for name in NAMES {
        let workload = declared(policy, name)?;
        let port = if name == GATEWAY {
            workload.public_ports.first()
        } else {
            workload.ports.first()
        };
        let port = port.ok_or_else(|| {
            DocumentError::Unfit(format!("it lists no port for `{name}` to listen on"))
        })?;
        let address = places.of_workload(name);
        let listener = match TcpListener::bind((address, port.value)).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let free = TcpListener::bind((address, 0)).await?;
                moved.push((port.span, free.local_addr()?.port().to_string()));
                free
            }
            bound => bound?,
        };
        listeners.push((name, listener));
    }
    Ok((listeners, moved))
}
