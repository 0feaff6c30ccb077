//! The clauses of a rule, by name: what an explanation and an audit record say that a denial hung on.

use core::fmt;
use std::sync::Arc;

use crate::decision::Lack;

macro_rules! clauses {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// One thing that has to hold for a request to be permitted. The codes are stable, as those of
        /// [`Reason`](crate::Reason) are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Clause { $($(#[$doc])* $name,)* }

        impl Clause {
            /// Every clause there is, in the order in which they are looked at.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

clauses! {
    /// Who calls has to be proved, and the proof be good.
    Proof = "proof",
    /// Where the caller stands.
    Zone = "zone",
    /// `to`
    To = "to",
    /// `from`
    From = "from",
    /// `ports`
    Port = "port",
    /// An id that is passed on has to be among the `forwards` of whoever passes it on.
    Forwards = "forwards",
    /// `actions`: the kind of action, such as raw bytes where a rule names requests.
    Action = "action",
    /// `actions`: what the connection shall become.
    Upgrade = "action.upgrade",
    /// `actions`: the method.
    Method = "action.method",
    /// `actions`: the path.
    Path = "action.path",
    /// `subject`
    Subject = "subject",
    /// `actors`
    Actors = "actors",
    /// `trust_score`
    TrustScore = "trust_score",
    /// `zone_trust`
    ZoneTrust = "zone_trust",
    /// `token`: one that is there, fresh, and of the issuer and for the audience that are named.
    Token = "token",
    /// `token`: its scopes.
    Scope = "token.scopes",
    /// `token`: its claims.
    Claim = "token.claims",
    /// `mfa`
    Mfa = "mfa",
    /// `headers`
    Header = "headers",
    /// `when`
    When = "when",
    /// `authorizer`
    Authorizer = "authorizer",
    /// `oblige`: what the enforcement point would have to discharge.
    Oblige = "oblige",
    /// A forbid, all of whose clauses match.
    Forbid = "forbid",
}

impl From<Lack> for Clause {
    /// The clause of a requirement that did not hold.
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::Token => Self::Token,
            Lack::Subject => Self::Subject,
            Lack::Actors => Self::Actors,
            Lack::Scope => Self::Scope,
            Lack::Claim => Self::Claim,
            Lack::Mfa => Self::Mfa,
            Lack::TrustScore => Self::TrustScore,
            Lack::ZoneTrust => Self::ZoneTrust,
            Lack::Header => Self::Header,
            Lack::Condition => Self::When,
            Lack::Authorizer => Self::Authorizer,
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What a denial hung on: the rule that decided or came nearest, and the first of its clauses that failed (for a forbid:
/// that it matched). Only where the engine was told to [`explain_denials`](crate::Engine::explain_denials).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Near {
    /// The rule.
    pub rule: Arc<str>,
    /// Its first clause that failed.
    pub clause: Clause,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_in_the_order_of_the_list() {
        let codes: HashSet<_> = Clause::ALL.iter().map(|clause| clause.code()).collect();
        assert_eq!(codes.len(), Clause::ALL.len());
        assert!(Clause::ALL.is_sorted());
    }
}
