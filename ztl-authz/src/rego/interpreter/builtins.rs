//! What a policy may call.

use core::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use regorus::{Engine, Value};

use super::strict::Strict;
use super::{InterpreterError, bounds, value};
use crate::rego::builtins::{self, Builtin, Context, Regexes};

/// Most numbers that `numbers.range` and `numbers.range_step` make.
pub const MAX_RANGE: i64 = 10_000;
/// Longest answer of a builtin that is given, in bytes.
pub(super) const MOST_ANSWER: usize = 256 * 1024;

/// Why a policy may not call a builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// It reaches the network.
    Network,
    /// It shows the environment of the process.
    Environment,
    /// It answers differently when it is asked again.
    Random,
    /// It makes much of little.
    Unbounded,
    /// It would answer otherwise than OPA's.
    Otherwise,
    /// It is not there.
    Unknown,
}

impl Refused {
    /// In words.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Network => "reaches the network, and a decision reaches nothing",
            Self::Environment => "shows the environment of the process, and a decision reads none",
            Self::Random => "is random, and the same inputs have to give the same decision",
            Self::Unbounded => "can make much of little, and what a decision costs is bounded",
            Self::Otherwise => {
                "answers otherwise than OPA's here; write times as RFC 3339 has them, for `time.parse_rfc3339_ns`"
            }
            Self::Unknown => {
                "is not there: neither a builtin that the interpreter has nor a function of the policy"
            }
        }
    }

    /// Whether a name that no function of the policy has may be called.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "http.send" | "net.lookup_ip_addr" => Some(Self::Network),
            "opa.runtime" => Some(Self::Environment),
            "rand.intn" | "uuid.rfc4122" => Some(Self::Random),
            "graph.reachable_paths" | "net.cidr_expand" | "test.sleep" => Some(Self::Unbounded),
            "time.parse_ns" => Some(Self::Otherwise),
            "print" => None,
            name if builtins::interpreted(name).is_some() => None,
            name if regorus::unstable::BUILTINS.contains_key(name) => None,
            _ => Some(Self::Unknown),
        }
    }
}

thread_local! {
    /// The time of the decision that this thread is about.
    static NOW: Cell<u64> = const { Cell::new(0) };
    /// Expressions that were compiled on this thread.
    static REGEXES: RefCell<Regexes> = RefCell::default();
}

/// Evaluates at a time, which is what `time.now_ns` says.
pub(super) fn at<T>(now: u64, evaluate: impl FnOnce() -> T) -> T {
    NOW.set(now);
    evaluate()
}

/// Puts in what a policy calls: what is given here, and what the crate has so that it fails. The interpreter looks among these
/// first, so that what is refused at load cannot be reached in another way either, such as by `with`.
pub(super) fn install(
    engine: &mut Engine,
    called: &BTreeSet<String>,
) -> Result<(), InterpreterError> {
    for name in REFUSED {
        add(engine, name, 2, |_| Err(Fault))?;
    }
    for name in called {
        if REFUSED.contains(&name.as_str()) {
            continue;
        }
        if let Some((arguments, call)) = special(name) {
            add(engine, name, arguments, call)?;
        } else if let Some(builtin) = builtins::interpreted(name) {
            let arguments = u8::try_from(builtin.arity()).unwrap_or(u8::MAX);
            add(engine, builtin.name(), arguments, move |given| {
                give(builtin, given)
            })?;
        } else if let Some(builtin) = Strict::named(name) {
            let shown = if name == "json.marshal" {
                escaped
            } else {
                as_it_is
            };
            let (arguments, fits) = (builtin.arguments(), bounds::of(name));
            add(engine, name, arguments, move |given| {
                if !fits(given) {
                    return Err(Fault);
                }
                builtin.call(given).map(shown)
            })?;
        }
    }
    Ok(())
}

/// What the crate has, and no policy may call.
const REFUSED: [&str; 3] = ["graph.reachable_paths", "net.cidr_expand", "rand.intn"];

type Call = fn(&[Value]) -> Result<Value, Fault>;

