//! The walk over a plan: from left to right, every step counted, and the first that fails ends it.

use cel::common::types::{CelBool, CelInt, CelList, CelMap, CelString};
use cel::common::value::{CowVal, Val};
use cel::parser::Expression;
use ztl_core::authorizer::Facts;

use super::MAX_STEPS;
use super::names::Fact;
use super::operand::Operand;
use super::operator::{self, Trouble, index, negate};
use super::plan::{Kind, Node, Operator, TextTest};
use super::value::{Value, text_of, weight};

/// Steps for each byte that a pattern is held against: it may be in many places of itself at once.
const STEPS_PER_MATCHED_BYTE: u32 = 4;

/// What failed, and why.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub(super) of: &'a Node,
    pub(super) why: String,
}

pub(super) struct Walk<'a> {
    pub(super) facts: &'a Facts<'a>,
    /// The elements that the loops around are at, the outermost first.
    pub(super) locals: Vec<Value<'a>>,
    left: u32,
    /// Of so many.
    most: u32,
}

pub(super) type Told<'a, T = Value<'a>> = Result<T, Failure<'a>>;

pub(super) fn failure<'a, T>(of: &'a Node, why: impl Into<String>) -> Told<'a, T> {
    let why = why.into();
    Err(Failure { of, why })
}

impl<'a> Walk<'a> {
    pub(super) fn new(facts: &'a Facts<'a>) -> Self {
        let most = MAX_STEPS.min(facts.steps);
        Self {
            facts,
            locals: Vec::new(),
            left: most,
            most,
        }
    }

