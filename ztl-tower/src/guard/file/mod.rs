//! A guard from one file: what the builder takes in code, written down (`docs/guard-file.md`).
//!
//! 1. Unknown and repeated keys, values of the wrong kind, and keys whose feature is not compiled in refuse the file, with line,
//!    column, a caret and a suggestion. Nothing of a bad file is used.
//! 2. A file that its group or others may write is refused, as a policy's is (T6).
//! 3. Paths in it are relative to it. It is read once; the files that it names are looked at again as the builder's are.
//! 4. No secret stands in it: an error would show its line (law 7). It names files that hold them.

mod audit;
mod browser;
mod duties;
mod federated;
mod fetched;
mod issuers;
mod known;
mod limits;
mod listen;
mod opa_bundles;
mod refusals;
mod revocation;

#[cfg(feature = "client")]
use core::net::IpAddr;
#[cfg(any(feature = "client", feature = "serve"))]
use core::net::SocketAddr;
use std::path::{Path, PathBuf};

use ztl_core::TrustDomain;
use ztl_core::settings::{self, MAX_SETTINGS_BYTES, Table};

use super::{BuildError, Guard, GuardBuilder};
use crate::refresh::{FileError, SteadyFile};

/// Most tables of one kind, such as `[[listen]]`.
const MAX_TABLES: usize = 64;

impl Guard {
    /// A guard from one file, `guard.toml`; `docs/guard-file.md` has every key.
    ///
    /// ```toml
    /// workload = "model-server"
    /// policy = "policy.toml"
    ///
    /// [identity]
    /// certificate = "svid.pem"
    /// key = "svid.key"
    ///
    /// [bundles]
    /// "prod.example" = "bundle.pem"
    ///
    /// [[listen]]
    /// address = "0.0.0.0:8443"
    /// ```
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "serve", feature = "axum-core"))]
    /// # async fn example(app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
    /// use ztl_tower::Guard;
    ///
    /// let guard = Guard::from_file("guard.toml").await?;
    /// guard.run(app).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`BuildError`]: the file is refused, or a guard cannot be built from it.
    pub async fn from_file(path: impl AsRef<Path>) -> Result<Self, BuildError> {
        GuardBuilder::from_file(path)?.build().await
    }
}

impl GuardBuilder {
    /// What a file says, to be added to in code before [`build`](Self::build).
    ///
    /// # Errors
    /// [`BuildError::GuardFile`] and [`BuildError::GuardSettings`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, BuildError> {
        let path = path.as_ref();
        let mut file = SteadyFile::new(path.to_owned(), MAX_SETTINGS_BYTES);
        let bytes = file.load().map_err(BuildError::GuardFile)?;
        let text = core::str::from_utf8(&bytes).map_err(|_| {
            BuildError::GuardFile(FileError::NotUtf8 {
                path: path.to_owned(),
            })
        })?;
        Self::from_toml(text, path)
    }

    /// The same from text that stands, or would stand, in the file at `path`: relative paths in it begin there, and errors call
    /// it so.
    ///
    /// # Errors
    /// [`BuildError::GuardSettings`].
    pub fn from_toml(text: &str, path: impl AsRef<Path>) -> Result<Self, BuildError> {
        let path = path.as_ref();
        let here = Here::new(path.parent().unwrap_or_else(|| Path::new("")));
        let source = path.display().to_string();
        settings::read(text, &source, |table| here.guard(table)).map_err(BuildError::GuardSettings)
    }
}

/// Where the file is.
#[derive(Clone, Copy)]
struct Here<'a> {
    /// The folder that paths begin in.
    folder: &'a Path,
    /// What stands in for the roots of a host that has none of its own.
    #[cfg(feature = "client")]
    #[cfg_attr(
        not(feature = "federation"),
        allow(dead_code, reason = "each feature uses another part")
    )]
    web_roots: Option<&'a Path>,
}

