//! `[[issuers]]`: whose bearer tokens are taken, and where their keys come from.

use ztl_core::settings::Table;

use super::Here;
use crate::guard::GuardBuilder;

#[cfg(feature = "jwt")]
mod jwt {
    use core::time::Duration;
    use std::path::PathBuf;

    use ztl_authz::jwt::{Issuer, Jwks, MAX_LEEWAY};
    use ztl_core::TrustDomain;

    use super::super::MAX_TABLES;
    use super::super::fetched::keys::{has, refuse_all, within};
    use super::super::fetched::{Names, owned};
    use super::*;

    /// What the tokens of an issuer are.
    #[derive(Clone, Copy)]
    enum Kind {
        Access,
        Id,
        Svid,
    }

    /// Where its keys come from.
    enum Keys {
        File(PathBuf),
        #[cfg(feature = "oidc")]
        Fetched(Box<crate::keys::FetchedKeys>),
    }

    /// Keys for keys that are fetched.
    const FETCHED: [&str; 9] = [
        "discovery",
        "jwks_url",
        "allow_plain_loopback",
        "roots",
        "address",
        "fetch_timeout",
        "refresh_every",
        "cool_down",
        "max_stale",
    ];

    impl Here<'_> {
        pub(in crate::guard::file) fn issuers(
            self,
            table: &mut Table<'_, '_>,
            mut builder: GuardBuilder,
        ) -> GuardBuilder {
            let (names, isses) = (Names::default(), Names::default());
            let read = |inner: &mut Table<'_, '_>| self.issuer(inner, &names, &isses);
            let issuers = table.tables("issuers", "[[issuers]]", MAX_TABLES, read);
            for (issuer, keys) in issuers.into_iter().flatten() {
                builder = match keys {
                    Keys::File(path) => builder.issuer_file(issuer, path),
                    #[cfg(feature = "oidc")]
                    Keys::Fetched(keys) => builder.fetched_issuer(issuer, *keys),
                };
            }
            builder
        }

        fn issuer(
            self,
            table: &mut Table<'_, '_>,
            names: &Names,
            isses: &Names,
        ) -> Option<(Issuer, Keys)> {
            let of_policy = "write it as [issuers.NAME] of the policy has it";
            for key in ["name", "issuer", "audience"] {
                table.need(key, of_policy);
            }
            let name = table.parsed("name", |name| names.once(name));
            let kind = table.parsed("tokens", |text| match text {
                "access" => Ok(Kind::Access),
                "id" => Ok(Kind::Id),
                "svid" => Ok(Kind::Svid),
                _ => Err("write `access`, `id` or `svid`".to_owned()),
            });
            let kind = kind.unwrap_or(Kind::Access);
            let iss = table.parsed("issuer", |iss| isses.once(iss));
            let domain = match kind {
                Kind::Svid => table.parsed("issuer", trust_domain),
                Kind::Access | Kind::Id => None,
            };
            let audiences = table.each("audience", owned);
            let types = table.each("typ", owned);
            let leeway = within(table, "leeway", &(Duration::from_millis(1)..=MAX_LEEWAY));
            let keys = self.issuer_keys(table, kind);
            let (audience, more) = audiences.split_first()?;
            let (name, iss, none) = (name?, iss?, Jwks::none());
            let issuer = match kind {
                Kind::Access => Issuer::access_tokens(&name, &iss, audience, none),
                Kind::Id => Issuer::id_tokens(&name, &iss, audience, none),
                Kind::Svid => Issuer::jwt_svids(&name, &domain?, audience, none),
            };
            let issuer = more
                .iter()
                .fold(issuer, |issuer, more| issuer.with_audience(more));
            let issuer = match leeway {
                Some(leeway) => issuer.with_leeway(leeway),
                None => issuer,
            };
            let issuer = match types.as_slice() {
                [] => issuer,
                types => issuer.only_typ(types.iter().map(String::as_str)),
            };
            Some((issuer, keys?))
        }

