//! A rule with every name resolved, and whom it speaks of.

use std::sync::Arc;

use crate::action::Action;
use crate::authorizer::{Authorizer, Condition};
use crate::id::{IdPattern, SpiffeId};
use crate::limit::LimitBy;
use crate::obligation::Obligations;
use crate::zone::{Arrival, ZoneIdx, ZoneMap};

use super::Policy;
use super::along::{Issuer, Party};
use super::document::{Effect, Mfa, Mode, PortRange, RuleDecl};
use super::pattern::ActionPattern;
use super::workload::{Workload, WorkloadIdx};

/// A rule's place in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RuleIdx(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: Arc<str>,
    pub(crate) effect: Effect,
    pub(crate) mode: Mode,
    pub(crate) from: Vec<Who>,
    pub(crate) actions: Vec<ActionPattern>,
    pub(crate) require: Vec<Requirement>,
    pub(crate) when: Option<Arc<dyn Condition>>,
    /// `subject` of a forbid; that of a permit is among its requirements. Empty where it does not narrow the rule.
    pub(crate) subject: Vec<Named>,
    /// The same for `actors`.
    pub(crate) actors: Vec<Named>,
    pub(crate) obligations: Obligations,
}

impl Rule {
    /// A forbid that forbids the flow itself: neither action, condition nor token narrows it.
    pub(crate) fn forbids_flow(&self) -> bool {
        self.effect == Effect::Forbid && self.actions.is_empty() && !self.is_conditional()
    }

    /// A forbid that is narrowed by something that only the target knows, and only of a request.
    pub(crate) const fn is_conditional(&self) -> bool {
        self.when.is_some() || !self.subject.is_empty() || !self.actors.is_empty()
    }

    /// Whether it speaks of the caller, as far as that counts for its effect.
    pub(crate) fn speaks_of(&self, caller: &Caller<'_>, zones: &ZoneMap) -> bool {
        let speaks = |who: &Who| who.speaks_of(caller, self.effect, zones);
        (self.from.iter()).any(|who| speaks(who).counts_for(self.effect))
    }

    /// A forbid that could fire on somebody else than the peer (T12).
    pub(crate) fn forbids_parties(&self) -> bool {
        self.effect == Effect::Forbid && self.from.iter().any(Who::is_identity)
    }

    /// Whether a requirement could read the parameters of the path.
    pub(crate) fn reads_params(&self) -> bool {
        let asks =
            |one: &Requirement| matches!(one, Requirement::When(_) | Requirement::Authorizer(..));
        self.require.iter().any(asks)
    }

    /// Whether judging it could ask a condition or an authorizer that may take long (T34).
    pub(crate) fn asks_heavy(&self) -> bool {
        let condition = self.when.as_ref();
        self.mode != Mode::Off
            && (condition.is_some_and(|when| when.is_heavy())
                || self.require.iter().any(Requirement::is_heavy))
    }

    /// How many of its patterns could be about an action: a permit names it, or a forbid covers it.
    pub(crate) fn times_about(&self, action: &Action<'_>) -> u32 {
        let patterns = self.actions.iter();
        let times = match self.effect {
            Effect::Permit => patterns.filter(|pattern| pattern.permits(action)).count(),
            Effect::Forbid if self.actions.is_empty() => 1,
            Effect::Forbid => patterns.filter(|pattern| pattern.forbids(action)).count(),
        };
        u32::try_from(times).unwrap_or(u32::MAX)
    }

    /// Whether judging it could ask a condition.
    pub(crate) fn asks_condition(&self) -> bool {
        let mut requirements = self.require.iter();
        self.when.is_some() || requirements.any(|one| matches!(one, Requirement::When(_)))
    }

    /// How often judging it could ask a condition: once for each pattern that may match.
    pub(crate) fn asks(&self) -> u32 {
        let patterns = u32::try_from(self.actions.len()).unwrap_or(u32::MAX);
        if self.asks_condition() {
            patterns.max(1)
        } else {
            0
        }
    }

    /// Whether what it obliges to counts by the subject of a token: with none read, all who ask would share one count.
    fn counts_by_subject(&self) -> bool {
        let limit = self.obligations.limit();
        limit.is_some_and(|limit| limit.by == LimitBy::Subject)
    }

    /// Whether judging it could read a token, or what it obliges to does.
    pub(crate) fn reads_token(&self) -> bool {
        self.mode != Mode::Off
            && (!self.subject.is_empty()
                || !self.actors.is_empty()
                || self.require.iter().any(Requirement::reads_token)
                || self.counts_by_subject()
                || self.when.as_ref().is_some_and(|when| when.reads().token))
    }
}

impl RuleDecl {
    /// Whether it hangs on what only a target knows, and only of a request: `when` of a forbid, `subject` or `actors`.
    #[must_use]
    pub const fn is_conditional(&self) -> bool {
        self.when.is_some() || !self.subject.is_empty() || !self.actors.is_empty()
    }
}

/// One clause of `require`, with what it needs at hand.
#[derive(Debug)]
pub(crate) enum Requirement {
    Subject(Vec<Named>),
    Actors(Vec<Named>),
    TrustScore(u8),
    ZoneTrust(u8),
    Token(TokenClause),
    Mfa(Mfa),
    Header {
        name: Arc<str>,
        values: Vec<Arc<str>>,
    },
    When(Arc<dyn Condition>),
    Authorizer(Arc<str>, Arc<dyn Authorizer>),
}

