//! The comparisons that most conditions are made of, without the interpreter.
//!
//! It tells what the interpreter would tell, or nothing: where something is not there, is of another kind than it is compared
//! with, or takes more than the interpreter would spend on it, that one is asked, and the error is its own.

mod compile;
#[cfg(test)]
mod tests;

use ztl_core::authorizer::Facts;

use super::MAX_STEPS;
use super::facts::{fields, one_or_more, scopes};
use super::names::{Fact, Object};
use super::plan::{Operator, TextTest};
use super::value::Fields;

pub(super) use compile::compile;

/// A condition, or a part of one.
#[derive(Debug)]
pub(super) enum Native {
    Truth(Operand),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    Not(Box<Self>),
    /// Equality, or order.
    Compare(Operator, Operand, Operand),
    Text(TextTest, Operand, Operand),
    /// `one in [..]`
    Among(Operand, Box<[Literal]>),
    /// `one in token.scopes`, `one in token.claims.groups`
    In(Operand, Operand),
}

/// Something that is compared.
#[derive(Debug)]
pub(super) enum Operand {
    Literal(Literal),
    Fact(Fact),
    /// A field of an object, and fields of that.
    Field(Object, Box<[Box<str>]>),
}

#[derive(Debug)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Text(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scalar<'a> {
    Bool(bool),
    Int(i64),
    Text(&'a str),
}

/// Looks at the facts of one request. Each thing costs at least as many steps as the interpreter would take, so that what comes to
/// an end here would there.
struct Look<'a> {
    facts: &'a Facts<'a>,
    left: usize,
}

impl Native {
    /// Whether the condition holds; none where the interpreter has to say.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> Option<bool> {
        let left = usize::try_from(MAX_STEPS.min(facts.steps)).unwrap_or_default();
        Look { facts, left }.holds(self)
    }
}

impl<'a> Look<'a> {
    fn spend(&mut self, steps: usize) -> Option<()> {
        self.left = self.left.checked_sub(steps)?;
        Some(())
    }

    fn holds(&mut self, native: &'a Native) -> Option<bool> {
        self.spend(1)?;
        Some(match native {
            Native::Truth(of) => match self.scalar(of)? {
                Scalar::Bool(truth) => truth,
                _ => return None,
            },
            Native::And(both) => {
                let [left, right] = &**both;
                self.holds(left)? && self.holds(right)?
            }
            Native::Or(both) => {
                let [left, right] = &**both;
                self.holds(left)? || self.holds(right)?
            }
            Native::Not(one) => !self.holds(one)?,
            Native::Compare(operator, left, right) => {
                let (left, right) = (self.scalar(left)?, self.scalar(right)?);
                compare(*operator, left, right)?
            }
            Native::Text(test, text, piece) => {
                let (text, piece) = (self.scalar(text)?, self.scalar(piece)?);
                let (Scalar::Text(text), Scalar::Text(piece)) = (text, piece) else {
                    return None;
                };
                match test {
                    TextTest::StartsWith => text.starts_with(piece),
                    TextTest::EndsWith => text.ends_with(piece),
                    TextTest::Contains => text.contains(piece),
                }
            }
            Native::Among(one, of) => {
                let one = self.scalar(one)?;
                self.any(one, of.iter().map(|literal| Some(literal.scalar())))?
            }
            Native::In(one, of) => {
                let one = self.scalar(one)?;
                self.is_in(one, of)?
            }
        })
    }

