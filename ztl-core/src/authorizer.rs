//! Conditions and authorizers: what may object to a permit after every native clause has agreed (law 4).
//!
//! Neither can grant anything. Core only declares the traits; languages and engines that implement them live elsewhere and
//! are registered when a policy is loaded.

use core::fmt;

use thiserror::Error;

use crate::action::Action;
use crate::evidence::{Claims, TrustScore};
use crate::peer::Peer;
use crate::time::Timestamp;

/// What a condition or an authorizer may look at. Grows without breaking.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// The proved caller; `None` for a caller without SVID on a public port.
    pub peer: Option<&'a Peer>,
    /// The name of the zone the connection arrives from.
    pub zone: Option<&'a str>,
    /// The target workload's name.
    pub target: &'a str,
    /// What is asked for.
    pub action: &'a Action<'a>,
    /// The parameters of the path, decoded, as the rule that asks names them.
    pub params: &'a [(std::sync::Arc<str>, String)],
    /// The claims of the caller's token, where [`Reads`] says that they are read.
    pub claims: Option<&'a Claims>,
    /// The caller's trust score, where [`Reads`] says that it is read.
    pub trust_score: Option<TrustScore>,
    /// The time of the decision.
    pub now: Timestamp,
}

/// Which evidence a condition reads. What it reads must be present and fresh, or a permit does not hold and a forbid does
/// (law 4, T7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reads {
    /// It reads the token's claims.
    pub token: bool,
    /// It reads the trust score.
    pub trust_score: bool,
}

impl Reads {
    /// Reads no evidence.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            token: false,
            trust_score: false,
        }
    }

    /// Reads the token's claims as well.
    #[must_use]
    pub const fn with_token(self) -> Self {
        Self {
            token: true,
            ..self
        }
    }

    /// Reads the trust score as well.
    #[must_use]
    pub const fn with_trust_score(self) -> Self {
        Self {
            trust_score: true,
            ..self
        }
    }
}

impl Reads {
    /// The facts with what was not declared taken out (T7).
    pub(crate) fn mask<'a>(self, facts: &Facts<'a>) -> Facts<'a> {
        Facts {
            claims: facts.claims.filter(|_| self.token),
            trust_score: facts.trust_score.filter(|_| self.trust_score),
            ..*facts
        }
    }
}

/// A condition or an authorizer could not answer: a permit does not permit, a forbid forbids (rule 7).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct AuthorizerError(pub String);

/// A compiled condition (`when`). Synchronous and bounded.
pub trait Condition: fmt::Debug + Send + Sync {
    /// Which evidence it reads.
    fn reads(&self) -> Reads;

    /// Whether it holds.
    ///
    /// # Errors
    /// [`AuthorizerError`] where it cannot tell.
    fn holds(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError>;
}

/// Makes conditions from their text, once, when a policy is loaded.
pub trait ConditionCompiler: fmt::Debug + Send + Sync {
    /// Compiles the text of a `when`.
    ///
    /// # Errors
    /// A message that says what is wrong with the text; the policy is refused with it.
    fn compile(&self, source: &str) -> Result<std::sync::Arc<dyn Condition>, String>;
}

/// Makes authorizers of one kind from what a document says of them (`[authorizers.NAME]`), once, when a policy is loaded.
pub trait AuthorizerFactory: fmt::Debug + Send + Sync {
    /// Builds the authorizer `name`. `settings` are the keys of its section but `kind`; a key that is not known has to be
    /// refused.
    ///
    /// # Errors
    /// A message that says what is wrong with the settings; the policy is refused with it.
    fn build(
        &self,
        name: &str,
        settings: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<std::sync::Arc<dyn Authorizer>, String>;
}

/// Something that may object to what rules permit.
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// Which evidence it reads.
    fn reads(&self) -> Reads;

    /// Whether it objects.
    ///
    /// # Errors
    /// [`AuthorizerError`] where it cannot tell; the permit that asked does not hold.
    fn objects(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError>;
}
