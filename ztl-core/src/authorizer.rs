//! Conditions and authorizers: what may object to a permit after every native clause has agreed (law 4).
//!
//! Neither can grant anything. Core only declares the traits; languages and engines that implement them live elsewhere and
//! are registered when a policy is loaded.

use core::fmt;
use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::action::Action;
use crate::evidence::{Attributes, Claims, TrustScore};
use crate::id::SpiffeId;
pub use crate::opinion::{Demands, ObjectionCode, Opinion};
use crate::peer::Peer;
use crate::policy::{Diagnostic, Effect};
pub use crate::spoken::{Spoken, Version};
use crate::time::Timestamp;

/// What a condition or an authorizer may look at. Grows without breaking.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Facts<'a> {
    /// The proved caller; `None` for a caller without SVID on a public port.
    pub peer: Option<&'a Peer>,
    /// The caller's id as rules see it: in the primary trust domain, whatever alias of it was shown.
    pub caller: Option<&'a SpiffeId>,
    /// The name of the workload that the caller is declared as, where it is.
    pub workload: Option<&'a str>,
    /// The labels of that workload.
    pub labels: Option<&'a BTreeMap<Arc<str>, Arc<str>>>,
    /// The name of the zone the connection arrives from.
    pub zone: Option<&'a str>,
    /// The target workload's name.
    pub target: &'a str,
    /// What is asked for.
    pub action: &'a Action<'a>,
    /// The parameters of the path, decoded, as the rule that asks names them.
    pub params: &'a [(Arc<str>, String)],
    /// The claims of the caller's token, where [`Reads`] says that they are read.
    pub claims: Option<&'a Claims>,
    /// The caller's trust score, where [`Reads`] says that it is read.
    pub trust_score: Option<TrustScore>,
    /// The posture of the caller's device, where [`Reads`] says that it is read.
    pub posture: Option<&'a Attributes>,
    /// What the service says of the request, where [`Reads`] says that it is read.
    pub context: Option<&'a Attributes>,
    /// How many steps a condition may take here, whatever a step of its language is: its part of what those of one decision may take
    /// together (T34). It depends on the policy alone, so that no evidence, there or not, leaves another condition more (law 4). One
    /// that would take more cannot tell.
    pub steps: u32,
    /// The time of the decision. Who goes by it says so by [`Reads::with_clock`], or what runs is not judged again when it passes.
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
    /// It reads the posture.
    pub posture: bool,
    /// It reads the context.
    pub context: bool,
    /// It goes by the time of the decision, [`Facts::now`]: what it says is good for [`CLOCK_HOLDS`], and what runs on it is judged
    /// again then (law 8).
    pub clock: bool,
}

/// How long what a condition or an authorizer says is good at most, where it [goes by the clock](Reads::clock).
pub const CLOCK_HOLDS: Duration = Duration::from_secs(60);

impl Reads {
    /// Reads no evidence.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            token: false,
            trust_score: false,
            posture: false,
            context: false,
            clock: false,
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

    /// Reads the posture as well.
    #[must_use]
    pub const fn with_posture(self) -> Self {
        Self {
            posture: true,
            ..self
        }
    }

    /// Reads the context as well.
    #[must_use]
    pub const fn with_context(self) -> Self {
        Self {
            context: true,
            ..self
        }
    }

    /// Goes by the time of the decision as well.
    #[must_use]
    pub const fn with_clock(self) -> Self {
        Self {
            clock: true,
            ..self
        }
    }

    /// Reads what either reads.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            token: self.token || other.token,
            trust_score: self.trust_score || other.trust_score,
            posture: self.posture || other.posture,
            context: self.context || other.context,
            clock: self.clock || other.clock,
        }
    }
}

impl Reads {
    /// The facts with what was not declared taken out (T7).
    pub(crate) fn mask<'a>(self, facts: &Facts<'a>) -> Facts<'a> {
        Facts {
            claims: facts.claims.filter(|_| self.token),
            trust_score: facts.trust_score.filter(|_| self.trust_score),
            posture: facts.posture.filter(|_| self.posture),
            context: facts.context.filter(|_| self.context),
            ..*facts
        }
    }
}

