//! The policy: its document, what it means, and the decision.

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;
use std::sync::Arc;

mod along;
mod asked;
mod canonical;
mod decide;
mod diagnostic;
mod document;
mod edge;
mod explain;
mod external;
mod index;
mod judgement;
mod kinds;
mod limits;
mod load;
mod never;
mod pattern;
mod pattern_space;
mod query;
mod read;
mod reads;
#[cfg(feature = "test-util")]
pub mod reference;
mod requirement;
mod resolve;
mod rule;
mod shape;
mod template;
mod tree;
mod workload;

pub use decide::{Input, decide};
pub(crate) use diagnostic::diagnostic as in_text;
pub use diagnostic::{Diagnostic, LoadError, suggest};
pub use document::{
    AuthorizerDecl, Document, Effect, ExternalDecl, HeaderRequire, IssuerDecl, LimitDecl, Mfa,
    Mode, NeverDecl, Oblige, PortRange, Principal, Require, RuleDecl, Span, Spanned, Subject,
    Target, TestDecl, TokenRequire, WorkloadDecl, ZoneDecl,
};
pub use explain::{
    Change, Checked, Explanation, MAX_RULES_SHOWN, Nearest, Needs, Otherwise, Redacted, Step, Walk,
    explain,
};
pub use external::External;
pub use limits::MAX_DOCUMENT_BYTES;
pub(crate) use limits::MAX_FIELD_BYTES;
pub use load::Loader;
pub(crate) use pattern::is_token_byte;
pub use pattern::{ActionPattern, PatternError};
pub use query::{MAX_QUERY_BYTES, Query, QueryError, Recorded, decision_json};
pub use read::{Format, settings};
pub use template::Template;
pub use workload::Workload;

pub(crate) use along::{Along, Said, actors};
pub(crate) use decide::judge;
pub(crate) use edge::{Edge, calling};
pub(crate) use explain::explain_as;
pub(crate) use external::Aim;
use index::Index;
pub(crate) use judgement::{Judgement, Outcome};
pub(crate) use pattern_space::{PathSpace, TooMany};
pub(crate) use reads::Read;
pub(crate) use requirement::{Given, login};
pub(crate) use rule::{Caller, Named, Place, Requirement, Rule, RuleIdx, TargetRule, Who};
pub(crate) use workload::WorkloadIdx;

use crate::authorizer::Reads;
use crate::id::{IdPattern, SpiffeId, TrustDomain};
use crate::obligation::ObligationKinds;
use crate::schema::BodySchema;
use crate::texts::{self, Texts};
use crate::trust::Scorer;
use crate::word::WordError;
use crate::zone::ZoneMap;

/// Which document decided: SHA-256 over its canonical form, the same for TOML and JSON with the same content. That of a
/// [`Policy`] covers what the document names as well: what its authorizers were made from (T24).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision([u8; 32]);

impl Revision {
    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Revision {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::hex::write(&self.0, f)
    }
}

impl FromStr for Revision {
    type Err = WordError;

    /// Reads 64 hexadecimal digits in lower case, as a record has them.
    fn from_str(text: &str) -> Result<Self, WordError> {
        let bytes = crate::hex::parse_array(text).map(Self);
        bytes.ok_or(WordError::new(
            "a revision: 64 hexadecimal digits in lower case",
        ))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

/// A policy that was read, resolved and proved. Immutable; a change is another policy.
#[derive(Debug)]
pub struct Policy {
    /// The digits of its revision, which every record holds.
    revision_text: Box<str>,
    document: Document,
    zones: ZoneMap,
    workloads: Vec<Workload>,
    by_name: Texts<WorkloadIdx>,
    by_id: Texts<WorkloadIdx>,
    externals: Vec<External>,
    /// The destinations outside the mesh by host, each numbered on from the last workload.
    by_host: Texts<WorkloadIdx>,
    rules: Vec<Rule>,
    schemas: resolve::Schemas,
    index: Index,
}

impl Policy {
    /// Reads a TOML document that needs neither a condition compiler nor an authorizer.
    ///
    /// # Errors
    /// [`LoadError`] with file, line, column and a suggestion. Nothing of a bad document is used.
    pub fn from_toml(text: &str) -> Result<Self, LoadError> {
        Loader::new().load(text, Format::Toml)
    }

    /// The same in JSON.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, LoadError> {
        Loader::new().load(text, Format::Json)
    }

    /// Which document this is.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.document.revision
    }

