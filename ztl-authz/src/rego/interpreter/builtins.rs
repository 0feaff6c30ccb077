//! What a policy may call.

use core::cell::Cell;

use regorus::{Engine, Value};

use super::InterpreterError;

/// Most numbers that `numbers.range` and `numbers.range_step` make.
pub const MAX_RANGE: i64 = 10_000;

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
            "net.cidr_expand" | "test.sleep" => Some(Self::Unbounded),
            "print" => None,
            name if regorus::unstable::BUILTINS.contains_key(name) => None,
            _ => Some(Self::Unknown),
        }
    }
}

thread_local! {
    /// The time of the decision that this thread is about.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Evaluates at a time, which is what `time.now_ns` says.
pub(super) fn at<T>(now: u64, evaluate: impl FnOnce() -> T) -> T {
    NOW.set(now);
    evaluate()
}

/// Puts in what is not as the crate has it. The interpreter looks among these first, so that what is refused at load cannot be
/// reached in another way either, such as by `with`.
pub(super) fn install(engine: &mut Engine) -> Result<(), InterpreterError> {
    type Call = fn(Vec<Value>) -> Result<Value, Fault>;
    let builtins: [(&str, u8, Call); 5] = [
        ("time.now_ns", 0, |_| Ok(Value::from(NOW.get()))),
        ("numbers.range", 2, |given| range(&given, 1)),
        ("numbers.range_step", 3, |given| {
            let step = given.get(2).and_then(integer);
            range(&given, step.filter(|step| *step > 0).ok_or(Fault)?)
        }),
        ("rand.intn", 2, |_| Err(Fault)),
        ("net.cidr_expand", 1, |_| Err(Fault)),
    ];
    for (name, arguments, call) in builtins {
        let call = move |given: Vec<Value>| Ok(call(given)?);
        let added = engine.add_extension(name.to_owned(), arguments, Box::new(call));
        added.map_err(|fault| InterpreterError::Source {
            place: name.to_owned(),
            message: fault.to_string(),
        })?;
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("not with these arguments")]
struct Fault;

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