/// What is told of the interpreter's own values.
fn special(name: &str) -> Option<(u8, Call)> {
    Some(match name {
        "count" => (1, count),
        "numbers.range" => (2, |given| range(given, 1)),
        "numbers.range_step" => (3, |given| {
            let step = given.get(2).and_then(integer);
            range(given, step.filter(|step| *step > 0).ok_or(Fault)?)
        }),
        "to_number" => (1, to_number),
        "time.now_ns" => (0, |_| Ok(Value::from(NOW.get()))),
        _ => return None,
    })
}

fn add(
    engine: &mut Engine,
    name: &str,
    arguments: u8,
    call: impl Fn(&[Value]) -> Result<Value, Fault> + Clone + Send + Sync + 'static,
) -> Result<(), InterpreterError> {
    let call = move |given: Vec<Value>| Ok(call(&given)?);
    let added = engine.add_extension(name.to_owned(), arguments, Box::new(call));
    added.map_err(|fault| InterpreterError::Source {
        place: name.to_owned(),
        message: fault.to_string(),
    })
}

/// What a builtin that is given here says.
fn give(builtin: Builtin, given: &[Value]) -> Result<Value, Fault> {
    let given = value::terms(given).ok_or(Fault)?;
    let answer = REGEXES.with_borrow_mut(|regexes| {
        let mut context = Context {
            now: i64::try_from(NOW.get()).ok(),
            regexes,
            most: MOST_ANSWER,
        };
        builtin.call(&mut context, &given)
    });
    answer.ok().and_then(value::value).ok_or(Fault)
}

const fn as_it_is(value: Value) -> Value {
    value
}

/// JSON as Go writes it, for pages in HTML.
fn escaped(json: Value) -> Value {
    let Value::String(text) = &json else {
        return json;
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    Value::from(out)
}

/// The number that a text is, and nothing else beside it.
fn to_number(given: &[Value]) -> Result<Value, Fault> {
    match given.first() {
        Some(Value::Null | Value::Bool(false)) => Ok(Value::from(0_u64)),
        Some(Value::Bool(true)) => Ok(Value::from(1_u64)),
        Some(number @ Value::Number(_)) => Ok(number.clone()),
        Some(Value::String(text)) => {
            let of_number =
                |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
            let digits = Some(&**text).filter(|text| text.chars().all(of_number));
            match digits.map(Value::from_json_str) {
                Some(Ok(number @ Value::Number(_))) => Ok(number),
                _ => Err(Fault),
            }
        }
        _ => Err(Fault),
    }
}

/// How many characters, elements or members there are.
fn count(given: &[Value]) -> Result<Value, Fault> {
    Ok(Value::from(match given.first() {
        Some(Value::String(text)) => text.chars().count(),
        Some(Value::Array(all)) => all.len(),
        Some(Value::Set(all)) => all.len(),
        Some(Value::Object(all)) => all.len(),
        _ => return Err(Fault),
    }))
}

#[derive(Debug, thiserror::Error)]
#[error("not with these arguments")]
pub(super) struct Fault;

/// Integers from the first to the second, both among them where the step meets it, up or down.
fn range(given: &[Value], step: i64) -> Result<Value, Fault> {
    let ends = (
        given.first().and_then(integer),
        given.get(1).and_then(integer),
    );
    let (Some(first), Some(last)) = ends else {
        return Err(Fault);
    };
    let distance = last.abs_diff(first);
    let steps = distance / step.unsigned_abs().max(1);
    let count = i64::try_from(steps).ok().filter(|steps| *steps < MAX_RANGE);
    let count = count.ok_or(Fault)?;
    let step = if last < first { -step } else { step };
    let at = |index: i64| Some(Value::from(first.checked_add(index.checked_mul(step)?)?));
    let numbers: Option<Vec<Value>> = (0..=count).map(at).collect();
    Ok(Value::from(numbers.ok_or(Fault)?))
}

fn integer(value: &Value) -> Option<i64> {
    value.as_i64().ok()
}
