//! `object.subset`.

use super::{Answer, Context, Term};

/// Most comparisons of one call.
const MOST_STEPS: usize = 1 << 20;

/// Whether all of the second stands in the first: members of objects at any depth, elements of sets, a run of an array, or
/// elements of a set in an array.
pub(super) fn subset(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let [whole, part] = arguments else {
        return Err("two arguments are wanted".into());
    };
    let mut steps = Steps(MOST_STEPS);
    let holds = match (whole, part) {
        (Term::Object(whole), Term::Object(part)) => steps.objects(whole, part),
        // Even nothing does not stand in an empty array, says OPA.
        (Term::Array(whole), Term::Set(_)) if whole.is_empty() => Some(false),
        (Term::Set(whole) | Term::Array(whole), Term::Set(part)) => steps.contains_all(whole, part),
        (Term::Array(whole), Term::Array(part)) => steps.run(whole, part),
        _ => return Err("both have to be objects, sets or arrays, or an array and a set".into()),
    };
    holds
        .map(Term::Bool)
        .ok_or_else(|| "the two are too large to be compared".into())
}

/// How much may still be compared. `None` where it was not enough.
struct Steps(usize);

impl Steps {
    fn objects(&mut self, whole: &[(Term, Term)], part: &[(Term, Term)]) -> Option<bool> {
        for (key, value) in part {
            let mut found = None;
            for (name, held) in whole {
                if self.equal(name, key)? {
                    found = Some(held);
                    break;
                }
            }
            let Some(held) = found else {
                return Some(false);
            };
            let holds = match (held, value) {
                (Term::Object(whole), Term::Object(part)) => self.objects(whole, part)?,
                (Term::Set(whole), Term::Set(part)) => self.contains_all(whole, part)?,
                (Term::Array(whole), Term::Array(part)) => self.run(whole, part)?,
                (held, value) => self.equal(held, value)?,
            };
            if !holds {
                return Some(false);
            }
        }
        Some(true)
    }

    fn contains_all(&mut self, whole: &[Term], part: &[Term]) -> Option<bool> {
        for wanted in part {
            let mut found = false;
            for held in whole {
                found = self.equal(held, wanted)?;
                if found {
                    break;
                }
            }
            if !found {
                return Some(false);
            }
        }
        Some(true)
    }

    fn run(&mut self, whole: &[Term], part: &[Term]) -> Option<bool> {
        if part.is_empty() {
            return Some(true);
        }
        for window in whole.windows(part.len()) {
            if self.all_equal(window, part)? {
                return Some(true);
            }
        }
        Some(false)
    }

    fn all_equal(&mut self, one: &[Term], other: &[Term]) -> Option<bool> {
        if one.len() != other.len() {
            return Some(false);
        }
        for (one, other) in one.iter().zip(other) {
            if !self.equal(one, other)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Values are equal as Rego says: numbers by what they are worth, objects and sets whatever their order.
    fn equal(&mut self, one: &Term, other: &Term) -> Option<bool> {
        self.0 = self.0.checked_sub(1)?;
        Some(match (one, other) {
            (Term::Number(one), Term::Number(other)) => {
                let worth = |digits: &str| digits.parse::<f64>().ok();
                let whole = one.parse::<i64>().ok().zip(other.parse::<i64>().ok());
                match whole {
                    Some((one, other)) => one == other,
                    None => one == other || worth(one) == worth(other),
                }
            }
            (Term::Array(one), Term::Array(other)) => self.all_equal(one, other)?,
            (Term::Set(one), Term::Set(other)) => {
                one.len() == other.len() && self.contains_all(one, other)?
            }
            (Term::Object(one), Term::Object(other)) => {
                if one.len() != other.len() {
                    return Some(false);
                }
                for (key, value) in other {
                    let mut found = false;
                    for (name, held) in one {
                        if self.equal(name, key)? {
                            found = self.equal(held, value)?;
                            break;
                        }
                    }
                    if !found {
                        return Some(false);
                    }
                }
                true
            }
            (one, other) => one == other,
        })
    }
}
