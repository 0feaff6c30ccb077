//! Operations on two values, and functions, as the `cel` crate does them.

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::types::{
    CelBool, CelDouble, CelDuration, CelInt, CelString, CelTimestamp, CelUInt,
};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::parser::Expression;
use cel::{Context, Env, ExecutionError};

use super::plan::Operator;
use super::value::{comparable, kind_name, text_of};

/// Why an operation came to nothing, as the end of a sentence. It holds no value (law 7).
#[derive(Debug)]
pub(super) struct Trouble(pub(super) String);

impl Trouble {
    fn of(what: &str) -> Self {
        Self(what.to_owned())
    }
}

/// An operation but `in`.
pub(super) fn operate<'a>(
    operator: Operator,
    left: &CowVal<'_, 'a>,
    right: &CowVal<'_, 'a>,
) -> Result<CowVal<'a, 'a>, Trouble> {
    let (a, b) = (left.as_ref(), right.as_ref());
    let truth = |truth: bool| Ok(CowVal::owned(CelBool::from(truth)));
    let done = match operator {
        Operator::Equals | Operator::Differs => {
            // In CEL at large what is of another kind differs; here that is an error, which grants nothing.
            if !comparable(a, b) {
                return Err(unfit(a, b));
            }
            return truth(a.equals(b) == (operator == Operator::Equals));
        }
        Operator::Less => return truth(ordered(a, b)? == Ordering::Less),
        Operator::LessOrEqual => return truth(ordered(a, b)? != Ordering::Greater),
        Operator::Greater => return truth(ordered(a, b)? == Ordering::Greater),
        Operator::GreaterOrEqual => return truth(ordered(a, b)? != Ordering::Less),
        Operator::Add => a.as_adder().map(|one| one.add(b)),
        Operator::Subtract => a.as_subtractor().map(|one| one.sub(b)),
        Operator::Multiply => a.as_multiplier().map(|one| one.mul(b)),
        Operator::Divide => a.as_divider().map(|one| one.div(b)),
        Operator::Modulo => a.as_modder().map(|one| one.modulo(b)),
        Operator::In => None,
    };
    let done = done.ok_or_else(|| unfit(a, b))?;
    let done = done.map_err(|error| said(error, a, b))?;
    Ok(CowVal::Owned(done.into_owned()))
}

fn ordered(a: &dyn Val, b: &dyn Val) -> Result<Ordering, Trouble> {
    let comparer = a.as_comparer().ok_or_else(|| unfit(a, b))?;
    comparer.compare(b).map_err(|error| said(error, a, b))
}

pub(super) fn negate<'a>(of: &CowVal<'_, 'a>) -> Result<CowVal<'a, 'a>, Trouble> {
    let unfit = || {
        Trouble(format!(
            "takes a number, and this is {}",
            kind_name(of.as_ref())
        ))
    };
    let negator = of.as_negator().ok_or_else(unfit)?;
    let negative = negator
        .negate()
        .map_err(|_| Trouble::of("is beyond its range"))?;
    Ok(CowVal::Owned(negative))
}

/// An element of a list or map that the condition wrote.
pub(super) fn index<'a>(
    of: &CowVal<'_, 'a>,
    at: &CowVal<'_, 'a>,
) -> Result<CowVal<'a, 'a>, Trouble> {
    let unfit = || {
        let (of, at) = (kind_name(of.as_ref()), kind_name(at.as_ref()));
        Trouble(format!("asks for {at} in {of}"))
    };
    let indexer = of.as_indexer().ok_or_else(unfit)?;
    match indexer.get(at.as_ref()) {
        Ok(value) => Ok(CowVal::Owned(value.into_owned())),
        Err(ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_)) => {
            Err(Trouble::of("is not there"))
        }
        Err(_) => Err(unfit()),
    }
}

pub(super) fn unfit(a: &dyn Val, b: &dyn Val) -> Trouble {
    Trouble(format!(
        "cannot be told of {} and {}",
        kind_name(a),
        kind_name(b)
    ))
}

fn said(error: ExecutionError, a: &dyn Val, b: &dyn Val) -> Trouble {
    match error {
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            Trouble::of("divides by zero")
        }
        ExecutionError::Overflow(..) => Trouble::of("is beyond its range"),
        _ => unfit(a, b),
    }
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// The arguments of one call, named by their numbers.
struct Arguments<'a>(&'a [&'a dyn Val]);

impl VariableResolver for Arguments<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let at: usize = variable.parse().ok()?;
        self.0.get(at).map(|value| CowVal::Borrowed(*value))
    }
}

/// Calls a function of the crate.
pub(super) fn call(
    expression: &Expression,
    arguments: &[&dyn Val],
) -> Result<Box<dyn Val>, Trouble> {
    let arguments = Arguments(arguments);
    // What comes in may be any time or text: a case that the crate did not think of denies, and ends nothing else.
    let value = catch_unwind(AssertUnwindSafe(|| {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&arguments);
        let value = cel::Value::resolve_val(expression, &context).ok()?;
        detached(value.as_ref())
    }));
    match value {
        Ok(Some(value)) => Ok(value),
        _ => {
            let kinds: Vec<_> = arguments.0.iter().map(|one| kind_name(*one)).collect();
            Err(Trouble(format!(
                "cannot be told of this {}",
                kinds.join(" and ")
            )))
        }
    }
}

/// The same value, borrowing nothing. None of what no function gives.
fn detached(value: &(dyn Val + '_)) -> Option<Box<dyn Val>> {
    macro_rules! plain {
        ($($name:ident),*) => {
            $(if let Some(one) = value.downcast_ref::<$name>() {
                return Some(one.clone_as_boxed());
            })*
        };
    }
    plain!(
        CelBool,
        CelInt,
        CelUInt,
        CelDouble,
        CelTimestamp,
        CelDuration
    );
    let text = text_of(value)?;
    Some(Box::new(CelString::from(text.to_owned())))
}
