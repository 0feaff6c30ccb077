//! The policy document as it was read: every name checked by itself, nothing resolved yet.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::Revision;
use super::pattern::ActionPattern;
use crate::forwarding::Forwarding;
use crate::id::{IdPattern, SpiffeId, TrustDomain};
use crate::limit::Limit;
use crate::trust::Scorer;

/// Where in the document's text something stands: bytes from `start` up to `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    pub(crate) const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A whole policy document.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Document {
    /// Which document this is.
    pub revision: Revision,
    /// `serial`: never goes back over a reload.
    pub serial: Option<u64>,
    /// `trust_domain`: the primary one.
    pub trust_domain: Spanned<TrustDomain>,
    /// `trust_domain_aliases`: other names of the primary trust domain.
    pub aliases: Vec<Spanned<TrustDomain>>,
    /// `relays`: networks of proxies and NATs, which are in no zone.
    pub relays: Vec<Spanned<IpNet>>,
    /// `[zones.NAME]`, in document order.
    pub zones: Vec<ZoneDecl>,
    /// `[workloads.NAME]`, in document order.
    pub workloads: Vec<WorkloadDecl>,
    /// `[external.NAME]`, in document order.
    pub externals: Vec<ExternalDecl>,
    /// `[issuers.NAME]`, in document order.
    pub issuers: Vec<IssuerDecl>,
    /// `[limits.NAME]`, in document order.
    pub limits: Vec<LimitDecl>,
    /// `[authorizers.NAME]`, in document order.
    pub authorizers: Vec<AuthorizerDecl>,
    /// `[trust]`: how signals become a score. None: whoever enforces the policy has to know a score.
    pub trust: Option<Scorer>,
    /// `[[permit]]` and `[[forbid]]`, in document order.
    pub rules: Vec<RuleDecl>,
    /// `[[never]]`.
    pub nevers: Vec<NeverDecl>,
    /// `[[test]]`.
    pub tests: Vec<TestDecl>,
    /// `[end] rules = N`: how many `[[permit]]`, `[[forbid]]` and `[[never]]` there are, against a document cut short (T6).
    pub end_rules: Option<Spanned<u64>>,
}

/// `[zones.NAME]`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ZoneDecl {
    /// Its name.
    pub name: Spanned<Arc<str>>,
    /// `trust`: 0 to 255, higher is better trusted; 0 where absent.
    pub trust: u8,
    /// `networks`: host bits are zero.
    pub networks: Vec<Spanned<IpNet>>,
}

/// `[workloads.NAME]`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkloadDecl {
    /// Its name.
    pub name: Spanned<Arc<str>>,
    /// `id`: with a path.
    pub id: Spanned<SpiffeId>,
    /// `zone`: where it stands.
    pub zone: Option<Spanned<Arc<str>>>,
    /// `labels`
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// `ports`: where it takes mutual TLS.
    pub ports: Vec<Spanned<u16>>,
    /// `public_ports`: where it takes callers without an SVID.
    pub public_ports: Vec<Spanned<u16>>,
    /// `hosts`: the host names it answers to; lower case. Empty: any.
    pub hosts: Vec<Spanned<Arc<str>>>,
    /// `asserted_by`: the parties that may say who a caller is.
    pub asserted_by: Vec<Spanned<Arc<str>>>,
    /// `forwards`: whose SPIFFE IDs it may pass on; never a zone, nor `public`. Empty: nobody's.
    pub forwards: Vec<Spanned<Principal>>,
    /// `forwards_in`: the header field in which it passes them on. None: no field is read.
    pub forwards_in: Option<Forwarding>,
}

/// `[external.NAME]`: destinations outside the mesh, proved by the Web PKI.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExternalDecl {
    /// Its name.
    pub name: Spanned<Arc<str>>,
    /// `hosts`: lower case, with at least one dot.
    pub hosts: Vec<Spanned<Arc<str>>>,
    /// `ports`: 443 where absent.
    pub ports: Vec<Spanned<u16>>,
    /// `networks`: the only ones that their addresses may be in; where empty, these are reachable from everywhere.
    pub networks: Vec<Spanned<IpNet>>,
}

/// `[issuers.NAME]`: who issues tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IssuerDecl {
    /// Its name.
    pub name: Spanned<Arc<str>>,
    /// `issuer`: the exact value of `iss`.
    pub issuer: Spanned<Arc<str>>,
    /// `audience`: what `aud` must name; whoever verifies its tokens says so where absent.
    pub audience: Option<Spanned<Arc<str>>>,
    /// `jwks_file`: a JSON Web Key Set, relative to the document. Whoever verifies tokens may read it; nothing here does.
    pub jwks_file: Option<Spanned<Arc<str>>>,
}

