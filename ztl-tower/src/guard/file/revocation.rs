//! `deny_list`, `[crls]` and `[[crl_files]]`: what proves nothing any more.

use std::path::PathBuf;

use ztl_core::TrustDomain;
use ztl_core::settings::Table;
use ztl_mtls::source::CrlFiles;
use ztl_mtls::{RevocationDepth, UnknownStatus};

use super::fetched::Names;
use super::{Here, MAX_TABLES, trust_domain};
use crate::guard::GuardBuilder;

impl Here<'_> {
    pub(super) fn revocation(
        self,
        table: &mut Table<'_, '_>,
        mut builder: GuardBuilder,
    ) -> GuardBuilder {
        if let Some(path) = self.path(table, "deny_list") {
            builder = builder.deny_list_file(path);
        }
        let names = Names::default();
        for (domain, file) in table.entries("crls", trust_domain, |path| Ok(self.at(path))) {
            // Those of one domain are one set.
            let _ = names.once(&domain);
            builder = builder.crl_file(&domain, file);
        }
        let read = |inner: &mut Table<'_, '_>| self.crl_files(inner, &names);
        let files = table.tables("crl_files", "[[crl_files]]", MAX_TABLES, read);
        files
            .into_iter()
            .flatten()
            .fold(builder, GuardBuilder::crl_files)
    }

    /// The lists of one trust domain, with a choice of their own.
    fn crl_files(self, table: &mut Table<'_, '_>, names: &Names) -> Option<CrlFiles> {
        table.need(
            "trust_domain",
            "write whose lists they are, as in `prod.example`",
        );
        table.need("files", "write the paths of revocation lists");
        let domain = table.parsed("trust_domain", |text| {
            trust_domain(text)?;
            names.once(text)?;
            TrustDomain::parse(text).map_err(|error| error.to_string())
        });
        let files: Vec<PathBuf> = table.each("files", |path| Ok(self.at(path)));
        let unknown = match table.boolean("allow_unknown_status") {
            Some(true) => UnknownStatus::Allow,
            Some(false) | None => UnknownStatus::Deny,
        };
        let depth = table.parsed("depth", |text| match text {
            "chain" => Ok(RevocationDepth::Chain),
            "leaf" => Ok(RevocationDepth::Leaf),
            _ => Err("write `chain` or `leaf`".to_owned()),
        });
        let lists = CrlFiles::new(domain?, files).with_unknown_status(unknown);
        Some(lists.with_depth(depth.unwrap_or_default()))
    }
}
