//! A condition that was compiled.

use core::fmt;
use std::sync::Arc;

use ztl_core::authorizer::{AuthorizerError, Condition, Facts, Reads};

use super::native::{Native, compile};
use super::place::quoted;
use super::plan::Node;
use super::walk::{Failure, Walk};

/// A compiled condition. Cheap to clone.
#[derive(Clone)]
pub struct CelCondition(Arc<Compiled>);

struct Compiled {
    source: Box<str>,
    plan: Node,
    /// The same, where no interpreter is needed.
    native: Option<Native>,
    reads: Reads,
    is_heavy: bool,
}

impl CelCondition {
    pub(super) fn new(source: &str, plan: Node, reads: Reads) -> Self {
        Self(Arc::new(Compiled {
            source: source.into(),
            native: compile(&plan),
            is_heavy: plan.is_heavy(),
            plan,
            reads,
        }))
    }

    /// Its text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }
}

impl Condition for CelCondition {
    fn reads(&self) -> Reads {
        self.0.reads
    }

    /// # Errors
    /// [`AuthorizerError`] names the part of the condition that failed, its line and column, and why; no value (law 7).
    fn holds(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        match self.natively(facts) {
            Some(truth) => Ok(truth),
            None => self.walked(facts),
        }
    }

    /// What compares, looks for something in a list, or calls some functions is through at once. What goes over a list with an
    /// expression, holds a pattern against a text, puts lists together, or calls many functions may take long.
    fn is_heavy(&self) -> bool {
        self.0.is_heavy
    }
}

impl CelCondition {
    pub(super) fn natively(&self, facts: &Facts<'_>) -> Option<bool> {
        self.0.native.as_ref()?.holds(facts)
    }

    pub(super) fn walked(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        let truth = Walk::new(facts).truth(&self.0.plan);
        truth.map_err(|Failure { of, why }| {
            let (piece, line, column) = quoted(&self.0.source, &of.at);
            AuthorizerError(format!("`{piece}` at {line}:{column} {why}"))
        })
    }
}

impl fmt::Debug for CelCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CelCondition").field(&self.source()).finish()
    }
}
