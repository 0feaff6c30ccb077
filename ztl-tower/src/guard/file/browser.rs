//! `[browser]`: the boundary towards browsers, which the program puts around its service.

use ztl_core::settings::Table;

use super::Here;
use crate::guard::GuardBuilder;

#[cfg(feature = "browser")]
mod boundary {
    use super::super::fetched::owned;
    use super::*;
    use crate::browser::{Browser, Csp, Integrity, OriginError, SourceError};

    /// Largest file whose content a page may run.
    const MAX_ASSET_BYTES: usize = 16 * 1024 * 1024;

    /// Lets pages take something from a source.
    type Take = fn(Csp, &str) -> Result<Csp, SourceError>;
    const SOURCES: [(&str, Take); 10] = [
        ("script", Csp::script),
        ("style", Csp::style),
        ("image", Csp::image),
        ("font", Csp::font),
        ("media", Csp::media),
        ("connect", Csp::connect),
        ("frame", Csp::frame),
        ("worker", Csp::worker),
        ("manifest", Csp::manifest),
        ("form_action", Csp::form_action),
    ];
    /// Lets them take this very content.
    type TakeFile = fn(Csp, &Integrity) -> Csp;
    const FILES: [(&str, TakeFile); 2] = [
        ("script_files", Csp::script_hash),
        ("style_files", Csp::style_hash),
    ];
    type Say = fn(Csp) -> Csp;
    const NONCES: [(&str, Say); 2] = [
        ("script_nonce", Csp::script_nonce),
        ("style_nonce", Csp::style_nonce),
    ];

    impl Here<'_> {
        pub(in crate::guard::file) fn browser(
            self,
            table: &mut Table<'_, '_>,
            mut builder: GuardBuilder,
        ) -> GuardBuilder {
            let read = |inner: &mut Table<'_, '_>| self.boundary(inner);
            builder.browser = table.table("browser", "[browser]", read);
            builder
        }

        fn boundary(self, table: &mut Table<'_, '_>) -> Browser {
            let said = |error: SourceError| error.to_string();
            let mut csp = Csp::none();
            for (key, take) in SOURCES {
                let fits = |source: &str| take(Csp::none(), source).map_err(said);
                for source in table.each(key, |text| fits(text).and_then(|_| owned(text))) {
                    // It was taken once.
                    csp = take(csp.clone(), &source).unwrap_or(csp);
                }
            }
            for (key, take) in FILES {
                let read = |path: &str| Ok(Integrity::of(&self.bytes(path, MAX_ASSET_BYTES)?));
                for integrity in table.each(key, read) {
                    csp = take(csp, &integrity);
                }
            }
            for (key, say) in NONCES {
                if table.boolean(key) == Some(true) {
                    csp = say(csp);
                }
            }
            let mut browser = Browser::new(csp);
            let none = Browser::new(Csp::none());
            let said = |error: OriginError| error.to_string();
            let fits = |origin: &str| none.clone().allow_origin(origin).map_err(said);
            for origin in table.each("allow_origins", |text| fits(text).and_then(|_| owned(text))) {
                browser = browser.clone().allow_origin(&origin).unwrap_or(browser);
            }
            if table.boolean("allow_other_clients") == Some(true) {
                browser = browser.allow_other_clients();
            }
            browser
        }
    }
}

#[cfg(not(feature = "browser"))]
impl Here<'_> {
    pub(super) fn browser(self, table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
        super::not_built(table, "browser", "browser");
        builder
    }
}