impl<'a> Here<'a> {
    const fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            #[cfg(feature = "client")]
            web_roots: None,
        }
    }

    fn guard(self, table: &mut Table<'_, '_>) -> GuardBuilder {
        table.need(
            "workload",
            "write `workload = \"name\"`, as [workloads.NAME] of the policy has it",
        );
        let name = table.text("workload").unwrap_or_default();
        let mut builder = Guard::builder(&name);
        if let Some(path) = self.path(table, "policy") {
            builder = builder.policy_file(path);
        }
        if let Some(path) = self.path(table, "policy_key") {
            builder = builder.policy_key_file(path);
        }
        if let Some(path) = self.path(table, "policy_state") {
            builder = builder.policy_state_file(path);
        }
        if let Some(every) = table.duration("reload_every") {
            builder = builder.reload_every(every);
        }
        if let Some(grace) = table.duration("source_grace") {
            builder = builder.source_grace(grace);
        }
        builder = self.audit(table, builder);
        builder = self.identity(table, builder);
        let path = |text: &str| Ok(self.at(text));
        for (domain, file) in table.entries("bundles", trust_domain, path) {
            builder = builder.bundle_file(&domain, file);
        }
        builder = self.revocation(table, builder);
        builder = egress(table, builder);
        builder = self.fetched(table, builder);
        builder = limits::limits(table, builder);
        builder = self.shared_limits(table, builder);
        builder = duties::schemas(table, builder);
        builder = refusals::refusals(table, builder);
        builder = self.browser(table, builder);
        builder = self.listen(table, builder);
        builder = shutdown(table, builder);
        dev_authority(table, builder)
    }

    /// What comes from hosts, and `web_roots`, which proves them where they have no roots of their own.
    fn fetched(self, table: &mut Table<'_, '_>, mut builder: GuardBuilder) -> GuardBuilder {
        #[cfg(feature = "client")]
        let roots = self.path(table, "web_roots");
        #[cfg(feature = "client")]
        let here = Here {
            web_roots: roots.as_deref(),
            ..self
        };
        #[cfg(not(feature = "client"))]
        let here = self;
        builder = here.issuers(table, builder);
        builder = here.federated(table, builder);
        builder = here.opa_bundles(table, builder);
        builder = here.known(table, builder);
        #[cfg(feature = "client")]
        if let Some(path) = roots {
            builder = builder.web_roots_file(path);
        }
        #[cfg(not(feature = "client"))]
        not_built(table, "web_roots", "client");
        builder
    }

    fn at(self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    fn path(self, table: &mut Table<'_, '_>, key: &'static str) -> Option<PathBuf> {
        table.parsed(key, |text| Ok(self.at(text)))
    }

    /// `[identity]`
    fn identity(self, table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
        let read = |inner: &mut Table<'_, '_>| {
            if let Some(endpoint) = workload_api(inner) {
                let message = "the Workload API gives both";
                inner.refuse("certificate", message, "remove it, or `workload_api`");
                inner.refuse("key", message, "remove it, or `workload_api`");
                return Some(Identity::WorkloadApi(endpoint));
            }
            let help = "write `certificate` and `key`, or `workload_api`";
            inner.need("certificate", help);
            inner.need("key", help);
            let certificate = self.path(inner, "certificate");
            let key = self.path(inner, "key");
            certificate
                .zip(key)
                .map(|(certificate, key)| Identity::Files(certificate, key))
        };
        match table.table("identity", "[identity]", read).flatten() {
            None => builder,
            Some(Identity::Files(certificate, key)) => builder.identity_files(certificate, key),
            Some(Identity::WorkloadApi(endpoint)) => from_workload_api(builder, &endpoint),
        }
    }
}

/// Who we are.
enum Identity {
    Files(PathBuf, PathBuf),
    WorkloadApi(String),
}

/// `workload_api`: `env`, or the address of a socket.
fn workload_api(table: &mut Table<'_, '_>) -> Option<String> {
    if cfg!(not(feature = "workload-api")) {
        not_built(table, "workload_api", "workload-api");
        return None;
    }
    table.parsed("workload_api", |text| {
        if text == "env" || text.starts_with("unix:") || text.starts_with("tcp:") {
            return Ok(text.to_owned());
        }
        let help = "write `env` for what SPIFFE_ENDPOINT_SOCKET says, or as in `unix:///run/spire/agent.sock`";
        Err(help.to_owned())
    })
}

#[cfg(feature = "workload-api")]
fn from_workload_api(builder: GuardBuilder, endpoint: &str) -> GuardBuilder {
    match endpoint {
        "env" => builder.spiffe_workload_api(),
        endpoint => builder.spiffe_workload_api_at(endpoint),
    }
}

#[cfg(not(feature = "workload-api"))]
const fn from_workload_api(builder: GuardBuilder, _: &str) -> GuardBuilder {
    builder
}

#[cfg(feature = "signal")]
fn shutdown(table: &mut Table<'_, '_>, mut builder: GuardBuilder) -> GuardBuilder {
    builder.signalled = table.boolean("shutdown_on_signals") == Some(true);
    builder
}

#[cfg(not(feature = "signal"))]
fn shutdown(table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
    not_built(table, "shutdown_on_signals", "signal");
    builder
}

fn dev_authority(table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
    #[cfg(feature = "dev-ca")]
    if table.boolean("allow_dev_authority") == Some(true) {
        return builder.allow_dev_authority();
    }
    #[cfg(not(feature = "dev-ca"))]
    not_built(table, "allow_dev_authority", "dev-ca");
    builder
}

/// `source_address` and `[endpoints]`
#[cfg(feature = "client")]
fn egress(table: &mut Table<'_, '_>, mut builder: GuardBuilder) -> GuardBuilder {
    if let Some(address) = table.parsed("source_address", address) {
        builder = builder.source_addr(address);
    }
    for (workload, address) in table.entries("endpoints", |_| Ok(()), socket_address) {
        builder = builder.endpoint(&workload, address);
    }
    builder
}

#[cfg(not(feature = "client"))]
fn egress(table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
    for key in ["source_address", "endpoints"] {
        not_built(table, key, "client");
    }
    builder
}

/// Refuses a key whose feature is not compiled in: ignored, it would be taken for in force.
fn not_built(table: &mut Table<'_, '_>, key: &'static str, feature: &str) {
    let message = format!("`{key}` is not known here");
    let help = format!("{}, or remove the key", lacks(feature));
    table.refuse(key, &message, &help);
}

/// What is wrong, and how to mend it.
fn lacks(feature: &str) -> String {
    format!(
        "this service was built without the feature `{feature}`: build it with `ztl-tower` of that feature"
    )
}

#[cfg(feature = "client")]
fn address(text: &str) -> Result<IpAddr, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "write an address, as in `10.0.0.5`".to_owned())
}

#[cfg(any(feature = "client", feature = "serve"))]
fn socket_address(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.parse();
    parsed
        .map_err(|_| "write an address and a port, as in `10.0.0.5:8443` or `[::]:8443`".to_owned())
}

fn trust_domain(text: &str) -> Result<(), String> {
    match TrustDomain::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "it {error}; write a trust domain, as in `\"prod.example\"`"
        )),
    }
}