    fn scalar(&mut self, of: &'a Operand) -> Option<Scalar<'a>> {
        let found = match of {
            Operand::Literal(literal) => literal.scalar(),
            Operand::Fact(Fact::TrustScore) => {
                Scalar::Int(i64::from(self.facts.trust_score?.value()))
            }
            Operand::Fact(fact) => Scalar::Text(fact.text(self.facts)?),
            Operand::Field(object, path) => {
                self.spend(path.len())?;
                match fields(*object, self.facts)? {
                    Fields::Json(_) => scalar(self.json(*object, path)?)?,
                    Fields::Labels(labels) => match &**path {
                        [name] => Scalar::Text(labels.get(&**name)?),
                        _ => return None,
                    },
                    Fields::Params(params) => match &**path {
                        [name] => {
                            let mut params = params.iter();
                            Scalar::Text(&params.find(|(param, _)| **param == **name)?.1)
                        }
                        _ => return None,
                    },
                    Fields::None => return None,
                }
            }
        };
        self.spend(found.cost())?;
        Some(found)
    }

    fn json(&self, object: Object, path: &[Box<str>]) -> Option<&'a serde_json::Value> {
        let Fields::Json(map) = fields(object, self.facts)? else {
            return None;
        };
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(map.get(&**first)?, |value, name| {
            value.as_object()?.get(&**name)
        })
    }

    fn is_in(&mut self, one: Scalar<'a>, of: &'a Operand) -> Option<bool> {
        match of {
            Operand::Fact(Fact::TokenAudience) => {
                let audience = one_or_more(self.facts.claims?.get("aud")?);
                self.any(one, audience.map(|text| Some(Scalar::Text(text))))
            }
            Operand::Fact(Fact::TokenScopes) => {
                let scopes = scopes(self.facts.claims?)?;
                self.any(one, scopes.map(|text| Some(Scalar::Text(text))))
            }
            Operand::Field(object, path) => {
                self.spend(path.len())?;
                let list = self.json(*object, path)?.as_array()?;
                self.any(one, list.iter().map(scalar))
            }
            Operand::Literal(_) | Operand::Fact(_) => None,
        }
    }

    /// Whether one of these is equal. All of them are looked at, since one of another kind is for the interpreter.
    fn any(
        &mut self,
        one: Scalar<'a>,
        of: impl Iterator<Item = Option<Scalar<'a>>>,
    ) -> Option<bool> {
        let mut found = false;
        for element in of {
            let element = element?;
            self.spend(element.cost())?;
            found |= compare(Operator::Equals, one, element)?;
        }
        Some(found)
    }
}

impl Literal {
    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Bool(truth) => Scalar::Bool(*truth),
            Self::Int(int) => Scalar::Int(*int),
            Self::Text(text) => Scalar::Text(text),
        }
    }
}

impl Scalar<'_> {
    /// No less than the interpreter spends on it wherever it stands: it looks at a text up to four times.
    const fn cost(self) -> usize {
        match self {
            Self::Text(text) => 4 + text.len() / 16,
            Self::Bool(_) | Self::Int(_) => 4,
        }
    }
}

/// What is neither a list nor an object nor a number with a point or beyond an int.
fn scalar(json: &serde_json::Value) -> Option<Scalar<'_>> {
    match json {
        serde_json::Value::Bool(truth) => Some(Scalar::Bool(*truth)),
        serde_json::Value::Number(number) => number.as_i64().map(Scalar::Int),
        serde_json::Value::String(text) => Some(Scalar::Text(text)),
        _ => None,
    }
}

/// Of two of one kind; what is not ordered has no order.
fn compare(operator: Operator, left: Scalar<'_>, right: Scalar<'_>) -> Option<bool> {
    let order = match (left, right) {
        (Scalar::Text(left), Scalar::Text(right)) => match operator {
            // Shorter than to order them.
            Operator::Equals => return Some(left == right),
            Operator::Differs => return Some(left != right),
            _ => left.cmp(right),
        },
        (Scalar::Int(left), Scalar::Int(right)) => left.cmp(&right),
        (Scalar::Bool(left), Scalar::Bool(right)) => {
            return match operator {
                Operator::Equals => Some(left == right),
                Operator::Differs => Some(left != right),
                _ => None,
            };
        }
        _ => return None,
    };
    Some(match operator {
        Operator::Equals => order.is_eq(),
        Operator::Differs => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        _ => return None,
    })
}
