//! `[[opa_bundles]]`: policies in Rego that come in bundles, pulled by OPA's bundle protocol or in files, for rules to ask by name.

use ztl_core::settings::Table;

use super::Here;
use crate::guard::GuardBuilder;

#[cfg(all(feature = "bundle", any(feature = "opa", feature = "rego")))]
mod pulled {
    use core::time::Duration;
    use std::path::PathBuf;
    use std::sync::Arc;

    use ztl_authz::bundle::{
        BundlePull, BundleReader, DEFAULT_MAX_DELAY, DEFAULT_MIN_DELAY, Limits,
        MAX_VERIFICATION_KEYS, RevisionOrder, Verification, VerificationKey,
    };
    use ztl_authz::rego::{MAX_TIMEOUT, RegoBundle};
    use ztl_core::authorizer::Reads;

    use super::super::MAX_TABLES;
    use super::super::fetched::host::{SPANS, between, reached};
    use super::super::fetched::keys::{has, refuse_all, within};
    use super::super::fetched::proof::Proof;
    use super::super::fetched::{MAX_SECRET_BYTES, Names, owned};
    use super::*;
    use crate::opa_bundle::{OpaBundle, OpaBundleFile};

    /// Longest file with a public key.
    const MAX_KEY_BYTES: usize = 64 * 1024;
    /// Most of anything in a bundle that is counted, or is bytes.
    const MOST: i64 = 1 << 30;
    /// The longest that a server may let a request wait for news.
    const LONGEST_POLL: Duration = Duration::from_secs(600);

    /// What only a bundle that is pulled has.
    const OF_PULLED: [&str; 9] = [
        "bearer_token_file",
        "roots",
        "min_delay",
        "max_delay",
        "long_polling",
        "max_age",
        "first_within",
        "address",
        "fetch_timeout",
    ];

    /// Where a bundle comes from.
    enum From {
        Pulled(Box<OpaBundle>),
        File(OpaBundleFile),
    }

    #[derive(Clone, Copy)]
    enum Engine {
        #[cfg(feature = "rego")]
        Interpreter,
        #[cfg(feature = "opa")]
        Wasm,
    }

    impl Here<'_> {
        pub(in crate::guard::file) fn opa_bundles(
            self,
            table: &mut Table<'_, '_>,
            mut builder: GuardBuilder,
        ) -> GuardBuilder {
            let names = Names::default();
            let read = |inner: &mut Table<'_, '_>| self.opa_bundle(inner, &names);
            let bundles = table.tables("opa_bundles", "[[opa_bundles]]", MAX_TABLES, read);
            for (name, policy, bundle) in bundles.into_iter().flatten() {
                builder = builder.authorizer(&name, policy.authorizer());
                builder = match bundle {
                    From::Pulled(bundle) => builder.opa_bundle(&name, *bundle),
                    From::File(bundle) => builder.opa_bundle_file(&name, bundle),
                };
            }
            builder
        }

        fn opa_bundle(
            self,
            table: &mut Table<'_, '_>,
            names: &Names,
        ) -> Option<(String, Arc<RegoBundle>, From)> {
            table.need(
                "name",
                "write the name that rules ask it by, as in `require.authorizer = \"NAME\"`",
            );
            let name = table.parsed("name", |name| names.once(name));
            let policy = policy(table);
            if has(table, "file") {
                let (file, state) = (self.file(table), self.path(table, "state"));
                let (name, policy, (path, reader, order)) = (name?, Arc::new(policy?), file?);
                let mut bundle = OpaBundleFile::new(path, reader, policy.clone());
                if let Some(path) = state {
                    bundle = bundle.state_file(path);
                }
                let bundle = From::File(bundle.revision_order(order));
                return Some((name, policy, bundle));
            }
            let pull = self.pull(table);
            let encrypted = pull.as_ref().map(|it| it.url().is_encrypted());
            let proof = self.proof(table, encrypted);
            let (address, timeout) = reached(table);
            let first = table.duration("first_within");
            let state = self.path(table, "state");
            let (name, policy) = (name?, Arc::new(policy?));
            let consumer = Arc::clone(&policy);
            let mut bundle = match proof? {
                Proof::Roots(roots) => OpaBundle::new(pull?, roots, consumer),
                Proof::None => OpaBundle::without_roots(pull?, consumer),
            };
            if let Some(address) = address {
                bundle = bundle.address(address);
            }
            if let Some(timeout) = timeout {
                bundle = bundle.fetch_timeout(timeout);
            }
            if let Some(span) = first {
                bundle = bundle.first_within(span);
            }
            if let Some(path) = state {
                bundle = bundle.state_file(path);
            }
            Some((name, policy, From::Pulled(Box::new(bundle))))
        }

