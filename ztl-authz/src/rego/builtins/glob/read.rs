//! A pattern as its parts, arranged as OPA's matcher does: what alternatives have in common stands before and behind them.

use super::Part;

/// How deep braces may stand in one another.
const MOST_OPEN: usize = 32;

type Chars<'a> = core::iter::Peekable<core::str::Chars<'a>>;

/// None of a pattern that OPA does not read, or that is not read here.
pub(super) fn parts(pattern: &str) -> Option<Vec<Part>> {
    // OPA ends a pattern at the one, and refuses the other.
    if pattern.contains(['\0', char::REPLACEMENT_CHARACTER]) {
        return None;
    }
    // The alternatives of each brace that is open, the last of which is being read.
    let mut open: Vec<Vec<Vec<Part>>> = vec![vec![Vec::new()]];
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let within = open.len() > 1;
        let part = match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                // Of three, OPA makes what matches anything but nothing.
                if chars.peek() == Some(&'*') {
                    return None;
                }
                Some(Part::All)
            }
            '*' => Some(Part::Any),
            '?' => Some(Part::One),
            '[' => Some(bracket(&mut chars)?),
            '{' => {
                open.push(vec![Vec::new()]);
                None
            }
            ',' if within => {
                open.last_mut()?.push(Vec::new());
                None
            }
            '}' if within => Some(Part::Either(open.pop()?)),
            c => {
                // At the very end a backslash means nothing.
                let text = if c == '\\' { chars.next() } else { Some(c) };
                let parts = open.last_mut()?.last_mut()?;
                match (parts.last_mut(), text) {
                    (Some(Part::Text(before)), Some(text)) => before.push(text),
                    (_, text) => parts.extend(text.map(|text| Part::Text(text.into()))),
                }
                continue;
            }
        };
        if open.len() > MOST_OPEN {
            return None;
        }
        open.last_mut()?.last_mut()?.extend(part);
    }
    // One that nobody closed ends with the pattern.
    while open.len() > 1 {
        let closed = Part::Either(open.pop()?);
        open.last_mut()?.last_mut()?.push(closed);
    }
    arranged(open.pop()?.pop()?)
}

/// What stands in brackets: one range, or the characters that are listed, or with `!` all but these.
fn bracket(chars: &mut Chars<'_>) -> Option<Part> {
    let not = chars.next_if_eq(&'!').is_some();
    let first = chars.next()?;
    if chars.next_if_eq(&'-').is_some() {
        let last = chars.next()?;
        let closed = chars.next()? == ']' && first <= last;
        return closed.then_some(Part::Range { not, first, last });
    }
    let mut listed = Vec::new();
    let mut next = first;
    loop {
        match next {
            ']' => break,
            '\\' => listed.push(chars.next()?),
            c => listed.push(c),
        }
        next = chars.next()?;
    }
    (!listed.is_empty()).then_some(Part::Listed { not, chars: listed })
}

fn arranged(parts: Vec<Part>) -> Option<Vec<Part>> {
    let arranged = |part| match part {
        Part::Either(alternatives) => either(alternatives),
        // A text, and none with what stands beside it.
        Part::Listed { not: false, chars } if chars.len() == 1 => {
            Some(Part::Text(chars.into_iter().collect()))
        }
        part => Some(part),
    };
    parts.into_iter().map(arranged).collect()
}

/// Braces. None where all alternatives are one and have several parts: OPA puts these together in its own way.
fn either(alternatives: Vec<Vec<Part>>) -> Option<Part> {
    let (left, right) = common(&alternatives);
    let mut begin = Vec::new();
    let mut end = Vec::new();
    let mut rests: Vec<Vec<Part>> = Vec::new();
    for mut rest in alternatives {
        end = rest.split_off(rest.len().checked_sub(right)?);
        let middle = rest.split_off(left.min(rest.len()));
        begin = rest;
        if left + right == 0 || !rests.contains(&middle) {
            rests.push(middle);
        }
    }
    let is_one = matches!(rests.as_slice(), [rest] if rest.is_empty()) && left + right > 0;
    if is_one && left + right > 1 {
        return None;
    }
    let mut all = Vec::new();
    if left > 0 {
        all.push(group(arranged(begin)?));
    }
    if !is_one {
        let rests: Option<Vec<_>> = rests.into_iter().map(arranged).collect();
        let mut rests = rests?;
        all.push(match rests.len() {
            1 => group(rests.pop()?),
            _ => Part::Either(rests),
        });
    }
    if right > 0 {
        all.push(group(arranged(end)?));
    }
    Some(group(all))
}

/// What is matched by itself: of a single part, that part.
fn group(mut parts: Vec<Part>) -> Part {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            Part::Either(vec![parts])
        }
    }
}

/// How many parts all alternatives begin with, and how many they end with, as OPA's matcher finds them: from both sides at once.
fn common(alternatives: &[Vec<Part>]) -> (usize, usize) {
    let least = alternatives.iter().min_by_key(|parts| parts.len());
    let Some(least) = least.filter(|_| alternatives.len() > 1) else {
        return (0, 0);
    };
    let (mut left, mut right) = (0, 0);
    let (mut left_ends, mut right_ends) = (false, false);
    for index in 0..least.len() {
        if left + right >= least.len() {
            break;
        }
        let meets = 2 * index + 1 >= least.len();
        for parts in alternatives {
            if core::ptr::eq(parts, least) || left_ends && right_ends {
                continue;
            }
            left_ends |= least.get(index) != parts.get(index);
            right_ends |= !left_ends && meets;
            right_ends |= least.iter().nth_back(index) != parts.iter().nth_back(index);
        }
        left += usize::from(!left_ends);
        right += usize::from(!right_ends);
    }
    (left, right)
}
