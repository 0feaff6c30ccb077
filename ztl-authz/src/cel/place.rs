//! Where in a source an expression stands: the parser tells of each node only the token that made it.

use core::ops::Range;

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, SourceInfo};

/// Longest piece of a source that an error repeats, in characters.
const LONGEST: usize = 80;

/// The parts of an expression, from left to right.
pub(super) fn parts(node: &IdedExpr) -> impl Iterator<Item = &IdedExpr> {
    let parts: Vec<&IdedExpr> = match &node.expr {
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => of_entries(&map.entries),
        Expr::Struct(one) => of_entries(&one.entries),
        Expr::Comprehension(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {
            Vec::new()
        }
    };
    parts.into_iter()
}

fn of_entries(entries: &[IdedEntryExpr]) -> Vec<&IdedExpr> {
    let pairs = entries.iter().map(|entry| match &entry.expr {
        EntryExpr::MapEntry(entry) => [Some(&entry.key), Some(&entry.value)],
        EntryExpr::StructField(field) => [None, Some(&field.value)],
    });
    pairs.flatten().flatten().collect()
}

/// The bytes of an expression: from the first to the last of its tokens, with the brackets that belong to them.
pub(super) fn place(node: &IdedExpr, info: &SourceInfo, source: &str) -> Range<usize> {
    let tokens = tokens(node, info, source).unwrap_or(0..source.len());
    closed(source, tokens)
}

/// From the first to the last token of an expression and its parts.
fn tokens(node: &IdedExpr, info: &SourceInfo, source: &str) -> Option<Range<usize>> {
    let number = |at: u32| usize::try_from(at).ok();
    let own = info.offset_for(node.id);
    let own = own.and_then(|(start, stop)| Some(number(start)?..number(stop)?.checked_add(1)?));
    let own = own.map(|own| named(node, own, source));
    let parts = parts(node).filter_map(|part| tokens(part, info, source));
    own.into_iter()
        .chain(parts)
        .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
}

/// The token of a node with the name that belongs to it: the token of a call is its bracket, behind the function's name, and
/// that of a selection is its point, before the field's.
fn named(node: &IdedExpr, token: Range<usize>, source: &str) -> Range<usize> {
    match &node.expr {
        Expr::Call(call) => {
            let before = source.get(..token.start).unwrap_or_default();
            let name = before.trim_end().strip_suffix(call.func_name.as_str());
            name.map_or(token.start, str::len)..token.end
        }
        Expr::Select(select) => {
            let after = source.get(token.end..).unwrap_or_default();
            let field = after.trim_start().strip_prefix(select.field.as_str());
            token.start..field.map_or(token.end, |rest| source.len().saturating_sub(rest.len()))
        }
        _ => token,
    }
}

/// The range, widened until every bracket in it has its other one.
fn closed(source: &str, range: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = range;
    let (mut open, mut missing) = (0_usize, 0_usize);
    for byte in unquoted(source.get(start..end).unwrap_or_default()) {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' if open == 0 => missing += 1,
            b')' | b']' | b'}' => open -= 1,
            _ => {}
        }
    }
    let before = source.get(..start).unwrap_or_default();
    for (at, _) in before.rmatch_indices(['(', '[', '{']).take(missing) {
        start = at;
    }
    let after = source.get(end..).unwrap_or_default();
    let from = end;
    for (at, _) in after.match_indices([')', ']', '}']).take(open) {
        end = from + at + 1;
    }
    start..end
}

/// The bytes that stand in no text.
fn unquoted(piece: &str) -> impl Iterator<Item = u8> {
    let (mut quote, mut escaped) = (None, false);
    piece.bytes().filter(move |byte| {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, _) => return true,
        }
        false
    })
}

/// The byte of a line and a column, both from 1 and the column in characters.
pub(super) fn byte_at(source: &str, line: isize, column: isize) -> usize {
    let number = |at: isize| usize::try_from(at).unwrap_or_default().saturating_sub(1);
    let lines = source.split_inclusive('\n');
    let start: usize = lines.take(number(line)).map(str::len).sum();
    let rest = source.get(start..).unwrap_or_default();
    let within = rest.char_indices().nth(number(column));
    start + within.map_or(rest.len(), |(at, _)| at)
}

/// A piece of the source as an error repeats it, and the line and column of its beginning.
pub(super) fn quoted(source: &str, at: &Range<usize>) -> (String, usize, usize) {
    let before = source.get(..at.start).unwrap_or_default();
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    let column = 1 + before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count();
    let piece = source.get(at.clone()).unwrap_or_default();
    let mut shown: String = piece.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(cut);
        shown.push('…');
    }
    (shown, line, column)
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::*;

    fn pieces(source: &str) -> Vec<String> {
        fn walk(node: &IdedExpr, info: &SourceInfo, source: &str, all: &mut Vec<String>) {
            all.push(
                source
                    .get(place(node, info, source))
                    .expect("a piece")
                    .to_owned(),
            );
            parts(node).for_each(|part| walk(part, info, source, all));
        }
        let parsed = parse(source).expect("parses");
        let mut all = Vec::new();
        walk(&parsed.root, &parsed.info, source, &mut all);
        all
    }

    #[test]
    fn every_part_is_found_in_the_source() {
        assert_eq!(
            pieces("(a + b) * c.d > f( x, ')')"),
            [
                "(a + b) * c.d > f( x, ')')",
                "(a + b) * c.d",
                "a + b",
                "a",
                "b",
                "c.d",
                "c",
                "f( x, ')')",
                "x",
                "')'"
            ]
        );
        assert_eq!(
            pieces("a['é'].b.all(x, x in [1, 2])")[..3],
            ["a['é'].b.all(x, x in [1, 2])", "a['é'].b", "a['é']"]
        );
        assert_eq!(pieces("!has(a.b)"), ["!has(a.b)", "has(a.b)", "a.b", "a"]);
    }

    #[test]
    fn lines_and_columns_count_characters() {
        assert_eq!(byte_at("é\né x", 2, 3), 6);
        assert_eq!(byte_at("a", 9, 9), 1);
        assert_eq!(byte_at("", 0, -1), 0);
        assert_eq!(quoted("a\n é  b", &(3..8)), ("é b".to_owned(), 2, 2));
    }
}
