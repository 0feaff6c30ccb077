//! `posture`, `[[signals]]` and `[behaviour]`: what is known of callers.

use ztl_core::settings::Table;

use super::Here;
use crate::guard::GuardBuilder;

#[cfg(feature = "trust")]
mod trust {
    use core::time::Duration;
    use std::path::PathBuf;

    use ztl_authz::trust::{Behaviour, Measure};

    use super::super::MAX_TABLES;
    use super::super::fetched::Names;
    use super::super::fetched::keys::{has, refuse_all, within};
    use super::*;

    /// Where signals come from.
    enum Source {
        File(PathBuf),
        #[cfg(feature = "client")]
        Fetched(Box<crate::polled::FetchedSignals>),
    }

    /// Keys for signals that are fetched.
    const FETCHED: [&str; 9] = [
        "url",
        "allow_plain_loopback",
        "roots",
        "address",
        "fetch_timeout",
        "poll_every",
        "keep_for",
        "with_identity",
        "bearer_token_file",
    ];

    /// A window slides by an eighth of it, which is a second at least.
    const WINDOWS: core::ops::RangeInclusive<Duration> =
        Duration::from_secs(8)..=Duration::from_secs(30 * 24 * 3600);

    impl Here<'_> {
        pub(in crate::guard::file) fn known(
            self,
            table: &mut Table<'_, '_>,
            mut builder: GuardBuilder,
        ) -> GuardBuilder {
            if let Some(path) = self.path(table, "posture") {
                builder = builder.posture_file(path);
            }
            let names = Names::default();
            let read = |inner: &mut Table<'_, '_>| self.source(inner, &names);
            let sources = table.tables("signals", "[[signals]]", MAX_TABLES, read);
            for (names, from) in sources.into_iter().flatten() {
                let names = names.iter().map(String::as_str);
                builder = match from {
                    Source::File(path) => builder.signal_file(names, path),
                    #[cfg(feature = "client")]
                    Source::Fetched(from) => builder.fetched_signals(names, *from),
                };
            }
            behaviour(table, builder, &names)
        }

        fn source(self, table: &mut Table<'_, '_>, names: &Names) -> Option<(Vec<String>, Source)> {
            let help = "write the names of [trust.signals.NAME] that it gives";
            table.need("names", help);
            let names = table.each("names", |name| names.once(name));
            if !has(table, "file") {
                return Some((names, self.fetched_signals(table)?));
            }
            let message = "`file` has the signals, and none are fetched";
            refuse_all(table, &FETCHED, message, "remove it, or `file`");
            Some((names, Source::File(self.path(table, "file")?)))
        }

        #[cfg(feature = "client")]
        fn fetched_signals(self, table: &mut Table<'_, '_>) -> Option<Source> {
            use ztl_authz::trust::SignalEndpoint;

            use super::super::fetched::host::{SPANS, reached};
            use super::super::fetched::proof::Proof;
            use crate::polled::FetchedSignals;

            if !has(table, "url") {
                let help = "write the path of a table of signals in JSON, or the `url` of one";
                table.need("file", help);
            }
            let read = if table.boolean("allow_plain_loopback") == Some(true) {
                SignalEndpoint::allow_plain_loopback
            } else {
                SignalEndpoint::new
            };
            let endpoint = table.parsed("url", |url| read(url).map_err(|error| error.to_string()));
            let every = within(table, "poll_every", &SPANS);
            let kept = within(table, "keep_for", &SPANS);
            let proof = self.proof(table, endpoint.as_ref().map(|it| it.url().is_encrypted()));
            let (address, timeout) = reached(table);
            let identity = table.boolean("with_identity");
            let token = self.path(table, "bearer_token_file");
            let mut endpoint = endpoint?;
            if let Some(every) = every {
                endpoint = endpoint.poll_every(every);
            }
            if let Some(span) = kept {
                endpoint = endpoint.keep_for(span);
            }
            let mut from = match proof? {
                Proof::Roots(roots) => FetchedSignals::new(endpoint, roots),
                Proof::None => FetchedSignals::without_roots(endpoint),
            };
            if identity == Some(true) {
                from = from.with_identity();
            }
            if let Some(path) = token {
                from = from.bearer_token_file(path);
            }
            if let Some(address) = address {
                from = from.address(address);
            }
            if let Some(timeout) = timeout {
                from = from.fetch_timeout(timeout);
            }
            Some(Source::Fetched(Box::new(from)))
        }

        #[cfg(not(feature = "client"))]
        fn fetched_signals(self, table: &mut Table<'_, '_>) -> Option<Source> {
            for key in FETCHED {
                super::super::not_built(table, key, "client");
            }
            table.need("file", "write the path of a table of signals in JSON");
            None
        }
    }

    /// `[behaviour]`: signals that this process finds out itself.
    fn behaviour(
        table: &mut Table<'_, '_>,
        mut builder: GuardBuilder,
        names: &Names,
    ) -> GuardBuilder {
        let read = |inner: &mut Table<'_, '_>| {
            inner.need(
                "window",
                "write over which time decisions are counted, as in `\"10m\"`",
            );
            inner.need(
                "usual",
                "write how many decisions a caller may need in that time",
            );
            inner.need(
                "signals",
                "write `signals = { NAME = \"calm\" }`, by the names of [trust.signals.NAME]",
            );
            let window = within(inner, "window", &WINDOWS);
            let usual = inner.integer("usual", 1..=i64::from(u32::MAX));
            let once = |name: &str| names.once(name).map(|_| ());
            let signals = inner.entries("signals", once, measure);
            Some((window?, u32::try_from(usual?).ok()?, signals))
        };
        let read = table.table("behaviour", "[behaviour]", read);
        let Some((window, usual, signals)) = read.flatten() else {
            return builder;
        };
        let behaviour = Behaviour::new(window, usual);
        for (name, measure) in signals {
            builder.signals.give(&name, behaviour.measure(measure));
        }
        builder.behaviour(behaviour)
    }

    fn measure(text: &str) -> Result<Measure, String> {
        Ok(match text {
            "denials" => Measure::Denials,
            "rate" => Measure::Rate,
            "novelty" => Measure::Novelty,
            "calm" => Measure::Calm,
            _ => return Err("write `denials`, `rate`, `novelty` or `calm`".to_owned()),
        })
    }
}

#[cfg(not(feature = "trust"))]
impl Here<'_> {
    pub(super) fn known(self, table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
        for key in ["posture", "signals", "behaviour"] {
            super::not_built(table, key, "trust");
        }
        builder
    }
}