/// A condition or an authorizer could not answer: a permit does not permit, a forbid forbids (rule 7).
///
/// The text stands in the audit record: it says what failed, and holds no value that was looked at (law 7).
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

    /// Whether it may take so long, whatever is asked and known, that it must not be asked where other requests wait for it: an
    /// enforcement point that serves many asks it on a bounded pool ([`Engine::asks_heavy`](crate::Engine::asks_heavy), T34). The answer
    /// comes of the text alone, and is always the same.
    ///
    /// It may, unless its language says otherwise. Unlike an authorizer, which is one thing that its author knows, a condition is whatever
    /// the author of a policy wrote: a language that cannot tell a loop from a comparison, or that wraps another and forgets to ask it,
    /// then costs its own requests a way to the pool, and nobody else's time.
    fn is_heavy(&self) -> bool {
        true
    }
}

/// The rule that a condition stands in, as far as its language has to know it. Grows without breaking.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setting<'a> {
    /// Whether the rule permits or forbids: in a permit, whether evidence is there must not be asked (T7).
    pub effect: Effect,
    /// The parameters that the rule's paths have, each once. Of several paths a request matches one, and has its parameters.
    pub params: Vec<&'a str>,
}

impl<'a> Setting<'a> {
    /// A rule whose paths have these parameters.
    #[must_use]
    pub fn new(effect: Effect, params: impl IntoIterator<Item = &'a str>) -> Self {
        let mut params: Vec<&str> = params.into_iter().collect();
        params.sort_unstable();
        params.dedup();
        Self { effect, params }
    }
}

/// Why the text of a condition was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ConditionError {
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Which bytes of the text it is about; `None` for the text as a whole.
    pub at: Option<Range<usize>>,
}

impl ConditionError {
    /// The text as a whole is wrong.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            at: None,
        }
    }

    /// Says how to mend it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which bytes of the text it is about.
    #[must_use]
    pub const fn at(mut self, at: Range<usize>) -> Self {
        self.at = Some(at);
        self
    }

    /// The same with its place in the text, as it is shown to the author of it.
    #[must_use]
    pub fn in_text(&self, source: &str) -> Diagnostic {
        crate::policy::in_text(self, source)
    }
}

/// Makes conditions from their text, once, when a policy is loaded.
pub trait ConditionCompiler: fmt::Debug + Send + Sync {
    /// Compiles the text of a `when` that stands in such a rule.
    ///
    /// # Errors
    /// [`ConditionError`] says what is wrong with the text, and where; the policy is refused with it.
    fn compile(
        &self,
        source: &str,
        setting: &Setting<'_>,
    ) -> Result<Arc<dyn Condition>, ConditionError>;
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
    ) -> Result<Arc<dyn Authorizer>, String>;
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

    /// What it says in full: whether it objects, and if not, what has to be discharged beside what the rule obliges to. One that
    /// obliges to nothing need not write it.
    ///
    /// # Errors
    /// As [`objects`](Self::objects).
    fn opinion(&self, facts: &Facts<'_>) -> Result<Opinion, AuthorizerError> {
        Ok(if self.objects(facts)? {
            Opinion::objects()
        } else {
            Opinion::agrees()
        })
    }

    /// What it says in full, and by what. This is what a decision asks; one need not write it whose every artefact the document names
    /// (see [`digest`](Self::digest)). Which version speaks has to be what the opinion came of, so both are taken at once (T24).
    fn speaks(&self, facts: &Facts<'_>) -> Spoken {
        Spoken::new(self.opinion(facts))
    }

    /// Whether it may take so long that it must not be asked where other requests wait for it: an enforcement point that serves
    /// many asks it on a bounded pool ([`Engine::asks_heavy`](crate::Engine::asks_heavy), T34).
    fn is_heavy(&self) -> bool {
        false
    }

    /// SHA-256 over all that it was made from and the document only names, such as the files of a program and its data. The
    /// policy's revision covers it (T24).
    fn digest(&self) -> Option<[u8; 32]> {
        None
    }
}
