//! What is fetched, and the files beside the guard's own: whom they prove, where a host is reached, what is shown to it.

use core::cell::RefCell;

use super::Here;
use crate::refresh::SteadyFile;

/// Longest file with a secret.
pub(super) const MAX_SECRET_BYTES: usize = 16 * 1024;

/// Names that stand once in the file.
#[derive(Default)]
pub(super) struct Names(RefCell<Vec<String>>);

impl Names {
    pub(super) fn once(&self, name: &str) -> Result<String, String> {
        let mut names = self.0.borrow_mut();
        if names.iter().any(|other| other == name) {
            return Err("another one has it: write it once".to_owned());
        }
        names.push(name.to_owned());
        Ok(name.to_owned())
    }
}

/// Text as it stands.
#[cfg(any(feature = "browser", feature = "jwt"))]
pub(super) fn owned(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

impl Here<'_> {
    /// A file that only its owner may write.
    pub(super) fn bytes(self, path: &str, most: usize) -> Result<Vec<u8>, String> {
        let mut file = SteadyFile::new(self.at(path), most);
        file.load().map_err(|error| error.to_string())
    }

    /// The text of such a file, without the white space around it.
    pub(super) fn line(self, path: &str, most: usize) -> Result<String, String> {
        let bytes = self.bytes(path, most)?;
        let text = core::str::from_utf8(&bytes).map_err(|_| "it holds no text".to_owned())?;
        Ok(text.trim().to_owned())
    }
}

/// Keys that mean something beside others, or within bounds.
#[cfg(any(feature = "federation", feature = "jwt", feature = "trust"))]
pub(super) mod keys {
    use core::ops::RangeInclusive;
    use core::time::Duration;

    use ztl_core::settings::Table;

    /// Whether a text is there, whatever it says.
    pub(in crate::guard::file) fn has(table: &mut Table<'_, '_>, key: &'static str) -> bool {
        table.text(key).is_some()
    }

    /// Keys that mean nothing beside another one.
    pub(in crate::guard::file) fn refuse_all(
        table: &mut Table<'_, '_>,
        keys: &[&'static str],
        why: &str,
        help: &str,
    ) {
        for key in keys {
            table.refuse(key, why, help);
        }
    }

    /// A time within bounds; one beyond them would not be in force as it stands.
    pub(in crate::guard::file) fn within(
        table: &mut Table<'_, '_>,
        key: &'static str,
        bounds: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let span = table.duration(key)?;
        if bounds.contains(&span) {
            return Some(span);
        }
        let (least, most) = (bounds.start(), bounds.end());
        let message = format!("`{key}` takes a time from {least:?} to {most:?}");
        table.refuse(key, &message, "write one within these bounds");
        None
    }
}

/// Where hosts are reached, what proves them, and how often they are asked.
#[cfg(any(
    feature = "federation",
    feature = "oidc",
    all(feature = "client", feature = "trust"),
    all(feature = "bundle", any(feature = "opa", feature = "rego"))
))]
pub(super) mod host {
    use core::net::SocketAddr;
    use core::ops::RangeInclusive;
    use core::time::Duration;

    use ztl_core::settings::Table;
    use ztl_mtls::WebRoots;

    use super::super::{Here, socket_address};
    use super::keys::has;

    /// How often something is fetched, and for how long it counts.
    pub(in crate::guard::file) const SPANS: RangeInclusive<Duration> =
        Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);

    impl Here<'_> {
        /// `roots`, or in their absence `web_roots` of the file.
        pub(in crate::guard::file) fn roots(self, table: &mut Table<'_, '_>) -> Option<WebRoots> {
            let read = |path: std::path::PathBuf| {
                WebRoots::from_pem_file(path).map_err(|error| error.to_string())
            };
            if has(table, "roots") {
                return table.parsed("roots", |path| read(self.at(path)));
            }
            let help = match self.web_roots {
                None => "write the path of the roots that prove the host, in PEM; or `web_roots`, above all tables, for all".to_owned(),
                Some(path) => match read(path.to_owned()) {
                    Ok(roots) => return Some(roots),
                    Err(error) => format!("`web_roots` cannot stand in for them: {error}"),
                },
            };
            table.need("roots", &help);
            None
        }
    }

    /// Times between which something is fetched again, under these two keys.
    #[cfg(any(
        feature = "federation",
        all(feature = "bundle", any(feature = "opa", feature = "rego"))
    ))]
    pub(in crate::guard::file) fn between(
        table: &mut Table<'_, '_>,
        keys: [&'static str; 2],
        absent: [Duration; 2],
    ) -> (Duration, Duration) {
        use super::keys::{refuse_all, within};

        let [least, most] = keys.map(|key| within(table, key, &SPANS));
        let [no_least, no_most] = absent;
        let (least, most) = (least.unwrap_or(no_least), most.unwrap_or(no_most));
        if least > most {
            let message = format!("{least:?} is longer than {most:?}, the longest");
            let help = "write two between which there is something";
            refuse_all(table, &keys, &message, help);
        }
        (least, most)
    }

    /// `address` and `fetch_timeout`
    pub(in crate::guard::file) fn reached(
        table: &mut Table<'_, '_>,
    ) -> (Option<SocketAddr>, Option<Duration>) {
        let address = table.parsed("address", socket_address);
        (address, table.duration("fetch_timeout"))
    }
}

/// What proves a host that may be asked without encryption, too.
#[cfg(any(
    feature = "oidc",
    all(feature = "client", feature = "trust"),
    all(feature = "bundle", any(feature = "opa", feature = "rego"))
))]
pub(super) mod proof {
    use ztl_core::settings::Table;
    use ztl_mtls::WebRoots;

    use super::super::Here;
    use super::keys::has;

    /// What proves a host.
    pub(in crate::guard::file) enum Proof {
        Roots(WebRoots),
        /// It is this very host, or what comes from it is signed.
        None,
    }

    impl Here<'_> {
        /// `roots`, or in their absence `web_roots` of the file. What is not encrypted is proved by neither.
        pub(in crate::guard::file) fn proof(
            self,
            table: &mut Table<'_, '_>,
            encrypted: Option<bool>,
        ) -> Option<Proof> {
            let Some(encrypted) = encrypted else {
                // The URL is refused already.
                let _ = has(table, "roots");
                return None;
            };
            if !encrypted {
                let message = "`roots` prove no host that is not asked over `https`";
                table.refuse("roots", message, "remove them, or ask over `https`");
                return Some(Proof::None);
            }
            self.roots(table).map(Proof::Roots)
        }
    }
}
