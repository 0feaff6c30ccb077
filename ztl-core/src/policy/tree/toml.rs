//! TOML 1.1 to a tree.

use core::ops::Range;

use toml::Spanned as TomlSpanned;
use toml::de::{DeTable, DeValue};

use super::{Node, SyntaxError, Tree, check_depth, check_text, scan};
use crate::policy::document::{Span, Spanned};

/// Reads a TOML document.
///
/// # Errors
/// [`SyntaxError`] where the text is no TOML, or is none of ours: a date, a number that is not finite, an integer that does
/// not fit in 64 bits, a bound.
pub(crate) fn parse_toml(text: &str) -> Result<Node, SyntaxError> {
    check_text(text)?;
    scan::toml(text)?;
    let table = DeTable::parse(text).map_err(|error| from_toml(&error, text))?;
    let place = span(&table.span());
    Ok(Node {
        span: place,
        value: table_node(table.into_inner(), 1)?,
    })
}

fn table_node(table: DeTable<'_>, depth: usize) -> Result<Tree, SyntaxError> {
    let mut entries = Vec::new();
    for (key, value) in table {
        let place = span(&key.span());
        let key = Spanned::new(key.into_inner().into_owned(), place);
        entries.push((key, node(value, depth)?));
    }
    // The parser's table is in the order of its keys; ours is in the order of the text.
    entries.sort_by_key(|(key, _)| key.span.start);
    Ok(Tree::Table(entries))
}

fn node(value: TomlSpanned<DeValue<'_>>, depth: usize) -> Result<Node, SyntaxError> {
    let place = span(&value.span());
    let value = match value.into_inner() {
        DeValue::Boolean(value) => Tree::Bool(value),
        DeValue::String(text) => Tree::Text(text.into_owned()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map(Tree::Int)
            .map_err(|_| {
                SyntaxError::at(
                    place,
                    format!("`{digits}` does not fit in 64 bits with sign"),
                )
            })?,
        DeValue::Float(digits) => match digits.as_str().parse() {
            Ok(value) if f64::is_finite(value) => Tree::Float(value),
            _ => {
                return Err(SyntaxError::at(
                    place,
                    format!("`{digits}` is no finite number"),
                ));
            }
        },
        DeValue::Datetime(_) => {
            return Err(
                SyntaxError::at(place, "a date or time means nothing in a policy")
                    .help("write it as text, in quotes"),
            );
        }
        DeValue::Array(items) => {
            check_depth(depth + 1, place)?;
            let items = items.into_iter().map(|item| node(item, depth + 1));
            Tree::List(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            check_depth(depth + 1, place)?;
            table_node(table, depth + 1)?
        }
    };
    Ok(Node { span: place, value })
}

fn from_toml(error: &toml::de::Error, text: &str) -> SyntaxError {
    let place = error.span().map(|range| span(&range));
    let key = error.span().and_then(|range| text.get(range));
    if let (Some(place), Some(key), "duplicate key") = (place, key, error.message()) {
        return SyntaxError::at(place, format!("duplicate key `{key}`"))
            .help("a key stands once in its table, and a table has one header");
    }
    SyntaxError {
        span: place,
        message: format!("not TOML: {}", error.message()),
        help: None,
    }
}

const fn span(range: &Range<usize>) -> Span {
    Span {
        start: range.start,
        end: range.end,
    }
}
