//! Which conditions may take long, by their text alone (T34).
//!
//! What looks at each thing once is through in microseconds, whatever a request holds: a list is compared where it lies, and looked
//! through without a copy. What asks something of each element of a list, holds a pattern against a text, or makes a list of another
//! takes as long as its steps reach, which is hundreds of times that. It is for threads on which no other request waits.

use super::names::{Fact, Object};
use super::plan::{Kind, Node, Operator, TextTest};

/// More calls of functions than this take long together: each may read a text as long as a token has room for.
const MOST_CALLS: usize = 8;

impl Node {
    /// Whether to evaluate it may take long.
    pub(super) fn is_heavy(&self) -> bool {
        self.grows() || self.calls() > MOST_CALLS
    }

    /// Whether a part of it takes longer the more a request holds, beyond one look at it.
    fn grows(&self) -> bool {
        match &self.kind {
            Kind::Loop(..) | Kind::Matches(..) => true,
            // Whether they are there is told without a list of them.
            Kind::Has(of, _) if of.is_texts() => false,
            // As a value it is a list that has to be made.
            Kind::Fact(Fact::TokenAudience | Fact::TokenScopes) => true,
            Kind::Operator(Operator::In, both) => {
                let [one, of] = &**both;
                one.grows() || !of.is_texts() && of.grows()
            }
            Kind::Operator(Operator::Add, both) if both.iter().all(Self::may_be_list) => true,
            Kind::List(parts) if parts.iter().any(Self::may_be_list) => true,
            Kind::Map(pairs) if pairs.iter().flatten().any(Self::may_be_list) => true,
            _ => self.parts().any(Self::grows),
        }
    }

    /// The texts of a token, which are looked through as they stand there.
    const fn is_texts(&self) -> bool {
        matches!(
            self.kind,
            Kind::Fact(Fact::TokenAudience | Fact::TokenScopes)
        )
    }

    /// Whether its value could be a list.
    fn may_be_list(&self) -> bool {
        match &self.kind {
            Kind::Field(of, _) => !of.holds_texts(),
            Kind::Index(both) => {
                let [of, _] = &**both;
                !of.holds_texts()
            }
            Kind::If(three) => {
                let [_, then, other] = &**three;
                then.may_be_list() || other.may_be_list()
            }
            Kind::Operator(Operator::Add, both) => both.iter().all(Self::may_be_list),
            Kind::Fact(_) => self.is_texts(),
            Kind::Local(_) | Kind::List(_) | Kind::Loop(..) => true,
            Kind::Literal(_)
            | Kind::Has(..)
            | Kind::And(_)
            | Kind::Or(_)
            | Kind::Not(_)
            | Kind::Negate(_)
            | Kind::Operator(..)
            | Kind::Map(_)
            | Kind::Size(_)
            | Kind::Text(..)
            | Kind::Matches(..)
            | Kind::Call(..) => false,
        }
    }

    /// An object whose fields are texts.
    const fn holds_texts(&self) -> bool {
        matches!(
            self.kind,
            Kind::Fact(Fact::Open(Object::Labels | Object::Params))
        )
    }

    /// How many functions it calls, but for those that are through at once.
    fn calls(&self) -> usize {
        let reads = matches!(
            self.kind,
            Kind::Call(..) | Kind::Text(TextTest::Contains, _)
        );
        let own = usize::from(reads);
        self.parts()
            .fold(own, |sum, part| sum.saturating_add(part.calls()))
    }

    /// What it is put together of.
    fn parts(&self) -> impl Iterator<Item = &Self> {
        let parts: &[Self] = match &self.kind {
            Kind::Literal(_) | Kind::Fact(_) | Kind::Local(_) | Kind::Map(_) => &[],
            Kind::Field(of, _)
            | Kind::Has(of, _)
            | Kind::Not(of)
            | Kind::Negate(of)
            | Kind::Size(of)
            | Kind::Matches(of, _) => core::slice::from_ref(&**of),
            Kind::Index(both)
            | Kind::And(both)
            | Kind::Or(both)
            | Kind::Operator(_, both)
            | Kind::Text(_, both)
            | Kind::Loop(_, both) => &**both,
            Kind::If(three) => &**three,
            Kind::List(parts) | Kind::Call(_, parts) => parts,
        };
        let pairs: &[[Self; 2]] = match &self.kind {
            Kind::Map(pairs) => pairs,
            _ => &[],
        };
        parts.iter().chain(pairs.iter().flatten())
    }
}