    pub(super) fn truth(&mut self, node: &'a Node) -> Told<'a, bool> {
        let value = self.value(node)?;
        match value.truth() {
            Some(truth) => Ok(truth),
            None => failure(
                node,
                format!("is {}, and neither true nor false", value.kind()),
            ),
        }
    }

    pub(super) fn spend(&mut self, steps: u32, node: &'a Node) -> Told<'a, ()> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                failure(node, format!("takes more than {} steps", self.most))
            }
        }
    }

    pub(super) fn value(&mut self, node: &'a Node) -> Told<'a> {
        self.spend(1, node)?;
        let truth = |truth| Value::owned(CelBool::from(truth));
        match &node.kind {
            Kind::Literal(literal) => Ok(Value::Val(CowVal::Borrowed(&**literal))),
            Kind::Fact(fact) => {
                let value = fact.value(self.facts);
                let Some(value) = value else {
                    return failure(node, "is not there");
                };
                if let Value::Val(value) = &value {
                    self.spend(weight(value.as_ref()), node)?;
                }
                Ok(value)
            }
            Kind::Local(at) => {
                let Some(value) = self.locals.get(*at).cloned() else {
                    return failure(node, "is not there");
                };
                if let Value::Val(value) = &value {
                    self.spend(weight(value.as_ref()), node)?;
                }
                Ok(value)
            }
            Kind::Field(of, name) => {
                let of = self.value(of)?;
                self.field(node, of, name)
            }
            Kind::Index(both) => {
                let [of, at] = &**both;
                let (of, at) = (self.value(of)?, self.value(at)?);
                self.index(node, of, at)
            }
            Kind::Has(of, name) => self.has(node, of, name).map(truth),
            Kind::And(both) => {
                let [left, right] = &**both;
                Ok(truth(self.truth(left)? && self.truth(right)?))
            }
            Kind::Or(both) => {
                let [left, right] = &**both;
                Ok(truth(self.truth(left)? || self.truth(right)?))
            }
            Kind::Not(one) => Ok(truth(!self.truth(one)?)),
            Kind::If(three) => {
                let [asked, then, other] = &**three;
                let taken = if self.truth(asked)? { then } else { other };
                self.value(taken)
            }
            Kind::Negate(one) => {
                let value = self.operand(one)?.by_kind();
                negate(&value)
                    .map(Value::Val)
                    .or_else(|Trouble(why)| failure(node, why))
            }
            Kind::Operator(Operator::In, both) => {
                let [one, of] = &**both;
                let one = self.operand(one)?;
                if let Kind::Fact(fact @ (Fact::TokenAudience | Fact::TokenScopes)) = of.kind {
                    return self.is_among(node, &one.by_kind(), of, fact).map(truth);
                }
                let of = self.value(of)?;
                self.contains(node, one, of).map(truth)
            }
            Kind::Operator(operator, both) => {
                let [left, right] = &**both;
                let (left, right) = (self.operand(left)?, self.operand(right)?);
                let steps = left.weight().saturating_add(right.weight());
                self.spend(steps, node)?;
                Operand::operate(*operator, left, right)
                    .map(Value::Val)
                    .or_else(|Trouble(why)| failure(node, why))
            }
            Kind::List(nodes) => {
                let mut list: Vec<Box<dyn Val + 'a>> = Vec::with_capacity(nodes.len());
                for one in nodes {
                    list.push(self.val(one)?.into_owned());
                }
                Ok(Value::owned(CelList::from(list)))
            }
            Kind::Map(pairs) => self.map(node, pairs),
            Kind::Size(of) => {
                let of = self.value(of)?;
                let size = match &of {
                    Value::List(list) => i64::try_from(list.len()).ok(),
                    Value::Object(_) => None,
                    Value::Val(value) => match text_of(value.as_ref()) {
                        Some(text) => {
                            self.spend(weight(value.as_ref()), node)?;
                            i64::try_from(text.chars().count()).ok()
                        }
                        None => value.as_sizer().map(|sizer| *sizer.size().inner()),
                    },
                };
                match size {
                    Some(size) => Ok(Value::owned(CelInt::from(size))),
                    None => failure(node, format!("asks how many there are of {}", of.kind())),
                }
            }
            Kind::Text(test, both) => {
                let [text, piece] = &**both;
                let (text, piece) = (self.text(text)?, self.text(piece)?);
                let steps = weight(text.as_ref()).saturating_add(weight(piece.as_ref()));
                self.spend(steps, node)?;
                let (text, piece) = (text_of(text.as_ref()), text_of(piece.as_ref()));
                let holds = text.zip(piece).is_some_and(|(text, piece)| match test {
                    TextTest::StartsWith => text.starts_with(piece),
                    TextTest::EndsWith => text.ends_with(piece),
                    TextTest::Contains => text.contains(piece),
                });
                Ok(truth(holds))
            }
            Kind::Matches(text, pattern) => {
                let text = self.text(text)?;
                let text = text_of(text.as_ref()).unwrap_or_default();
                let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
                self.spend(bytes.saturating_mul(STEPS_PER_MATCHED_BYTE), node)?;
                Ok(truth(pattern.is_match(text)))
            }
            Kind::Call(expression, nodes) => self.call(node, expression, nodes),
            Kind::Loop(kind, both) => {
                let [of, body] = &**both;
                self.run(node, *kind, of, body)
            }
        }
    }

    /// A value that can be compared and copied: an object is not looked at as a whole (T7). Each element of a list of the request is a
    /// step.
    pub(super) fn operand(&mut self, node: &'a Node) -> Told<'a, Operand<'a>> {
        match self.value(node)? {
            Value::Val(value) => Ok(Operand::Val(value)),
            Value::List(list) => {
                self.pay(node, list)?;
                Ok(Operand::List(list))
            }
            Value::Object(_) => failure(node, OBJECT),
        }
    }

    /// The same, where a list of the request is copied.
    pub(super) fn val(&mut self, node: &'a Node) -> Told<'a, CowVal<'a, 'a>> {
        self.operand(node).map(Operand::copied)
    }

    fn text(&mut self, node: &'a Node) -> Told<'a, CowVal<'a, 'a>> {
        let value = self.value(node)?;
        match value {
            Value::Val(value) if text_of(value.as_ref()).is_some() => Ok(value),
            other => failure(node, format!("is {}, and has to be string", other.kind())),
        }
    }

    fn field(&mut self, node: &'a Node, of: Value<'a>, name: &str) -> Told<'a> {
        match &of {
            Value::Object(fields) => match fields.get(name) {
                Some(value) => Ok(value),
                None => failure(node, "is not there"),
            },
            Value::Val(value) if value.downcast_ref::<CelMap>().is_some() => {
                let name = CowVal::owned(CelString::from(name.to_owned()));
                self.index(node, of, Value::Val(name))
            }
            other => failure(node, format!("asks for a field of {}", other.kind())),
        }
    }

    fn index(&mut self, node: &'a Node, of: Value<'a>, at: Value<'a>) -> Told<'a> {
        let Value::Val(at) = at else {
            return failure(node, format!("asks for {} in {}", at.kind(), of.kind()));
        };
        let found = match &of {
            Value::Object(fields) => match text_of(at.as_ref()) {
                Some(name) => fields.get(name),
                None => return failure(node, "asks an object for something else than a field"),
            },
            Value::List(list) => match at.downcast_ref::<CelInt>() {
                Some(at) => {
                    let at = usize::try_from(*at.inner()).ok();
                    at.and_then(|at| list.get(at)).map(Value::json)
                }
                None => return failure(node, "asks a list for something else than a number"),
            },
            Value::Val(of) => {
                self.spend(weight(of.as_ref()), node)?;
                return index(of, &at)
                    .map(Value::Val)
                    .or_else(|Trouble(why)| failure(node, why));
            }
        };
        found.map_or_else(|| failure(node, "is not there"), Ok)
    }

    /// Whether a field is there. Of what it is a field has to be there itself.
    fn has(&mut self, node: &'a Node, of: &'a Node, name: &str) -> Told<'a, bool> {
        if name.is_empty()
            && let Kind::Fact(fact) = &of.kind
        {
            return Ok(fact.texts(self.facts).is_some() || fact.value(self.facts).is_some());
        }
        match self.value(of)? {
            Value::Object(fields) => Ok(fields.get(name).is_some()),
            other => failure(node, format!("asks for a field of {}", other.kind())),
        }
    }

    fn call(&mut self, node: &'a Node, expression: &'a Expression, nodes: &'a [Node]) -> Told<'a> {
        let mut arguments = Vec::with_capacity(nodes.len());
        for one in nodes {
            let value = self.operand(one)?;
            self.spend(value.weight(), node)?;
            // None of them takes a list.
            arguments.push(value.by_kind());
        }
        let arguments: Vec<&dyn Val> = arguments.iter().map(CowVal::as_ref).collect();
        match operator::call(expression, &arguments) {
            Ok(value) => Ok(Value::Val(CowVal::Owned(value))),
            Err(Trouble(why)) => failure(node, why),
        }
    }
}

pub(super) const OBJECT: &str = "is an object, of which only fields can be looked at";
