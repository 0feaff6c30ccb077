//! One thing that was found.

use crate::policy::Span;

use super::kinds::Lint;

/// Something in a document that its author should look at.
///
/// What it quotes of the document is escaped, so it may be shown on a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub lint: Lint,
    /// Where in the document's text.
    pub span: Span,
    /// What is the matter.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(
        lint: Lint,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            lint,
            span,
            message: message.into(),
            help: help.into(),
        }
    }
}

/// What was found so far, and how much more may be compared.
#[derive(Debug)]
pub(super) struct Found {
    findings: Vec<Finding>,
    steps: usize,
    tries: usize,
    cut_short: bool,
}

/// Most comparisons of one run: about a second.
const MAX_STEPS: usize = 5_000_000;
/// Most calls that are tried in one run: about a second.
const MAX_TRIES: usize = 5_000_000;
/// Why not all was compared.
const COMPARISONS: (&str, &str) = (
    "too many rules speak of the same callers and targets to compare each with each other",
    "what is reported is true, and there may be more; fewer, wider rules on one edge can be compared",
);
/// Why not all was tried.
const TRIES: (&str, &str) = (
    "the rules tell too many callers, places, ports and actions apart to try a call of each kind",
    "what is reported is true, and there may be more; fewer, wider rules make fewer kinds",
);

impl Default for Found {
    fn default() -> Self {
        Self {
            findings: Vec::new(),
            steps: MAX_STEPS,
            tries: MAX_TRIES,
            cut_short: false,
        }
    }
}

impl Found {
    /// Of which so many calls may be tried.
    #[cfg(test)]
    pub(super) fn with_tries(tries: usize) -> Self {
        Self {
            tries,
            ..Self::default()
        }
    }

    pub(super) fn add(
        &mut self,
        lint: Lint,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings.push(Finding::new(lint, span, message, help));
    }

    /// Takes so many comparisons from what is left. Where there are too few it says so, and no more may be made.
    pub(super) fn may_compare(&mut self, steps: usize) -> bool {
        let left = self.steps.checked_sub(steps);
        self.steps = left.unwrap_or_default();
        if left.is_none() {
            self.cut(COMPARISONS);
        }
        left.is_some()
    }

    /// The same for calls that are tried.
    pub(super) fn may_try(&mut self, calls: usize) -> bool {
        let left = self.tries.checked_sub(calls);
        self.tries = left.unwrap_or_default();
        if left.is_none() {
            self.cut(TRIES);
        }
        left.is_some()
    }

    /// Says that not all was looked at, and how to mend that; once, for whatever came first.
    pub(super) fn cut(&mut self, (what, help): (&str, &str)) {
        if !self.cut_short {
            self.cut_short = true;
            self.add(Lint::Incomplete, Span::default(), what, help);
        }
    }

    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.findings
            .sort_by_key(|finding| (finding.lint.severity(), finding.span, finding.lint));
        self.findings
    }
}