        /// A bundle that lies in a file.
        fn file(self, table: &mut Table<'_, '_>) -> Option<(PathBuf, BundleReader, RevisionOrder)> {
            let message = "a bundle is in a `file` or at a `url`";
            table.refuse("url", message, "remove it, or `file`");
            let message = "a bundle in a `file` is not pulled";
            refuse_all(table, &OF_PULLED, message, "remove it");
            let reader = self.reader(table);
            let order = order(table);
            let path = self.path(table, "file");
            Some((path?, reader?, order))
        }

        fn pull(self, table: &mut Table<'_, '_>) -> Option<BundlePull> {
            table.need("url", "write where the bundle is served, or its `file`");
            let reader = self.reader(table);
            let token = table.parsed("bearer_token_file", |path| {
                self.line(path, MAX_SECRET_BYTES)
            });
            let keys = ["min_delay", "max_delay"];
            let absent = [DEFAULT_MIN_DELAY, DEFAULT_MAX_DELAY];
            let (least, most) = between(table, keys, absent);
            let poll = Duration::from_secs(1)..=LONGEST_POLL;
            let poll = within(table, "long_polling", &poll);
            let age = within(table, "max_age", &SPANS);
            let order = order(table);
            if !has(table, "url") {
                return None;
            }
            let reader = reader?;
            let pull = table.parsed("url", |url| {
                BundlePull::new(url, reader).map_err(|error| error.to_string())
            });
            let pull = pull?.delays(least, most);
            let mut pull = pull.revision_order(order);
            if let Some(wait) = poll {
                pull = pull.long_polling(wait);
            }
            if let Some(age) = age {
                pull = pull.max_age(age);
            }
            let Some(token) = token else {
                return Some(pull);
            };
            // The error says nothing of the token (law 7).
            match pull.bearer_token(&token) {
                Ok(pull) => Some(pull),
                Err(error) => {
                    let message = "the token of `bearer_token_file` cannot be sent";
                    table.refuse("bearer_token_file", message, &error.to_string());
                    None
                }
            }
        }

        /// Who must have signed the bundle.
        fn reader(self, table: &mut Table<'_, '_>) -> Option<BundleReader> {
            let limits = limits(table);
            let scope = table.text("scope");
            if table.boolean("allow_unsigned") == Some(true) {
                let message = "`allow_unsigned` takes bundles that nobody signed";
                refuse_all(
                    table,
                    &["keys", "scope"],
                    message,
                    "remove it, or `allow_unsigned`",
                );
                return Some(BundleReader::unsigned().limits(limits));
            }
            let help = "write who must have signed it, as in `keys = [{ algorithm = \"ES256\", public_key = \"bundles.pub.pem\" }]`";
            table.need("keys", help);
            let read = |inner: &mut Table<'_, '_>| self.key(inner);
            let keys = table.tables(
                "keys",
                "`keys` of [[opa_bundles]]",
                MAX_VERIFICATION_KEYS,
                read,
            );
            let keys: Option<Vec<_>> = keys.into_iter().collect();
            let mut keys = keys?.into_iter();
            let Some(first) = keys.next() else {
                let message = "`keys` is an empty list, so that no bundle is ever taken";
                table.refuse("keys", message, help);
                return None;
            };
            let verification = keys.fold(Verification::new(first), Verification::or);
            let verification = match scope {
                Some(scope) => verification.scope(&scope),
                None => verification,
            };
            Some(BundleReader::verified(verification).limits(limits))
        }

