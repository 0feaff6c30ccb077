//! What the interpreter's own builtins may be given, where their answer can be much longer than that. They are not interrupted.

use regorus::Value;

use super::builtins::MOST_ANSWER;
use super::value::{MOST_BYTES, PART_BYTES};

/// By how many bits a number is moved at most.
const MOST_SHIFT: i64 = 4096;
/// Most bytes of the characters that are cut off: each of the text is looked for among them.
const MOST_CUT: usize = 4096;
/// How deep a value may nest.
const MOST_DEPTH: usize = 256;

/// Whether a builtin may be asked with these arguments. What are none for it, it refuses itself.
pub(super) fn of(name: &str) -> fn(&[Value]) -> bool {
    match name {
        "bits.lsh" => |given| {
            let shift = given.get(1).and_then(|shift| shift.as_i64().ok());
            shift.is_none_or(|shift| shift <= MOST_SHIFT)
        },
        "concat" => |given| concat(given).is_none_or(|bytes| bytes <= MOST_ANSWER),
        "json.marshal" | "object.union" | "object.union_n" => |given| PLAIN.fits(given, MOST_BYTES),
        "json.marshal_with_options" => marshal,
        "json.patch" => patch,
        "replace" => |given| replace(given).is_none_or(|bytes| bytes <= MOST_ANSWER),
        "trim" | "trim_left" | "trim_right" => {
            |given| text(given, 1).is_none_or(|cut| cut.len() <= MOST_CUT)
        }
        // Each part with the path to it.
        "walk" => |given| {
            Weight {
                level: PART_BYTES,
                ..PLAIN
            }
            .fits(given, MOST_BYTES)
        },
        _ => |_| true,
    }
}

fn text(given: &[Value], at: usize) -> Option<&str> {
    match given.get(at) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn concat(given: &[Value]) -> Option<usize> {
    let between = text(given, 0)?.len();
    let length = |part: &Value| match part {
        Value::String(text) => text.len().saturating_add(between),
        _ => between,
    };
    match given.get(1)? {
        Value::Array(parts) => Some(parts.iter().map(length).fold(0, usize::saturating_add)),
        Value::Set(parts) => Some(parts.iter().map(length).fold(0, usize::saturating_add)),
        _ => None,
    }
}

fn replace(given: &[Value]) -> Option<usize> {
    let (text, old, new) = (text(given, 0)?, text(given, 1)?, text(given, 2)?);
    let times = text.matches(old).count();
    let kept = text.len().checked_sub(times.checked_mul(old.len())?)?;
    Some(times.saturating_mul(new.len()).saturating_add(kept))
}

fn marshal(given: &[Value]) -> bool {
    let Some(Value::Object(options)) = given.get(1) else {
        return true;
    };
    let option = |name: &str| match options.get(&Value::from(name)) {
        Some(Value::String(text)) => text.len(),
        _ => 1,
    };
    // A line for a part where it begins, and one for where it ends.
    let weight = Weight {
        part: PART_BYTES.saturating_add(option("prefix").saturating_mul(2)),
        level: option("indent").saturating_mul(2),
    };
    weight.fits(given, MOST_BYTES)
}

/// What a patch copies may be the whole, each time.
fn patch(given: &[Value]) -> bool {
    let is_copy = |patch: &&Value| match patch {
        Value::Object(patch) => patch.get(&Value::from("op")) == Some(&Value::from("copy")),
        _ => false,
    };
    let copies = match given.get(1) {
        Some(Value::Array(patches)) => patches.iter().filter(is_copy).count(),
        _ => 0,
    };
    let doublings = u32::try_from(copies).unwrap_or(u32::MAX);
    PLAIN.fits(given, MOST_BYTES.checked_shr(doublings).unwrap_or(0))
}

/// How long values are when they are written out. Parts of them may be shared.
struct Weight {
    /// Bytes of a part, beside its text.
    part: usize,
    /// And for each that it is in.
    level: usize,
}

const PLAIN: Weight = Weight {
    part: PART_BYTES,
    level: 0,
};

impl Weight {
    fn fits(&self, given: &[Value], most: usize) -> bool {
        let mut left = most;
        let fits = |value| self.take(value, 0, &mut left).is_some();
        given.iter().all(fits)
    }

    /// None where nothing is left.
    fn take(&self, value: &Value, depth: usize, left: &mut usize) -> Option<()> {
        let bytes = self.level.checked_mul(depth)?.checked_add(self.part)?;
        *left = left.checked_sub(bytes)?;
        let depth = Some(depth + 1).filter(|depth| *depth <= MOST_DEPTH)?;
        match value {
            Value::String(text) => *left = left.checked_sub(text.len())?,
            Value::Array(items) => {
                for item in items.iter() {
                    self.take(item, depth, left)?;
                }
            }
            Value::Set(items) => {
                for item in items.iter() {
                    self.take(item, depth, left)?;
                }
            }
            Value::Object(members) => {
                for (key, member) in members.iter() {
                    self.take(key, depth, left)?;
                    self.take(member, depth, left)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => {}
        }
        Some(())
    }
}