    pub(crate) fn revision_text(&self) -> &str {
        &self.revision_text
    }

    /// The document as it was read.
    #[must_use]
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// Its `serial`.
    #[must_use]
    pub const fn serial(&self) -> Option<u64> {
        self.document.serial
    }

    /// Its primary trust domain.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.document.trust_domain.value
    }

    /// How it weighs signals into a trust score: its `[trust]`.
    #[must_use]
    pub const fn scorer(&self) -> Option<&Scorer> {
        self.document.trust.as_ref()
    }

    /// Its zones.
    #[must_use]
    pub const fn zones(&self) -> &ZoneMap {
        &self.zones
    }

    /// Its workloads, in document order.
    #[must_use]
    pub fn workloads(&self) -> &[Workload] {
        &self.workloads
    }

    /// The workload of this name.
    #[must_use]
    pub fn workload_by_name(&self, name: &str) -> Option<&Workload> {
        self.workload_named(name).map(|(_, workload)| workload)
    }

    /// The workload of this SPIFFE ID, in the primary trust domain or an alias of it.
    #[must_use]
    pub fn workload_by_id(&self, id: &SpiffeId) -> Option<&Workload> {
        let id = self.primary_id(id)?;
        self.workload_with_id(&id).map(|(_, workload)| workload)
    }

    /// The one id by which a caller is counted, whichever of its names it shows: an id of an alias of the primary trust domain is the
    /// same one there (rule 28), and every other is itself (T13).
    ///
    /// ```
    /// use ztl_core::SpiffeId;
    /// use ztl_core::policy::Policy;
    ///
    /// let policy = Policy::from_toml(
    ///     "schema = 1\ntrust_domain = 'prod.example'\ntrust_domain_aliases = ['old.example']\n\
    ///     [workloads]\ndb = { id = 'spiffe://prod.example/db', ports = 8443 }\n",
    /// )?;
    /// let shown = SpiffeId::parse("spiffe://old.example/caller")?;
    /// assert_eq!(policy.one_id_of(&shown).as_str(), "spiffe://prod.example/caller");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn one_id_of<'a>(&self, id: &'a SpiffeId) -> Cow<'a, SpiffeId> {
        self.primary_id(id).unwrap_or(Cow::Borrowed(id))
    }

    /// Its destinations outside the mesh, in document order.
    #[must_use]
    pub fn externals(&self) -> &[External] {
        &self.externals
    }

    /// The destination outside the mesh that this host is one of, by its name in lower case.
    #[must_use]
    pub fn external_by_host(&self, host: &str) -> Option<&External> {
        self.outside_named(host).map(|(_, external)| external)
    }

    /// The scopes that a rule about this workload asks of a token; empty where it asks for none, or there is no such rule.
    #[must_use]
    pub fn scopes_of<'a>(&'a self, workload: &str, rule: &str) -> Vec<&'a str> {
        let Some((_, target)) = self.workload_named(workload) else {
            return Vec::new();
        };
        let mut rules = target.rules().filter_map(|entry| self.rule(entry.rule));
        let asked = rules.find(|one| *one.name == *rule);
        let clauses = asked.into_iter().flat_map(|rule| &rule.require);
        let scopes = clauses.filter_map(|one| match one {
            Requirement::Token(token) => Some(&token.scopes),
            _ => None,
        });
        scopes.flatten().map(AsRef::as_ref).collect()
    }

    /// Whether an enforced rule about this workload as target could read a caller's token.
    #[must_use]
    pub fn workload_reads_token(&self, name: &str) -> bool {
        self.workload_named(name).is_some_and(|(_, workload)| {
            let rules = workload.rules().filter_map(|entry| self.rule(entry.rule));
            rules.into_iter().any(Rule::reads_token)
        })
    }

    /// Which evidence the rules about this workload as target could read, those in shadow mode among them.
    #[must_use]
    pub fn workload_reads(&self, name: &str) -> Reads {
        let Some((_, workload)) = self.workload_named(name) else {
            return Reads::nothing();
        };
        let rules = workload.rules().filter_map(|entry| self.rule(entry.rule));
        let live = rules.filter(|rule| rule.mode != Mode::Off);
        let mut reads = live.fold(Reads::nothing(), |reads, rule| reads.and(rule.reads()));
        reads.token = self.workload_reads_token(name);
        reads
    }

    /// To which kinds of thing the permits of this workload as target could oblige whoever enforces the policy. Authorizers can
    /// oblige to more.
    #[must_use]
    pub fn workload_obliges(&self, name: &str) -> ObligationKinds {
        let none = ObligationKinds::none();
        let Some((_, workload)) = self.workload_named(name) else {
            return none;
        };
        let permits = workload.permits.iter();
        let rules = permits.filter_map(|entry| self.rule(entry.rule));
        rules.fold(none, |all, rule| all.and(rule.obligations.kinds()))
    }

    /// The schema that permits call by this name, where the loader could read it.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<&Arc<dyn BodySchema>> {
        self.schemas.get(name)
    }

    /// The pattern in the primary trust domain. None where it does not fit.
    pub(crate) fn primary_pattern(&self, pattern: &IdPattern) -> Option<IdPattern> {
        match pattern {
            IdPattern::Exact(id) => self
                .primary_id(id)
                .map(|id| IdPattern::Exact(id.into_owned())),
            IdPattern::Below(id) => self
                .primary_id(id)
                .map(|id| IdPattern::Below(id.into_owned())),
            IdPattern::TrustDomain(domain) if self.is_alias(domain.as_str()) => {
                Some(IdPattern::TrustDomain(self.trust_domain().clone()))
            }
            IdPattern::TrustDomain(_) => Some(pattern.clone()),
        }
    }

    /// Other names of the trust domain: the document's `trust_domain_aliases`.
    pub fn trust_domain_aliases(&self) -> impl Iterator<Item = &TrustDomain> {
        self.document.aliases.iter().map(|alias| &alias.value)
    }

    pub(crate) fn is_alias(&self, domain: &str) -> bool {
        self.document
            .aliases
            .iter()
            .any(|alias| alias.value.as_str() == domain)
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    pub(crate) fn rule(&self, index: RuleIdx) -> Option<&Rule> {
        self.rules.get(usize::try_from(index.0).ok()?)
    }

    pub(crate) fn rules_in_order(&self) -> impl Iterator<Item = RuleIdx> {
        (0_u32..).take(self.rules.len()).map(RuleIdx)
    }

    pub(crate) fn workload(&self, index: WorkloadIdx) -> Option<&Workload> {
        self.workloads.get(usize::try_from(index.0).ok()?)
    }

    /// The destination outside the mesh of this host, and its number behind those of the workloads.
    pub(crate) fn outside_named(&self, host: &str) -> Option<(WorkloadIdx, &External)> {
        let index = self.by_host.get(host, texts::hash(host))?;
        match self.aim(index)? {
            Aim::External(external) => Some((index, external)),
            Aim::Workload(_) => None,
        }
    }

    /// Whom a number means: a workload, or beyond the last of them a destination outside the mesh.
    pub(crate) fn aim(&self, index: WorkloadIdx) -> Option<Aim<'_>> {
        let at = usize::try_from(index.0).ok()?;
        match self.workloads.get(at) {
            Some(workload) => Some(Aim::Workload(workload)),
            None => {
                let at = at.checked_sub(self.workloads.len())?;
                self.externals.get(at).map(Aim::External)
            }
        }
    }

    pub(crate) fn workload_named(&self, name: &str) -> Option<(WorkloadIdx, &Workload)> {
        let index = self.by_name.get(name, texts::hash(name))?;
        self.workload(index).map(|workload| (index, workload))
    }

    pub(crate) fn workload_with_id(&self, id: &SpiffeId) -> Option<(WorkloadIdx, &Workload)> {
        let index = self.by_id.get(id.as_str(), id.text_hash())?;
        self.workload(index).map(|workload| (index, workload))
    }

    /// The workload of the id with this text, in the primary trust domain.
    pub(crate) fn workload_with_text(&self, id: &str) -> Option<&Workload> {
        self.workload(self.by_id.get(id, texts::hash(id))?)
    }
}