        fn key(self, table: &mut Table<'_, '_>) -> Option<VerificationKey> {
            let said = |error: ztl_authz::bundle::VerificationKeyError| error.to_string();
            if has(table, "jwk") {
                let message = "a JWK says all of it itself";
                let keys = ["algorithm", "public_key", "secret_file"];
                refuse_all(table, &keys, message, "remove it, or `jwk`");
                return table.parsed("jwk", |path| {
                    VerificationKey::from_jwk(&self.bytes(path, MAX_KEY_BYTES)?).map_err(said)
                });
            }
            table.need("algorithm", "write what it signs with, as in `ES256`");
            let algorithm = table.parsed("algorithm", |name| name.parse().map_err(said));
            if has(table, "secret_file") {
                let message = "a bundle is signed with a key or with a secret";
                table.refuse("public_key", message, "remove it, or `secret_file`");
                let algorithm = algorithm?;
                return table.parsed("secret_file", |path| {
                    let secret = self.line(path, MAX_SECRET_BYTES)?;
                    VerificationKey::from_secret(algorithm, secret.as_bytes()).map_err(said)
                });
            }
            table.need(
                "public_key",
                "write the path of a public key in PEM, or a `secret_file` or `jwk`",
            );
            let path = has(table, "public_key");
            let algorithm = algorithm.filter(|_| path)?;
            table.parsed("public_key", |path| {
                let pem = self.bytes(path, MAX_KEY_BYTES)?;
                VerificationKey::from_pem(algorithm, &pem).map_err(said)
            })
        }
    }

    /// How revisions have to follow one another.
    fn order(table: &mut Table<'_, '_>) -> RevisionOrder {
        let order = table.parsed("revision_order", |text| match text {
            "found" => Ok(RevisionOrder::Found),
            "required" => Ok(RevisionOrder::Required),
            "ignored" => Ok(RevisionOrder::Ignored),
            _ => Err("write `found`, `required` or `ignored`".to_owned()),
        });
        order.unwrap_or_default()
    }

    /// What of the bundle answers, and what it is handed.
    fn policy(table: &mut Table<'_, '_>) -> Option<RegoBundle> {
        table.need(
            "engine",
            "write `rego` for the interpreter, or `opa` for WebAssembly",
        );
        table.need(
            "entrypoint",
            "write the rule that answers, as in `authz/allow`",
        );
        let engine = table.parsed("engine", engine);
        let entrypoint = table.parsed("entrypoint", owned);
        let reads = table.each("reads", reads);
        let reads = reads
            .into_iter()
            .fold(Reads::nothing(), |all, add| add(all));
        let timeout = within(table, "timeout", &(Duration::from_millis(1)..=MAX_TIMEOUT));
        let memory = memory(table, engine);
        let entrypoint = entrypoint?;
        let mut policy = match engine? {
            #[cfg(feature = "rego")]
            Engine::Interpreter => RegoBundle::interpreter(&entrypoint, reads),
            #[cfg(feature = "opa")]
            Engine::Wasm => RegoBundle::wasm(&entrypoint, reads),
        };
        if let Some(timeout) = timeout {
            policy = policy.timeout(timeout);
        }
        if let Some(memory) = memory {
            policy = policy.memory(memory);
        }
        Some(policy)
    }

    fn engine(text: &str) -> Result<Engine, String> {
        match text {
            #[cfg(feature = "rego")]
            "rego" => Ok(Engine::Interpreter),
            #[cfg(feature = "opa")]
            "opa" => Ok(Engine::Wasm),
            #[cfg(not(feature = "rego"))]
            "rego" => Err(super::super::lacks("rego")),
            #[cfg(not(feature = "opa"))]
            "opa" => Err(super::super::lacks("opa")),
            _ => Err("write `rego` or `opa`".to_owned()),
        }
    }

    fn reads(name: &str) -> Result<fn(Reads) -> Reads, String> {
        Ok(match name {
            "token" => Reads::with_token,
            "trust_score" => Reads::with_trust_score,
            "posture" => Reads::with_posture,
            "context" => Reads::with_context,
            _ => return Err("write `token`, `trust_score`, `posture` or `context`".to_owned()),
        })
    }

    /// The interpreter cannot bound what it takes.
    fn memory(table: &mut Table<'_, '_>, engine: Option<Engine>) -> Option<u64> {
        #[cfg(feature = "rego")]
        if let Some(Engine::Interpreter) = engine {
            let message = "`memory` cannot be bounded by the interpreter";
            table.refuse("memory", message, "remove it, or write `engine = \"opa\"`");
            return None;
        }
        let _ = engine;
        let bytes = table.integer("memory", 1 << 20..=MOST)?;
        u64::try_from(bytes).ok()
    }

    /// `limits = { compressed_bytes = .., .. }`
    fn limits(table: &mut Table<'_, '_>) -> Limits {
        let mut limits = Limits::default();
        let _ = table.table("limits", "[opa_bundles.limits]", |inner| {
            for (key, limit) in [
                ("compressed_bytes", &mut limits.compressed_bytes),
                ("unpacked_bytes", &mut limits.unpacked_bytes),
                ("ratio", &mut limits.ratio),
                ("files", &mut limits.files),
                ("json_bytes", &mut limits.json_bytes),
            ] {
                let said = inner.integer(key, 1..=MOST);
                let said = said.and_then(|said| usize::try_from(said).ok());
                *limit = said.unwrap_or(*limit);
            }
        });
        limits
    }
}

#[cfg(not(all(feature = "bundle", any(feature = "opa", feature = "rego"))))]
impl Here<'_> {
    pub(super) fn opa_bundles(
        self,
        table: &mut Table<'_, '_>,
        builder: GuardBuilder,
    ) -> GuardBuilder {
        let lacking = if cfg!(feature = "bundle") {
            // Somebody has to answer by what is in them.
            "rego"
        } else {
            "bundle"
        };
        super::not_built(table, "opa_bundles", lacking);
        builder
    }
}
