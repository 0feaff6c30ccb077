//! A guard from one file: what the builder takes in code, written down (`docs/guard-file.md`).
//!
//! 1. Unknown and repeated keys, values of the wrong kind, and keys whose feature is not compiled in refuse the file, with line,
//!    column, a caret and a suggestion. Nothing of a bad file is used.
//! 2. A file that its group or others may write is refused, as a policy's is (T6).
//! 3. Paths in it are relative to it. It is read once; the files that it names are looked at again as the builder's are.

mod duties;
mod limits;
mod listen;
mod refusals;

#[cfg(feature = "client")]
use core::net::IpAddr;
#[cfg(any(feature = "client", feature = "serve"))]
use core::net::SocketAddr;
use std::path::{Path, PathBuf};

use ztl_core::TrustDomain;
use ztl_core::settings::{self, MAX_SETTINGS_BYTES, Table};

use super::{BuildError, Guard, GuardBuilder};
use crate::refresh::{FileError, SteadyFile};

/// Most `[[listen]]`, and most `[[signals]]`.
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
        let text = core::str::from_utf8(bytes).map_err(|_| {
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
        let here = Here(path.parent().unwrap_or_else(|| Path::new("")));
        let source = path.display().to_string();
        settings::read(text, &source, |table| here.guard(table)).map_err(BuildError::GuardSettings)
    }
}

/// The folder that paths begin in.
#[derive(Clone, Copy)]
struct Here<'a>(&'a Path);

impl Here<'_> {
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
        if let Some(path) = self.path(table, "audit") {
            builder = builder.audit_file(path);
        }
        if let Some(path) = self.path(table, "deny_list") {
            builder = builder.deny_list_file(path);
        }
        if table.boolean("explain_denials") == Some(true) {
            builder = builder.explain_denials();
        }
        #[cfg(feature = "client")]
        if let Some(path) = self.path(table, "web_roots") {
            builder = builder.web_roots_file(path);
        }
        if let Some(every) = table.duration("reload_every") {
            builder = builder.reload_every(every);
        }
        if let Some(grace) = table.duration("source_grace") {
            builder = builder.source_grace(grace);
        }
        builder = self.identity(table, builder);
        let path = |text: &str| Ok(self.0.join(text));
        for (domain, file) in table.entries("bundles", trust_domain, path) {
            builder = builder.bundle_file(&domain, file);
        }
        for (domain, file) in table.entries("crls", trust_domain, path) {
            builder = builder.crl_file(&domain, file);
        }
        builder = egress(table, builder);
        builder = self.known(table, builder);
        builder = limits::limits(table, builder);
        builder = self.shared_limits(table, builder);
        builder = duties::schemas(table, builder);
        builder = refusals::refusals(table, builder);
        builder = self.listen(table, builder);
        dev_authority(table, builder)
    }

    fn path(self, table: &mut Table<'_, '_>, key: &'static str) -> Option<PathBuf> {
        table.parsed(key, |text| Ok(self.0.join(text)))
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

    /// `posture` and `[[signals]]`
    #[cfg(feature = "trust")]
    fn known(self, table: &mut Table<'_, '_>, mut builder: GuardBuilder) -> GuardBuilder {
        if let Some(path) = self.path(table, "posture") {
            builder = builder.posture_file(path);
        }
        let read = |inner: &mut Table<'_, '_>| {
            inner.need(
                "names",
                "write the names of [trust.signals.NAME] that it gives",
            );
            inner.need("file", "write the path of a table of signals in JSON");
            let names = inner.each("names", |text| Ok(text.to_owned()));
            (names, self.path(inner, "file"))
        };
        for (names, file) in table.tables("signals", "[[signals]]", MAX_TABLES, read) {
            if let Some(file) = file {
                builder = builder.signal_file(names.iter().map(String::as_str), file);
            }
        }
        builder
    }

    #[cfg(not(feature = "trust"))]
    fn known(self, table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
        for key in ["posture", "signals"] {
            not_built(table, key, "trust");
        }
        builder
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
    let message = format!(
        "`{key}` is not known to this service: it was built without the feature `{feature}`"
    );
    let help = format!("build it with `ztl-tower` of the feature `{feature}`, or remove the key");
    table.refuse(key, &message, &help);
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
