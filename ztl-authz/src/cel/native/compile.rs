//! From a checked condition to its native form, where it has one.

use cel::common::types::{CelBool, CelInt, CelString};

use super::{Literal, Native, Operand};
use crate::cel::names::{Fact, Object};
use crate::cel::plan::{Kind, Node, Operator};

/// The native form of a condition; none where a part of it needs the interpreter.
pub(in crate::cel) fn compile(node: &Node) -> Option<Native> {
    Some(match &node.kind {
        Kind::And(both) => Native::And(two(both)?),
        Kind::Or(both) => Native::Or(two(both)?),
        Kind::Not(one) => Native::Not(Box::new(compile(one)?)),
        Kind::Text(test, both) => {
            let [text, piece] = &**both;
            Native::Text(*test, operand(text)?, operand(piece)?)
        }
        Kind::Operator(Operator::In, both) => {
            let [one, of] = &**both;
            let one = operand(one)?;
            match &of.kind {
                Kind::List(all) => {
                    let all = all.iter().map(literal).collect::<Option<Vec<_>>>();
                    Native::Among(one, all?.into())
                }
                _ => Native::In(one, list(of)?),
            }
        }
        Kind::Operator(operator, both) => {
            let [left, right] = &**both;
            if !compares(*operator) {
                return None;
            }
            Native::Compare(*operator, operand(left)?, operand(right)?)
        }
        _ => Native::Truth(operand(node)?),
    })
}

fn two(both: &[Node; 2]) -> Option<Box<[Native; 2]>> {
    let [left, right] = both;
    Some(Box::new([compile(left)?, compile(right)?]))
}

const fn compares(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Equals
            | Operator::Differs
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
    )
}

fn literal(node: &Node) -> Option<Literal> {
    let Kind::Literal(value) = &node.kind else {
        return None;
    };
    let text = || {
        let text = value.downcast_ref::<CelString>()?;
        Some(Literal::Text(text.inner().into()))
    };
    let int = || Some(Literal::Int(*value.downcast_ref::<CelInt>()?.inner()));
    let truth = || Some(Literal::Bool(*value.downcast_ref::<CelBool>()?.inner()));
    text().or_else(int).or_else(truth)
}

fn operand(node: &Node) -> Option<Operand> {
    match &node.kind {
        Kind::Literal(_) => literal(node).map(Operand::Literal),
        // Times are told by the interpreter.
        Kind::Fact(
            Fact::TokenAudience
            | Fact::TokenScopes
            | Fact::TokenExpiresAt
            | Fact::Now
            | Fact::Open(_),
        ) => None,
        Kind::Fact(fact) => Some(Operand::Fact(*fact)),
        _ => field(node),
    }
}

/// What could be a list.
fn list(node: &Node) -> Option<Operand> {
    match &node.kind {
        Kind::Fact(fact @ (Fact::TokenAudience | Fact::TokenScopes)) => Some(Operand::Fact(*fact)),
        _ => field(node),
    }
}

fn field(node: &Node) -> Option<Operand> {
    let mut path: Vec<Box<str>> = Vec::new();
    let mut node = node;
    while let Kind::Field(of, name) = &node.kind {
        path.push(name.clone());
        node = of;
    }
    let Kind::Fact(Fact::Open(object)) = node.kind else {
        return None;
    };
    path.reverse();
    let is_deep = matches!(object, Object::Claims | Object::Posture | Object::Context);
    (path.len() == 1 || is_deep && !path.is_empty()).then(|| Operand::Field(object, path.into()))
}
