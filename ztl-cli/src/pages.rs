//! The pages of lints and reasons, so that the tool can print them. They are the files of `docs/lints` and `docs/reasons`.

/// Each name with its page.
type Pages = &'static [(&'static str, &'static str)];

macro_rules! pages {
    ($folder:literal: $($name:literal)*) => {
        &[$(($name, include_str!(concat!("../pages/", $folder, "/", $name, ".md")))),*]
    };
}

/// By slug.
pub(crate) const LINTS: Pages = pages!("lints":
    "any-beside-specific"
    "duplicate-permit"
    "file-open-to-others"
    "lint-incomplete"
    "list-means-or"
    "nested-zones"
    "never-matching-rule"
    "no-tests"
    "permit-any-to-any"
    "permit-shadowed-by-forbid"
    "raw-and-http-port"
    "rule-in-shadow"
    "rule-off"
    "shadow-without-effect"
    "shared-audience"
    "test-reads-the-clock"
    "undeclared-issuer"
    "unreachable-workload"
    "unused-issuer"
    "void-requirement"
    "workload-without-egress"
);

/// By code.
pub(crate) const REASONS: Pages = pages!("reasons":
    "audit_unavailable"
    "authorizer_failed"
    "body_too_large"
    "body_unfit"
    "clock_untrusted"
    "evidence_missing"
    "evidence_stale"
    "flow_withdrawn"
    "forbidden"
    "forwarded_untrusted"
    "identity_expired"
    "identity_revoked"
    "identity_unproven"
    "limit_exceeded"
    "misdirected"
    "no_action_permitted"
    "no_flow_permitted"
    "not_judged"
    "objected"
    "obligation_unknown"
    "path_ambiguous"
    "permitted"
    "requirement_unmet"
    "zone_mismatch"
    "zone_unknown"
);

/// The page of a lint or a reason.
pub(crate) fn page(name: &str) -> Option<&'static str> {
    let mut all = LINTS.iter().chain(REASONS);
    all.find(|(known, _)| *known == name).map(|(_, page)| *page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;
    use ztl_core::Reason;
    use ztl_core::analysis::lint::Lint;

    fn names(pages: Pages) -> BTreeSet<String> {
        pages.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// The pages that lie in a folder.
    fn files(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("pages")
            .join(folder);
        let entries = std::fs::read_dir(folder).expect("pages");
        let names = entries.map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .into_string()
                .expect("name")
        });
        names
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .filter(|name| name != "README")
            .collect()
    }

    #[test]
    fn every_lint_has_a_page_and_every_page_a_lint() {
        let lints: BTreeSet<_> = Lint::ALL
            .iter()
            .map(|lint| lint.slug().to_owned())
            .collect();
        assert_eq!(names(LINTS), lints);
        assert_eq!(files("lints"), lints);
    }

    #[test]
    fn every_reason_has_a_page_and_every_page_a_reason() {
        let codes: BTreeSet<_> = Reason::ALL
            .iter()
            .map(|reason| reason.code().to_owned())
            .collect();
        assert_eq!(names(REASONS), codes);
        assert_eq!(files("reasons"), codes);
    }

    #[test]
    fn the_index_of_the_reasons_leads_to_each() {
        let index = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let reasons = std::fs::read_to_string(index.join("reasons.md")).expect("index");
        let lints = std::fs::read_to_string(index.join("lints/README.md")).expect("index");
        for (code, _) in REASONS {
            let row = format!("| <a id=\"{code}\"></a>[`{code}`](reasons/{code}.md) |");
            assert!(reasons.contains(&row), "{code}");
        }
        for lint in Lint::ALL {
            let row = format!("| [`{lint}`]({lint}.md) | {} |", lint.severity());
            assert!(lints.contains(&row), "{lint}");
        }
    }

    #[test]
    fn a_page_begins_with_its_name_and_fits_a_terminal() {
        for (name, page) in LINTS.iter().chain(REASONS) {
            assert!(page.starts_with(&format!("# {name}\n\n")), "{name}");
            assert!(page.ends_with('\n') && !page.ends_with("\n\n"), "{name}");
            let long = page.lines().find(|line| line.chars().count() > 130);
            assert_eq!(long, None, "{name}");
        }
    }
}
