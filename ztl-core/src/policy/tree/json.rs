//! JSON (RFC 8259) to a tree, without any leniency, and with duplicate names refused (RFC 7493 §2.3; rule 22).

use std::collections::HashSet;

use jsonc_parser::ast::{Object, ObjectPropName, Value};
use jsonc_parser::common::Range;
use jsonc_parser::errors::ParseError;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};

use super::{Node, SyntaxError, Tree, check_depth, check_text, scan};
use crate::policy::document::{Span, Spanned};

/// Reads a JSON text.
///
/// # Errors
/// [`SyntaxError`] where the text is no JSON, has a name twice in one object, an integer that does not fit in 64 bits, or
/// passes a bound.
pub(crate) fn parse_json(text: &str) -> Result<Node, SyntaxError> {
    check_text(text)?;
    scan::json(text)?;
    let collect = CollectOptions {
        comments: CommentCollectionStrategy::Off,
        tokens: false,
    };
    let result = parse_to_ast(text, &collect, &STRICT).map_err(|error| from_json(&error))?;
    let value = result.value.ok_or_else(|| {
        SyntaxError::at(
            Span::default(),
            "not JSON: there is nothing in the document",
        )
    })?;
    node(value, 0)
}

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

fn node(value: Value<'_>, depth: usize) -> Result<Node, SyntaxError> {
    let (range, value) = match value {
        Value::NullKeyword(null) => (null.range, Tree::Null),
        Value::BooleanLit(lit) => (lit.range, Tree::Bool(lit.value)),
        Value::StringLit(lit) => (lit.range, Tree::Text(lit.value.into_owned())),
        Value::NumberLit(lit) => (lit.range, number(lit.value, span(lit.range))?),
        Value::Array(array) => {
            check_depth(depth + 1, span(array.range))?;
            let items = array.elements.into_iter().map(|item| node(item, depth + 1));
            (array.range, Tree::List(items.collect::<Result<_, _>>()?))
        }
        Value::Object(object) => {
            check_depth(depth + 1, span(object.range))?;
            (object.range, table(object, depth + 1)?)
        }
    };
    Ok(Node {
        span: span(range),
        value,
    })
}

fn table(object: Object<'_>, depth: usize) -> Result<Tree, SyntaxError> {
    let mut seen = HashSet::new();
    for property in &object.properties {
        let name = property.name.as_str();
        if !seen.insert(name) {
            return Err(SyntaxError::at(
                span(name_range(&property.name)),
                format!("duplicate key `{name}`"),
            )
            .help("a key stands once in its object"));
        }
    }
    let mut entries = Vec::with_capacity(object.properties.len());
    for property in object.properties {
        let place = span(name_range(&property.name));
        let key = Spanned::new(property.name.into_string(), place);
        entries.push((key, node(property.value, depth)?));
    }
    Ok(Tree::Table(entries))
}

/// RFC 8259 §6 leaves the range to the reader: an integer has 64 bits with sign here, and a fraction is finite.
fn number(digits: &str, place: Span) -> Result<Tree, SyntaxError> {
    if digits.contains(['.', 'e', 'E']) {
        return match digits.parse() {
            Ok(value) if f64::is_finite(value) => Ok(Tree::Float(value)),
            _ => Err(SyntaxError::at(
                place,
                format!("`{digits}` is no finite number"),
            )),
        };
    }
    digits.parse().map(Tree::Int).map_err(|_| {
        SyntaxError::at(
            place,
            format!("`{digits}` does not fit in 64 bits with sign"),
        )
    })
}

fn from_json(error: &ParseError) -> SyntaxError {
    let said = error.kind().to_string();
    let mut letters = said.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let message: String = first.into_iter().chain(letters).collect();
    SyntaxError::at(span(error.range()), format!("not JSON: {message}"))
}

const fn name_range(name: &ObjectPropName<'_>) -> Range {
    match name {
        ObjectPropName::String(lit) => lit.range,
        ObjectPropName::Word(lit) => lit.range,
    }
}

const fn span(range: Range) -> Span {
    Span {
        start: range.start,
        end: range.end,
    }
}
