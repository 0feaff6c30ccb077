//! `[[federated]]`: other trust domains, whose bundles are fetched.

use ztl_core::settings::Table;

use super::Here;
use crate::guard::GuardBuilder;

#[cfg(feature = "federation")]
mod federation {
    use ztl_core::SpiffeId;
    use ztl_mtls::WebRoots;
    use ztl_mtls::source::{BundleEndpoint, LONGEST_REFRESH, SHORTEST_REFRESH};

    use super::super::fetched::Names;
    use super::super::fetched::host::{between, reached};
    use super::super::fetched::keys::has;
    use super::super::{MAX_TABLES, trust_domain};
    use super::*;
    use crate::federation::FederatedBundle;

    /// How an endpoint proves itself (SPIFFE Federation §5.2).
    #[derive(Clone, Copy)]
    enum Profile {
        Web,
        Spiffe,
    }

    /// By what.
    enum Proof {
        Web(WebRoots),
        Spiffe(String),
    }

    impl Here<'_> {
        pub(in crate::guard::file) fn federated(
            self,
            table: &mut Table<'_, '_>,
            mut builder: GuardBuilder,
        ) -> GuardBuilder {
            let names = Names::default();
            let read = |inner: &mut Table<'_, '_>| self.federated_bundle(inner, &names);
            let bundles = table.tables("federated", "[[federated]]", MAX_TABLES, read);
            for bundle in bundles.into_iter().flatten() {
                builder = builder.federated_bundle(bundle);
            }
            builder
        }

        fn federated_bundle(
            self,
            table: &mut Table<'_, '_>,
            names: &Names,
        ) -> Option<FederatedBundle> {
            let endpoint = self.bundle_endpoint(table, names);
            let keys = ["refresh_shortest", "refresh_longest"];
            let (shortest, longest) = between(table, keys, [SHORTEST_REFRESH, LONGEST_REFRESH]);
            let any_age = table.boolean("allow_any_age") == Some(true);
            if any_age {
                let message = "with `allow_any_age` a bundle stays for ever";
                table.refuse("max_age", message, "remove it, or `allow_any_age`");
            }
            let max_age = table.duration("max_age");
            let redirects = table.boolean("redirects");
            let bootstrap = self.path(table, "bootstrap");
            let state = self.path(table, "state");
            let (address, timeout) = reached(table);
            let svids = jwt_svids(table);
            let mut endpoint = endpoint?.refresh_between(shortest, longest);
            if let Some(age) = max_age {
                endpoint = endpoint.max_age(age);
            }
            if any_age {
                endpoint = endpoint.allow_any_age();
            }
            if redirects == Some(false) {
                endpoint = endpoint.refuse_redirects();
            }
            let mut bundle = FederatedBundle::new(endpoint);
            if let Some(path) = bootstrap {
                bundle = bundle.bootstrap_file(path);
            }
            if let Some(path) = state {
                bundle = bundle.state_file(path);
            }
            if let Some(address) = address {
                bundle = bundle.address(address);
            }
            if let Some(timeout) = timeout {
                bundle = bundle.fetch_timeout(timeout);
            }
            Some(with_svids(bundle, svids))
        }

        fn bundle_endpoint(
            self,
            table: &mut Table<'_, '_>,
            names: &Names,
        ) -> Option<BundleEndpoint> {
            let help = "write whose bundle it is, as in `partner.example`";
            table.need("trust_domain", help);
            table.need("url", "write where the bundle is published, an `https` URL");
            let help = "write `https_spiffe` where the endpoint proves itself by an SVID, or `https_web` where by the Web PKI";
            table.need("profile", help);
            let profile = table.parsed("profile", |text| match text {
                "https_web" => Ok(Profile::Web),
                "https_spiffe" => Ok(Profile::Spiffe),
                _ => Err(help.to_owned()),
            });
            let domain = table.parsed("trust_domain", |text| {
                trust_domain(text)?;
                names.once(text)
            });
            let proof = self.endpoint_proof(table, profile);
            if !has(table, "url") {
                return None;
            }
            let (domain, proof) = (domain?, proof?);
            let read = |url: &str| match proof {
                Proof::Web(roots) => BundleEndpoint::https_web(&domain, url, roots),
                Proof::Spiffe(id) => BundleEndpoint::https_spiffe(&domain, url, &id),
            };
            table.parsed("url", |url| read(url).map_err(|error| error.to_string()))
        }

        fn endpoint_proof(
            self,
            table: &mut Table<'_, '_>,
            profile: Option<Profile>,
        ) -> Option<Proof> {
            match profile {
                Some(Profile::Web) => {
                    let message = "under `https_web` the host proves itself, and no workload";
                    table.refuse("endpoint_id", message, "remove it, or write `https_spiffe`");
                    self.roots(table).map(Proof::Web)
                }
                Some(Profile::Spiffe) => {
                    let message = "under `https_spiffe` a bundle proves the endpoint, and no roots";
                    table.refuse("roots", message, "remove them, or write `https_web`");
                    let help = "write the SPIFFE ID by which the endpoint proves itself";
                    table.need("endpoint_id", help);
                    let read = |id: &str| match SpiffeId::parse_workload(id) {
                        Ok(_) => Ok(Proof::Spiffe(id.to_owned())),
                        Err(error) => Err(format!("it {error}; {help}")),
                    };
                    table.parsed("endpoint_id", read)
                }
                None => {
                    let _ = (has(table, "endpoint_id"), has(table, "roots"));
                    None
                }
            }
        }
    }

    /// `jwt_svids = { name = .., audience = .. }`
    fn jwt_svids(table: &mut Table<'_, '_>) -> Option<(String, String)> {
        if cfg!(not(feature = "jwt")) {
            super::super::not_built(table, "jwt_svids", "jwt");
            return None;
        }
        let read = |inner: &mut Table<'_, '_>| {
            let help = "write it as [issuers.NAME] of the policy has it";
            inner.need("name", help);
            inner.need("audience", help);
            inner.text("name").zip(inner.text("audience"))
        };
        let read = table.table("jwt_svids", "[federated.jwt_svids]", read);
        read.flatten()
    }

    #[cfg(feature = "jwt")]
    fn with_svids(bundle: FederatedBundle, svids: Option<(String, String)>) -> FederatedBundle {
        match svids {
            Some((name, audience)) => bundle.jwt_svids(&name, &audience),
            None => bundle,
        }
    }

    #[cfg(not(feature = "jwt"))]
    fn with_svids(bundle: FederatedBundle, _: Option<(String, String)>) -> FederatedBundle {
        bundle
    }
}

#[cfg(not(feature = "federation"))]
impl Here<'_> {
    pub(super) fn federated(
        self,
        table: &mut Table<'_, '_>,
        builder: GuardBuilder,
    ) -> GuardBuilder {
        super::not_built(table, "federated", "federation");
        builder
    }
}
