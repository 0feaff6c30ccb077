//! The functions that a condition can call.

use cel::common::ast::{CallExpr, Expr, IdedExpr};
use cel::common::value::Val;
use cel::parser::Expression;
use ztl_core::authorizer::ConditionError;

use super::operator::{Trouble, call};
use super::pattern::compile;
use super::plan::{Kind, Node, TextTest};
use super::ty::Ty;

/// What an argument may be.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    Number,
    Bool,
    Time,
    Duration,
    Sized,
}

impl Takes {
    fn accepts(self, ty: &Ty) -> bool {
        match self {
            _ if *ty == Ty::Dyn => true,
            Self::Text => *ty == Ty::Text,
            Self::Number => ty.is_number(),
            Self::Bool => *ty == Ty::Bool,
            Self::Time => *ty == Ty::Time,
            Self::Duration => *ty == Ty::Duration,
            Self::Sized => matches!(ty, Ty::Text | Ty::List(_) | Ty::Map(..)),
        }
    }
}

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `f(x)`
    Alone,
    /// `x.f()`
    Member,
    Either,
}

/// A function: how it is written, what it takes, the first of them being what it is called on, and what it gives.
struct Function {
    name: &'static str,
    style: Style,
    takes: &'static [&'static [Takes]],
    gives: Ty,
    form: &'static str,
}

const fn function(
    name: &'static str,
    style: Style,
    takes: &'static [&'static [Takes]],
    gives: Ty,
    form: &'static str,
) -> Function {
    Function {
        name,
        style,
        takes,
        gives,
        form,
    }
}

use Style::{Alone, Either, Member};
use Takes::{Bool, Duration, Number, Sized, Text, Time};

const TIMED: &[&[Takes]] = &[&[Time]];
const TIMED_IN: &[&[Takes]] = &[&[Time], &[Text]];
const SPANNED: &[&[Takes]] = &[&[Time, Duration]];
const TIME_FORM: &str = "write it as `now.{}()` or `now.{}(\"Europe/Berlin\")`";

