//! A checked condition: every name is resolved, every function known, every pattern compiled.

use core::ops::Range;

use cel::common::value::Val;
use cel::parser::Expression;
use regex::Regex;

use super::names::Fact;

/// A part of a condition, and the bytes of the source where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Literal(Box<dyn Val>),
    Fact(Fact),
    /// The variable of a loop: the outermost is the first.
    Local(usize),
    Field(Box<Node>, Box<str>),
    Index(Box<[Node; 2]>),
    Has(Box<Node>, Box<str>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
    /// Condition, then, else.
    If(Box<[Node; 3]>),
    Negate(Box<Node>),
    Operator(Operator, Box<[Node; 2]>),
    List(Vec<Node>),
    Map(Vec<[Node; 2]>),
    Size(Box<Node>),
    Text(TextTest, Box<[Node; 2]>),
    Matches(Box<Node>, Regex),
    /// A function of the `cel` crate: its call with an argument of each number, and the arguments.
    Call(Box<Expression>, Vec<Node>),
    Loop(Loop, Box<[Node; 2]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equals,
    Differs,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

/// What is asked of each element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loop {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}