#[derive(Debug, Default)]
pub(crate) struct TokenClause {
    /// The exact `iss`.
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) audience: Option<Arc<str>>,
    pub(crate) scopes: Vec<Arc<str>>,
    pub(crate) claims: Vec<(Arc<str>, serde_json::Value)>,
}

/// Whom a rule speaks of, resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Workload(WorkloadIdx),
    Id(IdPattern),
    Label { key: Arc<str>, value: Arc<str> },
    Zone(ZoneIdx),
    Public,
    Any,
}

/// Whom `subject` and `actors` speak of, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A workload, an id or a label.
    Identity(Who),
    /// Every subject of this exact `iss`.
    Issuer(Arc<str>),
    User {
        issuer: Arc<str>,
        subject: Arc<str>,
    },
    Any,
}

impl Named {
    pub(crate) fn speaks_of(&self, party: &Party<'_>, policy: &Policy) -> Match {
        let issued_by = |wanted: &str| match party.issuer {
            Issuer::Of(issuer) => Match::from_bool(issuer == wanted),
            Issuer::Unknown => Match::Unknown,
            Issuer::Peer => Match::No,
        };
        match self {
            Self::Identity(who) => who.speaks_of_party(party, policy),
            Self::Issuer(issuer) => issued_by(issuer),
            Self::User { issuer, subject } if **subject == *party.subject => issued_by(issuer),
            Self::User { .. } => Match::No,
            Self::Any => Match::Yes,
        }
    }
}

/// Whether a rule speaks of a caller. A permit needs `Yes`; a forbid fires on `Unknown` as well (rule 8, T2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Yes,
    No,
    Unknown,
}

impl Match {
    const fn from_bool(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }

    pub(crate) const fn counts_for(self, effect: Effect) -> bool {
        match effect {
            Effect::Permit => matches!(self, Self::Yes),
            Effect::Forbid => matches!(self, Self::Yes | Self::Unknown),
        }
    }
}

/// A caller as rules see it.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// In the primary trust domain where an alias was shown; `None` for a caller without SVID.
    pub(crate) id: Option<&'a SpiffeId>,
    pub(crate) workload: Option<(WorkloadIdx, &'a Workload)>,
    pub(crate) place: Place<'a>,
}

/// Where a caller stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// Seen from the target: where the connection arrives from.
    Arrival(&'a Arrival),
    /// Seen from the caller itself: where its workload is declared.
    Declared(Option<ZoneIdx>),
}

impl Place<'_> {
    /// The one zone that a permit goes by.
    pub(crate) fn zone(self, zones: &ZoneMap) -> Option<ZoneIdx> {
        match self {
            Self::Arrival(arrival) => zones.index_of(arrival),
            Self::Declared(zone) => zone,
        }
    }

    fn is_in(self, zone: ZoneIdx, effect: Effect, zones: &ZoneMap) -> Match {
        let known = match (self, effect) {
            (Self::Arrival(arrival), Effect::Forbid) => zones.any_holds(zone, arrival),
            (place, _) => place.zone(zones).map(|place| place == zone),
        };
        known.map_or(Match::Unknown, Match::from_bool)
    }
}

impl Who {
    /// Whether it speaks of somebody, wherever they are and however they come.
    pub(crate) const fn is_identity(&self) -> bool {
        matches!(self, Self::Workload(_) | Self::Id(_) | Self::Label { .. })
    }

    /// Whether it speaks of one who comes along. Somebody without a SPIFFE ID is no workload and has no label.
    pub(crate) fn speaks_of_party(&self, party: &Party<'_>, policy: &Policy) -> Match {
        let Some(id) = party.id.as_deref() else {
            return Match::No;
        };
        match self {
            Self::Workload(index) => Match::from_bool(
                policy
                    .workload(*index)
                    .is_some_and(|workload| workload.id.as_str() == id),
            ),
            Self::Id(pattern) => Match::from_bool(pattern.matches_text(id)),
            Self::Label { key, value } => policy
                .workload_with_text(id)
                .and_then(|workload| workload.labels.get(key))
                .map_or(Match::Unknown, |have| Match::from_bool(have == value)),
            Self::Zone(_) | Self::Public | Self::Any => Match::No,
        }
    }

    pub(crate) fn speaks_of(&self, caller: &Caller<'_>, effect: Effect, zones: &ZoneMap) -> Match {
        let proved = caller.id.is_some();
        match self {
            Self::Workload(index) => Match::from_bool(
                caller
                    .workload
                    .is_some_and(|(declared, _)| declared == *index),
            ),
            Self::Id(pattern) => Match::from_bool(caller.id.is_some_and(|id| pattern.matches(id))),
            Self::Label { key, value } => match caller.workload {
                Some((_, workload)) => workload
                    .labels
                    .get(key)
                    .map_or(Match::Unknown, |have| Match::from_bool(have == value)),
                None => Match::Unknown,
            },
            // In a permit only `public` matches a caller that proved nothing (T3).
            Self::Zone(_) if !proved && effect == Effect::Permit => Match::No,
            Self::Zone(zone) => caller.place.is_in(*zone, effect, zones),
            Self::Public => Match::from_bool(!proved),
            Self::Any => Match::from_bool(proved),
        }
    }
}

/// The rules that speak of one target workload, each with the target's ports it speaks of.
#[derive(Debug)]
pub(crate) struct TargetRule {
    pub(crate) rule: RuleIdx,
    /// Empty: every port (only in a forbid).
    pub(crate) ports: Vec<PortRange>,
}

impl TargetRule {
    pub(crate) fn covers_port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|range| range.contains(port))
    }
}
