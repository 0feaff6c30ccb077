//! A decision, a denial, and the id that ties them to their audit record.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use arc_swap::ArcSwapOption;

use crate::clause::Near;
use crate::obligation::Obligations;
use crate::reason::{Reason, Stage, Verdict};

/// What a decision came to, with what decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// Permit or deny.
    pub verdict: Verdict,
    /// The last stage that was reached.
    pub stage: Stage,
    /// Why.
    pub reason: Reason,
    /// The first rule in document order that decided; none where no rule came near.
    pub rule: Option<Arc<str>>,
    /// What rules in shadow mode would have said.
    pub shadow: Vec<ShadowOutcome>,
    /// What was lacking, where something was.
    pub lack: Option<Lack>,
    /// What the permit that decided obliges to; empty on a denial, of a flow, and on egress.
    pub obligations: Obligations,
    /// On a denial of an engine that was told to [`explain_denials`](crate::Engine::explain_denials): what it hung on.
    pub near: Option<Near>,
}

/// What a rule in shadow mode would have said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowOutcome {
    /// The rule.
    pub rule: Arc<str>,
    /// What it would have said.
    pub would: Verdict,
}

/// Which requirement did not hold, so that an enforcement point can ask for what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lack {
    /// No token, or one that is expired, or from another issuer or for another audience.
    Token,
    /// The token names no subject, or one that the rule does not speak of; or such an id was passed on.
    Subject,
    /// The token names no actors, or one that the rule does not speak of.
    Actors,
    /// The token lacks a scope.
    Scope,
    /// The token lacks a claim.
    Claim,
    /// The user proved themselves with too little.
    Mfa,
    /// The trust score is missing, stale or too low.
    TrustScore,
    /// The zone the caller came from is unknown or trusted too little.
    ZoneTrust,
    /// A header field is missing or has another value.
    Header,
    /// The condition of the rule.
    Condition,
    /// An authorizer of the rule.
    Authorizer,
}

/// The id of one decision: 128 bits that tell nothing (T30) and are found again in the audit log. What they are is computed
/// for whoever reads them: a sink that writes them, and whoever tells them to the caller.
#[derive(Clone, Copy)]
pub struct DecisionId {
    source: &'static IdSource,
    count: u64,
}

impl DecisionId {
    /// The bits.
    #[must_use]
    pub fn as_u128(self) -> u128 {
        self.source.bits(self.count)
    }
}

impl PartialEq for DecisionId {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && core::ptr::eq(self.source, other.source)
    }
}

impl Eq for DecisionId {}

impl Hash for DecisionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.count.hash(state);
    }
}

impl fmt::Display for DecisionId {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(&self.as_u128().to_be_bytes(), f)
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecisionId({self})")
    }
}

/// Makes decision ids: AES-128 of a counter, its key drawn once from the operating system. A block cipher is a permutation, so
/// no id repeats; without the key, ids can be neither predicted nor put in order.
pub(crate) struct IdSource {
    cipher: Aes128,
    next: AtomicU64,
}

impl IdSource {
    /// That of this process, which all its engines share. A forked process has its parent's memory, key and counter with it, so
    /// it gets one of its own for the engines that it makes itself; the parent's is left where it is.
    pub(crate) fn of_process() -> Result<&'static Self, getrandom::Error> {
        static SOURCE: ArcSwapOption<(u32, &IdSource)> = ArcSwapOption::const_empty();
        let process = std::process::id();
        let its = |held: &Option<Arc<(u32, &'static Self)>>| match held.as_deref() {
            Some((of, source)) if *of == process => Some(*source),
            _ => None,
        };
        if let Some(source) = its(&SOURCE.load()) {
            return Ok(source);
        }
        let made: &Self = Box::leak(Box::new(Self::new()?));
        // Where another thread was faster, its source stays.
        SOURCE.rcu(|held| {
            its(held).map_or_else(|| Some(Arc::new((process, made))), |_| held.clone())
        });
        Ok(its(&SOURCE.load()).unwrap_or(made))
    }

    fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        Ok(Self {
            cipher: Aes128::new(&key.into()),
            next: AtomicU64::new(0),
        })
    }

    #[inline]
    pub(crate) fn next(&'static self) -> DecisionId {
        DecisionId {
            source: self,
            count: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    fn bits(&self, count: u64) -> u128 {
        let mut block = u128::from(count).to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }
}

impl fmt::Debug for IdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdSource")
    }
}

/// A refusal, already recorded. Tell the caller its [`id`](Denial::id) and no more (law 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub(crate) id: DecisionId,
    pub(crate) decision: Decision,
}

impl Denial {
    /// The id under which the audit log has the whole story.
    #[must_use]
    pub const fn id(&self) -> DecisionId {
        self.id
    }

    /// The last stage that was reached.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.decision.stage
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.decision.reason
    }

    /// The rule that decided, if one did.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.decision.rule.as_deref()
    }

    /// Which requirement did not hold, if that was why.
    #[must_use]
    pub const fn lack(&self) -> Option<Lack> {
        self.decision.lack
    }

    /// The whole decision.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied at the {} stage: {}", self.stage(), self.reason())?;
        if let Some(rule) = self.rule() {
            write!(f, " by rule `{rule}`")?;
        }
        write!(f, " (decision {})", self.id)
    }
}

impl core::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn t30_ids_repeat_neither_within_nor_between_sources() {
        let (one, two) = (
            IdSource::new().expect("random"),
            IdSource::new().expect("random"),
        );
        let bits: HashSet<_> = (0..1000)
            .flat_map(|count| [one.bits(count), two.bits(count)])
            .collect();
        assert_eq!(bits.len(), 2000);
    }

    #[test]
    fn t30_engines_share_one_source_and_no_id() {
        let source = || IdSource::of_process().expect("random");
        let ids = || (0..1000).map(|_| source().next()).collect::<Vec<_>>();
        let (one, two) = std::thread::scope(|scope| {
            let other = scope.spawn(ids);
            (ids(), other.join().expect("a thread"))
        });
        let all = || one.iter().chain(&two);
        assert_eq!(all().collect::<HashSet<_>>().len(), 2000);
        let texts: HashSet<_> = all().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2000);
        assert!(texts.iter().all(|text| text.len() == 32));
    }
}
