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

    /// Whether both are equal lists, where both are lists, one of them of the request.
    fn is_list_equal_to(&self, other: &Self) -> Option<bool> {
        Some(match (self, other) {
            (Self::List(one), Self::List(two)) => are_equal(one, two),
            (Self::List(one), Self::Val(two)) | (Self::Val(two), Self::List(one)) => {
                is_equal_to(one, two.downcast_ref()?)
            }
            (Self::Val(_), Self::Val(_)) => return None,
        })
    }

    /// An operation but `in`.
    pub(super) fn operate(
        operator: Operator,
        left: Self,
        right: Self,
    ) -> Result<CowVal<'a, 'a>, Trouble> {
        let truth = |truth: bool| Ok(CowVal::owned(CelBool::from(truth)));
        let asks_whether_equal = matches!(operator, Operator::Equals | Operator::Differs);
        if asks_whether_equal && let Some(equal) = left.is_list_equal_to(&right) {
            return truth(equal == (operator == Operator::Equals));
        }
        match (left.len(), right.len()) {
            (Some(_), Some(_)) if operator == Operator::Add => {
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

/// As a copy of the one would be to the other.
fn is_equal_to(one: &[Json], other: &CelList<'_>) -> bool {
    let mut both = one.iter().zip(other.inner());
    one.len() == other.inner().len()
        && both.all(|(one, other)| match one {
            Json::Array(one) => {
                let other = other.downcast_ref::<CelList<'_>>();
                other.is_some_and(|other| is_equal_to(one, other))
            }
            scalar => scalar_val(scalar).equals(&**other),
        })
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
