//! The lints there are.

use core::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Most likely not what is meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// `warning` or `note`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! lints {
    ($($(#[doc = $doc:literal])* $name:ident = $slug:literal, $severity:ident, $title:literal;)*) => {
        /// What a finding is about. The slugs are stable: a retired one is never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Lint { $($(#[doc = $doc])* $name,)* }

        impl Lint {
            /// Every lint there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable name, in words joined by hyphens; also that of its page.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// How much it matters.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it is, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

lints! {
    /// A permit lets every proved peer reach every workload.
    PermitAnyToAny = "permit-any-to-any", Warning,
        "a permit lets every workload reach every workload";
    /// A rule, or an entry of its lists, that no call can match.
    NeverMatching = "never-matching-rule", Warning,
        "a rule, or one of its entries, can never match";
    /// Whatever the permit lets through, unconditional forbids take away, one or several together.
    ShadowedByForbid = "permit-shadowed-by-forbid", Warning,
        "forbids take away everything that a permit lets through";
    /// Another permit lets through everything that this one does, and asks for the same.
    DuplicatePermit = "duplicate-permit", Warning,
        "a permit adds nothing to another";
    /// Another permit lets through everything that this one does, and asks for less (rule 38).
    VoidRequirement = "void-requirement", Warning,
        "what a permit requires can be walked around through another";
    /// An action `any` makes the specific actions beside it void (rule 38).
    AnyBesideSpecific = "any-beside-specific", Warning,
        "`any` makes specific actions on the same edge void";
    /// A list whose entries read as if all of them had to hold (rule 34).
    ListMeansOr = "list-means-or", Warning,
        "the entries of a list are alternatives";
    /// Raw bytes and requests on one port.
    RawAndHttpPort = "raw-and-http-port", Warning,
        "raw bytes and requests are permitted on one port";
    /// Networks of two zones of which one lies within the other.
    NestedZones = "nested-zones", Warning,
        "the networks of two zones overlap";
    /// A token that is good for more than one workload (T16).
    SharedAudience = "shared-audience", Warning,
        "one token is good for several workloads or issuers";
    /// A rule asks for a token of an issuer that is not declared.
    UndeclaredIssuer = "undeclared-issuer", Warning,
        "a rule asks for a token of an undeclared issuer";
    /// A declared issuer whose tokens no rule asks for.
    UnusedIssuer = "unused-issuer", Warning,
        "no rule asks for a token of a declared issuer";
    /// A workload listens, and nobody may ask anything of it.
    UnreachableWorkload = "unreachable-workload", Warning,
        "a workload listens and nobody may reach it";
    /// A rule in shadow whose outcome is settled by an enforced one.
    ShadowWithoutEffect = "shadow-without-effect", Warning,
        "a rule in shadow changes nothing";
    /// A test whose outcome depends on when it is run.
    TestReadsTheClock = "test-reads-the-clock", Warning,
        "the outcome of a test depends on the clock";
    /// Others than its owner may write the document's file. Found by whoever reads the file; [`lint`](super::lint) sees none.
    FileOpenToOthers = "file-open-to-others", Warning,
        "others than its owner may write the file";
    /// A workload that no enforced permit has as `from`.
    WorkloadWithoutEgress = "workload-without-egress", Note,
        "a workload may call nobody";
    /// A rule that is recorded and does not count.
    RuleInShadow = "rule-in-shadow", Note,
        "a rule is in shadow";
    /// A rule that is ignored.
    RuleOff = "rule-off", Note,
        "a rule is off";
    /// Nothing says what the document must do.
    NoTests = "no-tests", Note,
        "the document has no tests";
    /// The document has too many rules that speak of the same to compare them all, or tells too many calls apart to try them all.
    Incomplete = "lint-incomplete", Note,
        "not every rule was compared with every other, or not every call tried";
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn slugs_are_words_with_hyphens_and_unique() {
        let slugs: HashSet<_> = Lint::ALL.iter().map(|lint| lint.slug()).collect();
        assert_eq!(slugs.len(), Lint::ALL.len());
        // With a hyphen no slug is a reason's code.
        assert!(
            slugs.iter().all(|slug| slug.contains('-')
                && slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
    }
}