/// `[limits.NAME]`: how often something may be asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LimitDecl {
    /// Its name.
    pub name: Spanned<Arc<str>>,
    /// What it limits to.
    pub limit: Arc<Limit>,
    /// The names under `overrides`, in the order of the limit's own.
    pub overrides: Vec<Spanned<Arc<str>>>,
}

/// `[authorizers.NAME]`: an authorizer that the document configures.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthorizerDecl {
    /// Its name.
    pub name: Spanned<Arc<str>>,
    /// `kind`: which registered kind it is.
    pub kind: Spanned<Arc<str>>,
    /// All other keys, which only that kind knows.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// SHA-256 over what it was made from and the document only names, once it is made
    /// ([`Authorizer::digest`](crate::authorizer::Authorizer::digest)).
    pub made_from: Option<[u8; 32]>,
}

/// What a rule does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a rule permits or forbids; there is no third effect"
)]
pub enum Effect {
    /// `[[permit]]`
    Permit,
    /// `[[forbid]]`
    Forbid,
}

impl Effect {
    /// `permit` or `forbid`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
        }
    }
}

/// Whether a rule counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// It counts.
    #[default]
    Enforce,
    /// It is computed and recorded beside the decision, and never changes it.
    Shadow,
    /// It is checked at load and then ignored.
    Off,
}

/// `[[permit]]` or `[[forbid]]`
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuleDecl {
    /// What it does.
    pub effect: Effect,
    /// `name`; `permit-N` or `forbid-N`, N counting from 1 within its kind, where absent.
    pub name: Spanned<Arc<str>>,
    /// `mode`
    pub mode: Mode,
    /// `from`: any of these.
    pub from: Vec<Spanned<Principal>>,
    /// `subject`: the token's subject is any of these; empty where absent.
    pub subject: Vec<Spanned<Subject>>,
    /// `actors`: the actors in between are any of these; empty where absent.
    pub actors: Vec<Spanned<Subject>>,
    /// `to`: any of these.
    pub to: Vec<Spanned<Target>>,
    /// `ports`: any of these; empty where absent.
    pub ports: Vec<Spanned<PortRange>>,
    /// `actions`: any of these; empty where absent, which only a forbid may.
    pub actions: Vec<Spanned<ActionPattern>>,
    /// `anonymous = true`: a `public` permit that asks for no token.
    pub anonymous: bool,
    /// `[permit.require]`
    pub require: Require,
    /// `[permit.oblige]`
    pub oblige: Oblige,
    /// `when` of a forbid; that of a permit stands in `require`.
    pub when: Option<Spanned<Arc<str>>>,
    /// `why`
    pub why: Option<Arc<str>>,
    /// `controls`
    pub controls: Vec<Arc<str>>,
    /// The whole rule.
    pub span: Span,
}

/// `[permit.require]`: all must hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Require {
    /// `trust_score`: at least this, 0 to 100.
    pub trust_score: Option<Spanned<u8>>,
    /// `zone_trust`: the arrival's zone has at least this trust.
    pub zone_trust: Option<Spanned<u8>>,
    /// `token`
    pub token: Option<Spanned<TokenRequire>>,
    /// `mfa`
    pub mfa: Option<Spanned<Mfa>>,
    /// `headers`: lower-case field name to the values it may have.
    pub headers: Vec<HeaderRequire>,
    /// `when`: a condition.
    pub when: Option<Spanned<Arc<str>>>,
    /// `authorizer`: names of registered authorizers, each of which may object.
    pub authorizer: Vec<Spanned<Arc<str>>>,
}

/// `[permit.oblige]`: what has to be done beside.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Oblige {
    /// `limit`: the name of a declared limit.
    pub limit: Option<Spanned<Arc<str>>>,
    /// `schema`: a file or a name.
    pub schema: Option<Spanned<Arc<str>>>,
    /// `max_body`, in bytes.
    pub max_body: Option<Spanned<u64>>,
    /// `log`: the header fields to log; empty for `true`.
    pub log: Option<Vec<Arc<str>>>,
    /// SHA-256 over what the schema was made from, where the loader knows schemas (T24).
    pub made_from: Option<[u8; 32]>,
}

impl Require {
    /// Whether nothing is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Every clause is named, so that a new one is not forgotten.
        let Self {
            trust_score,
            zone_trust,
            token,
            mfa,
            headers,
            when,
            authorizer,
        } = self;
        trust_score.is_none()
            && zone_trust.is_none()
            && token.is_none()
            && mfa.is_none()
            && headers.is_empty()
            && when.is_none()
            && authorizer.is_empty()
    }
}

