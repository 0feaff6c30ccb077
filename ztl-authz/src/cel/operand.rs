//! What stands at either side of an operator: a list of the request is copied only where what is in it counts.

use cel::common::types::{CelBool, CelList};
use cel::common::value::{CowVal, Val};
use serde_json::Value as Json;

use super::operator::{Trouble, operate, unfit};
use super::plan::Operator;
use super::value::{json_weight, scalar_val, weight};

/// A value, or a list of the request whose elements were paid for.
#[derive(Debug)]
pub(super) enum Operand<'a> {
    Val(CowVal<'a, 'a>),
    List(&'a [Json]),
}

impl<'a> Operand<'a> {
    /// How many steps it is to look at all of it.
    pub(super) fn weight(&self) -> u32 {
        match self {
            Self::Val(value) => weight(value.as_ref()),
            Self::List(list) => json_weight(list),
        }
    }

    /// How many elements it has, where it is a list.
    fn len(&self) -> Option<usize> {
        match self {
            Self::Val(value) => Some(value.downcast_ref::<CelList>()?.inner().len()),
            Self::List(list) => Some(list.len()),
        }
    }

    /// It, as a value.
    pub(super) fn copied(self) -> CowVal<'a, 'a> {
        match self {
            Self::Val(value) => value,
            Self::List(list) => CowVal::Owned(copy(list)),
        }
    }

    /// It, or for a list of the request an empty one: where only its kind counts, or no list is taken.
    pub(super) fn by_kind(self) -> CowVal<'a, 'a> {
        match self {
            Self::Val(value) => value,
            Self::List(_) => CowVal::owned(CelList::default()),
        }
    }

    /// An operation but `in`.
    pub(super) fn operate(
        operator: Operator,
        left: Self,
        right: Self,
    ) -> Result<CowVal<'a, 'a>, Trouble> {
        let truth = |truth: bool| Ok(CowVal::owned(CelBool::from(truth)));
        let asks_whether_equal = matches!(operator, Operator::Equals | Operator::Differs);
        let (left, right) = match (left, right) {
            (Self::List(left), Self::List(right)) if asks_whether_equal => {
                return truth(are_equal(left, right) == (operator == Operator::Equals));
            }
            both => both,
        };
        match (left.len(), right.len()) {
            (Some(a), Some(b)) if asks_whether_equal && a != b => {
                truth(operator == Operator::Differs)
            }
            (Some(_), Some(_)) if asks_whether_equal || operator == Operator::Add => {
                operate(operator, &left.copied(), &right.copied())
            }
            // The `cel` crate adds the keys of a map to a list, which no specification says.
            (Some(_), None) | (None, Some(_)) if operator == Operator::Add => {
                Err(unfit(left.by_kind().as_ref(), right.by_kind().as_ref()))
            }
            // Whatever is in a list, it is equal to nothing else, in no order, and no number.
            _ => operate(operator, &left.by_kind(), &right.by_kind()),
        }
    }
}

/// A copy of a list of scalars and lists.
pub(super) fn copy<'a>(list: &'a [Json]) -> Box<dyn Val + 'a> {
    let copies = list.iter().map(|one| match one {
        Json::Array(list) => copy(list),
        scalar => scalar_val(scalar),
    });
    Box::new(CelList::from(copies.collect::<Vec<_>>()))
}

fn are_equal(left: &[Json], right: &[Json]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| is_equal(a, b))
}

/// As their copies would be.
fn is_equal(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Array(left), Json::Array(right)) => are_equal(left, right),
        (Json::Number(a), Json::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => scalar_val(left).equals(&*scalar_val(right)),
        },
        (Json::String(left), Json::String(right)) => left == right,
        (Json::Bool(left), Json::Bool(right)) => left == right,
        (Json::Null, Json::Null) => true,
        _ => false,
    }
}