        fn issuer_keys(self, table: &mut Table<'_, '_>, kind: Kind) -> Option<Keys> {
            if !has(table, "jwks_file") {
                return self.fetched_keys(table);
            }
            if cfg!(not(feature = "federation")) && matches!(kind, Kind::Svid) {
                super::super::not_built(table, "tokens", "federation");
            }
            let message = "`jwks_file` has the keys, and none are fetched";
            refuse_all(table, &FETCHED, message, "remove it, or `jwks_file`");
            self.path(table, "jwks_file").map(Keys::File)
        }

        #[cfg(feature = "oidc")]
        fn fetched_keys(self, table: &mut Table<'_, '_>) -> Option<Keys> {
            use super::super::fetched::host::{SPANS, reached};
            use super::super::fetched::proof::Proof;
            use crate::keys::FetchedKeys;

            let endpoint = endpoint(table);
            let [every, cool_down, stale] =
                ["refresh_every", "cool_down", "max_stale"].map(|key| within(table, key, &SPANS));
            let (address, timeout) = reached(table);
            let encrypted = endpoint.as_ref().map(|it| it.url().is_encrypted());
            let proof = self.proof(table, encrypted);
            let (mut endpoint, proof) = (endpoint?, proof?);
            if let Some(every) = every {
                endpoint = endpoint.refresh_every(every);
            }
            if let Some(span) = cool_down {
                endpoint = endpoint.cool_down(span);
            }
            if let Some(span) = stale {
                endpoint = endpoint.max_stale(span);
            }
            let mut keys = match proof {
                Proof::Roots(roots) => FetchedKeys::new(endpoint, roots),
                Proof::None => FetchedKeys::without_roots(endpoint),
            };
            if let Some(address) = address {
                keys = keys.address(address);
            }
            if let Some(timeout) = timeout {
                keys = keys.fetch_timeout(timeout);
            }
            Some(Keys::Fetched(Box::new(keys)))
        }

        #[cfg(not(feature = "oidc"))]
        fn fetched_keys(self, table: &mut Table<'_, '_>) -> Option<Keys> {
            for key in FETCHED {
                super::super::not_built(table, key, "oidc");
            }
            table.need("jwks_file", "write the path of a key set (RFC 7517)");
            None
        }
    }

    #[cfg(feature = "oidc")]
    fn endpoint(table: &mut Table<'_, '_>) -> Option<ztl_authz::jwt::JwksEndpoint> {
        use ztl_authz::jwt::JwksEndpoint;

        let plain = table.boolean("allow_plain_loopback") == Some(true);
        let said = |error: ztl_authz::jwt::EndpointError| error.to_string();
        if table.boolean("discovery") == Some(true) {
            let message = "by `discovery` the issuer itself says where its keys are";
            table.refuse("jwks_url", message, "remove it, or `discovery`");
            let find = if plain {
                JwksEndpoint::discovery_allow_plain_loopback
            } else {
                JwksEndpoint::discovery
            };
            return table.parsed("issuer", |iss| find(iss).map_err(said));
        }
        let message = "`allow_plain_loopback` is for `discovery`";
        table.refuse("allow_plain_loopback", message, "remove it");
        if !has(table, "jwks_url") {
            let help = "write `discovery = true`, or where the keys are: `jwks_url` or `jwks_file`";
            table.need("jwks_file", help);
        }
        table.parsed("jwks_url", |url| JwksEndpoint::jwks_url(url).map_err(said))
    }

    /// `spiffe://prod.example`, as the policy names the issuer of JWT-SVIDs.
    fn trust_domain(iss: &str) -> Result<TrustDomain, String> {
        let help = "write the trust domain whose JWT-SVIDs they are, as in `spiffe://prod.example`";
        let name = iss.strip_prefix("spiffe://").ok_or(help)?;
        TrustDomain::parse(name).map_err(|error| format!("it {error}; {help}"))
    }
}

#[cfg(not(feature = "jwt"))]
impl Here<'_> {
    pub(super) fn issuers(self, table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
        super::not_built(table, "issuers", "jwt");
        builder
    }
}
