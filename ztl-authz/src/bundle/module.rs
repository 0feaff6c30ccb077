//! Which package a Rego module is of, read without a Rego parser: so little that no engine can read another one.

/// The package as `a/b/c`, below `data`. `None` where the text does not begin, after blanks and comments, with `package` and a
/// plain reference on one line: names, and strings in brackets without `/`, `\` and `"`.
pub(super) fn package(text: &str) -> Option<Box<str>> {
    let rest = skip(text).strip_prefix("package")?;
    let mut rest = rest
        .strip_prefix([' ', '\t'])?
        .trim_start_matches([' ', '\t']);
    let mut path = String::new();
    loop {
        let (segment, after) = name(rest)?;
        push(&mut path, segment);
        rest = after;
        while let Some(bracket) = rest.strip_prefix("[\"") {
            let (segment, after) = bracket.split_once("\"]")?;
            if segment.is_empty() || segment.contains(['/', '\\', '"', '\n']) {
                return None;
            }
            push(&mut path, segment);
            rest = after;
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None => break,
        }
    }
    let rest = rest.trim_start_matches([' ', '\t', '\r']);
    if !(rest.is_empty() || rest.starts_with(['\n', ';', '#'])) {
        return None;
    }
    // What could go on with the reference on the next line is left to nobody's reading.
    let next = skip(rest.strip_prefix(';').unwrap_or(rest));
    (!next.starts_with(['.', '['])).then(|| path.into())
}

fn push(path: &mut String, segment: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(segment);
}

fn name(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|it: char| !(it.is_ascii_alphanumeric() || it == '_'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let starts_well = name
        .bytes()
        .next()
        .is_some_and(|it| it.is_ascii_alphabetic() || it == b'_');
    starts_well.then_some((name, rest))
}

/// Without the blanks and comments at the beginning.
fn skip(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', '\t', '\r', '\n']);
        match text.strip_prefix('#') {
            Some(comment) => {
                text = comment.split_once('\n').map_or("", |(_, rest)| rest);
            }
            None => return text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_found_behind_comments() {
        for (text, path) in [
            ("package a", "a"),
            ("package a.b_2.c\n\nallow := true", "a/b_2/c"),
            ("# x\n\r\n\t# package z\npackage   a.b # c\n", "a/b"),
            ("package a[\"b-c\"].d\n", "a/b-c/d"),
            ("package a; default allow := false", "a"),
            ("package a\r\nimport rego.v1\r\n", "a"),
        ] {
            assert_eq!(package(text).as_deref(), Some(path), "{text}");
        }
    }

    #[test]
    fn whatever_is_not_plain_has_no_package() {
        for text in [
            "",
            "# package a",
            "allow := true",
            "packagea",
            "package",
            "package ",
            "package .a",
            "package a.",
            "package a .b",
            "package a\n.b",
            "package a\n# c\n[\"b\"]",
            "package a;.b",
            "package a[\"b/c\"]",
            "package a[\"b\\u0062\"]",
            "package a[`b`]",
            "package a[b]",
            "package a[\"\"]",
            "package 1a",
            "package ä",
            "\u{feff}package a",
            "package a b",
            "import a\npackage a",
        ] {
            assert_eq!(package(text), None, "{text:?}");
        }
    }
}