/// A function may stand here several times, with as many arguments each.
const FUNCTIONS: &[Function] = &[
    function(
        "size",
        Either,
        &[&[Sized]],
        Ty::Int,
        "write it as `x.size()` or `size(x)`",
    ),
    function(
        "startsWith",
        Member,
        &[&[Text], &[Text]],
        Ty::Bool,
        "write it as `text.startsWith(\"start\")`",
    ),
    function(
        "endsWith",
        Member,
        &[&[Text], &[Text]],
        Ty::Bool,
        "write it as `text.endsWith(\"end\")`",
    ),
    function(
        "contains",
        Member,
        &[&[Text], &[Text]],
        Ty::Bool,
        "write it as `text.contains(\"piece\")`; of a list it is `x in list`",
    ),
    function(
        "matches",
        Member,
        &[&[Text], &[Text]],
        Ty::Bool,
        "write it as `text.matches(\"^pattern$\")`",
    ),
    function(
        "int",
        Alone,
        &[&[Number, Text, Time]],
        Ty::Int,
        "write it as `int(x)`",
    ),
    function(
        "uint",
        Alone,
        &[&[Number, Text]],
        Ty::Uint,
        "write it as `uint(x)`",
    ),
    function(
        "double",
        Alone,
        &[&[Number, Text]],
        Ty::Double,
        "write it as `double(x)`",
    ),
    function(
        "string",
        Alone,
        &[&[Number, Text, Bool, Time, Duration]],
        Ty::Text,
        "write it as `string(x)`",
    ),
    function(
        "bool",
        Alone,
        &[&[Bool, Text]],
        Ty::Bool,
        "write it as `bool(x)`",
    ),
    function(
        "timestamp",
        Alone,
        &[&[Text, Number, Time]],
        Ty::Time,
        "write it as `timestamp(\"2026-01-31T00:00:00Z\")`",
    ),
    function(
        "duration",
        Alone,
        &[&[Text, Duration]],
        Ty::Duration,
        "write it as `duration(\"90m\")`",
    ),
    function("getFullYear", Member, TIMED, Ty::Int, TIME_FORM),
    function("getFullYear", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getMonth", Member, TIMED, Ty::Int, TIME_FORM),
    function("getMonth", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getDate", Member, TIMED, Ty::Int, TIME_FORM),
    function("getDate", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getDayOfMonth", Member, TIMED, Ty::Int, TIME_FORM),
    function("getDayOfMonth", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getDayOfWeek", Member, TIMED, Ty::Int, TIME_FORM),
    function("getDayOfWeek", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getDayOfYear", Member, TIMED, Ty::Int, TIME_FORM),
    function("getDayOfYear", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getHours", Member, SPANNED, Ty::Int, TIME_FORM),
    function("getHours", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getMinutes", Member, SPANNED, Ty::Int, TIME_FORM),
    function("getMinutes", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getSeconds", Member, SPANNED, Ty::Int, TIME_FORM),
    function("getSeconds", Member, TIMED_IN, Ty::Int, TIME_FORM),
    function("getMilliseconds", Member, SPANNED, Ty::Int, TIME_FORM),
    function("getMilliseconds", Member, TIMED_IN, Ty::Int, TIME_FORM),
];

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// What a call comes to. What it is called on is the first of its arguments.
pub(super) fn resolve(
    name: &str,
    member: bool,
    types: &[Ty],
    nodes: Vec<Node>,
) -> Result<(Kind, Ty), ConditionError> {
    let named = || FUNCTIONS.iter().filter(|function| function.name == name);
    let style = if member { Style::Alone } else { Style::Member };
    let fits =
        |function: &&Function| function.style != style && function.takes.len() == types.len();
    let help = named()
        .next()
        .map_or("", |one| one.form)
        .replace("{}", name);
    if !named().any(|one| fits(&one)) {
        let message = if named().all(|one| one.style == style) {
            format!("`{name}` is not called so")
        } else {
            let given = types.len().saturating_sub(usize::from(member));
            format!("`{name}` does not take {given} arguments")
        };
        return Err(ConditionError::new(message).with_help(help));
    }
    let accepts = |function: &&Function| {
        let mut pairs = function.takes.iter().zip(types);
        pairs.all(|(takes, ty)| takes.iter().any(|one| one.accepts(ty)))
    };
    let Some(function) = named().find(|one| fits(one) && accepts(one)) else {
        let types: Vec<_> = types.iter().map(Ty::to_string).collect();
        let message = format!("`{name}` cannot be applied to {}", types.join(" and "));
        return Err(ConditionError::new(message).with_help(help));
    };
    let kind = plan(name, member, nodes)?;
    Ok((kind, function.gives.clone()))
}

fn plan(name: &str, member: bool, mut nodes: Vec<Node>) -> Result<Kind, ConditionError> {
    let test = match name {
        "startsWith" => Some(TextTest::StartsWith),
        "endsWith" => Some(TextTest::EndsWith),
        "contains" => Some(TextTest::Contains),
        _ => None,
    };
    match (name, nodes.len()) {
        ("size", 1) => nodes.pop().map(|node| Kind::Size(Box::new(node))),
        ("matches", 2) => {
            let pattern = nodes.pop().map(|node| compile(&node)).transpose()?;
            let text = nodes.pop().map(Box::new);
            text.zip(pattern)
                .map(|(text, pattern)| Kind::Matches(text, pattern))
        }
        (_, 2) if test.is_some() => {
            let both = <[Node; 2]>::try_from(nodes).ok();
            test.zip(both)
                .map(|(test, both)| Kind::Text(test, Box::new(both)))
        }
        _ => return called(name, member, nodes),
    }
    .ok_or_else(|| ConditionError::new(format!("`{name}` is not called so")))
}

/// A function of the `cel` crate. One of literals is called at once, so that a time that is none does not load.
fn called(name: &str, member: bool, nodes: Vec<Node>) -> Result<Kind, ConditionError> {
    let mut idents = (0..nodes.len()).map(|at| IdedExpr {
        id: 0,
        expr: Expr::Ident(at.to_string()),
    });
    let target = idents.next().filter(|_| member).map(Box::new);
    let first = (!member).then(|| IdedExpr {
        id: 0,
        expr: Expr::Ident("0".to_owned()),
    });
    let expression = Expression {
        id: 0,
        expr: Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target,
            args: first.into_iter().chain(idents).collect(),
        }),
    };
    let literals: Option<Vec<&dyn Val>> = nodes
        .iter()
        .map(|node| match &node.kind {
            Kind::Literal(literal) => Some(&**literal),
            _ => None,
        })
        .collect();
    match literals.map(|literals| call(&expression, &literals)) {
        None => Ok(Kind::Call(Box::new(expression), nodes)),
        Some(Ok(value)) => Ok(Kind::Literal(value)),
        Some(Err(Trouble(why))) => Err(ConditionError::new(format!("this {why}"))),
    }
}