impl Oblige {
    /// Whether nothing has to be done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        // Every obligation is named, so that a new one is not forgotten.
        let Self {
            limit,
            schema,
            max_body,
            log,
            made_from: _,
        } = self;
        limit.is_none() && schema.is_none() && max_body.is_none() && log.is_none()
    }
}

/// One entry of `headers`: a field, and the values it may have (rule 43).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeaderRequire {
    /// The field's name, lower case.
    pub name: Spanned<Arc<str>>,
    /// What each of its values must be one of.
    pub values: Vec<Arc<str>>,
}

/// `token = { issuer, audience, scopes, claims }`
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TokenRequire {
    /// `issuer`: a declared issuer's name, else the exact `iss`.
    pub issuer: Option<Spanned<Arc<str>>>,
    /// `audience`: what `aud` must name.
    pub audience: Option<Arc<str>>,
    /// `scopes`: all of these.
    pub scopes: Vec<Arc<str>>,
    /// `claims`: all of these; a list in the token matches where it holds the value.
    pub claims: Vec<(Arc<str>, serde_json::Value)>,
}

/// `mfa = true` or `"phishing-resistant"`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mfa {
    /// More than one factor.
    Any,
    /// Bound to the origin, so that it cannot be phished.
    PhishingResistant,
}

/// Whom a rule speaks of as caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// A declared workload, by name.
    Workload(Arc<str>),
    /// By id.
    Id(IdPattern),
    /// `label:key=value`
    Label {
        /// Key.
        key: Arc<str>,
        /// Value.
        value: Arc<str>,
    },
    /// `zone:name`: where the connection arrives from.
    Zone(Arc<str>),
    /// `public`: a caller without SVID on a public port.
    Public,
    /// `any`: any proved peer.
    Any,
}

/// Whom a rule speaks of as subject or actor: somebody whom a verified token names, or whose id was passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A declared workload, by name.
    Workload(Arc<str>),
    /// By SPIFFE ID.
    Id(IdPattern),
    /// `label:key=value`, of the declared workload whose id it is.
    Label {
        /// Key.
        key: Arc<str>,
        /// Value.
        value: Arc<str>,
    },
    /// `issuer:NAME`: every subject of that issuer; a declared name, else the exact `iss`.
    Issuer(Arc<str>),
    /// `user:ISSUER/SUB`: the identity is the pair (T16).
    User {
        /// A declared issuer's name.
        issuer: Arc<str>,
        /// The exact `sub`.
        subject: Arc<str>,
    },
    /// `any`: any verified one.
    Any,
}

/// Whom a rule speaks of as target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A declared workload, by name.
    Workload(Arc<str>),
    /// By id.
    Id(IdPattern),
    /// `label:key=value`
    Label {
        /// Key.
        key: Arc<str>,
        /// Value.
        value: Arc<str>,
    },
    /// `zone:name`: where the workload is declared.
    Zone(Arc<str>),
    /// `external:name`
    External(Arc<str>),
    /// `any`: any declared workload.
    Any,
}

/// A port, or an inclusive range of them. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port, at least `first`.
    pub last: u16,
}

impl PortRange {
    /// Whether the port is in the range.
    #[must_use]
    pub const fn contains(&self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// `[[never]]`: an assertion about the whole document, proved at load.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NeverDecl {
    /// `name`; `never-N` where absent.
    pub name: Spanned<Arc<str>>,
    /// `from`: any of these.
    pub from: Vec<Spanned<Principal>>,
    /// `to`: any of these.
    pub to: Vec<Spanned<Target>>,
    /// `ports`: any of these; every port where absent.
    pub ports: Vec<Spanned<PortRange>>,
    /// `actions`: any of these; every action where absent.
    pub actions: Vec<Spanned<ActionPattern>>,
    /// `transitive`: over any number of hops.
    pub transitive: bool,
    /// `why`
    pub why: Option<Arc<str>>,
    /// `controls`
    pub controls: Vec<Arc<str>>,
    /// The whole assertion.
    pub span: Span,
}

/// `[[test]]`: a request and what must come of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestDecl {
    /// `name`; `test-N` where absent.
    pub name: Arc<str>,
    /// The request, with the keys of `ztl decide`.
    pub request: serde_json::Map<String, serde_json::Value>,
    /// `expect`: `permit` or `deny`.
    pub expect: crate::reason::Verdict,
    /// `reason`: the expected reason code.
    pub reason: Option<Arc<str>>,
    /// `rule`: the expected deciding rule.
    pub rule: Option<Arc<str>>,
    /// The whole test.
    pub span: Span,
}
