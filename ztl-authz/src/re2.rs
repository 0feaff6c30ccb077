//! The syntax of regular expressions that OPA and CEL have, RE2's as Go reads it, for the `regex` crate, which reads nearly the same.

use core::str::Chars;

/// The highest count that RE2 takes, also of what is repeated within what is repeated.
const MOST_COUNT: u32 = 1000;

/// Why an expression is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is none.
    Wrong(&'static str),
    /// RE2 reads it, and it is not read here.
    Unread(&'static str),
}

use Fault::{Unread, Wrong};

/// RE2's syntax as that of the `regex` crate. What this refuses of what comes out, RE2 reads.
pub(crate) fn translate(pattern: &str) -> Result<String, Fault> {
    let mut reader = Reader {
        out: String::with_capacity(pattern.len()),
        chars: pattern.chars(),
        open: Vec::new(),
        group: Group::default(),
        repeated: Repeated::Not,
    };
    while let Some(c) = reader.chars.next() {
        reader.read(c)?;
    }
    if reader.open.is_empty() {
        Ok(reader.out)
    } else {
        Err(Wrong("unclosed group"))
    }
}

/// What is between parentheses, up to here.
#[derive(Default)]
struct Group {
    /// How often the last part is repeated at most, within itself; none where there is none that an operator could repeat.
    last: Option<u32>,
    /// That of the parts before.
    before: u32,
}

/// What was read before.
#[derive(Clone, Copy)]
enum Repeated {
    Not,
    /// An operator that repeats; a `?` may follow.
    Once,
    /// And that `?`.
    Lazily,
}

struct Reader<'a> {
    out: String,
    chars: Chars<'a>,
    /// The groups around the one that is read.
    open: Vec<Group>,
    group: Group,
    repeated: Repeated,
}

impl Reader<'_> {
    fn read(&mut self, c: char) -> Result<(), Fault> {
        let counts = match c {
            '*' | '+' | '?' => Some(None),
            '{' => counts(self.chars.clone())?.map(Some),
            _ => None,
        };
        if let Some(counts) = counts {
            return self.repeat(c, counts);
        }
        self.repeated = Repeated::Not;
        match c {
            '(' => self.open()?,
            ')' => {
                let around = self.open.pop().ok_or(Wrong("unopened group"))?;
                let group = core::mem::replace(&mut self.group, around);
                self.out.push(')');
                self.part(group.before.max(group.last.unwrap_or_default()));
            }
            '|' => {
                self.out.push('|');
                self.group.end();
            }
            '[' => {
                self.class()?;
                self.part(1);
            }
            '\\' => self.escape()?,
            '.' | '^' | '$' => {
                self.out.push(c);
                self.part(1);
            }
            c => self.character(c),
        }
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.chars.clone().next()
    }

    fn take_if(&mut self, wanted: impl FnOnce(char) -> bool) -> Option<char> {
        self.peek().filter(|c| wanted(*c))?;
        self.chars.next()
    }

    fn take(&mut self, wanted: char) -> bool {
        self.take_if(|c| c == wanted).is_some()
    }

    /// A part of a sequence.
    fn part(&mut self, repeats: u32) {
        self.group.end();
        self.group.last = Some(repeats);
    }

    fn character(&mut self, c: char) {
        literal(&mut self.out, c);
        self.part(1);
    }

    fn repeat(&mut self, c: char, counts: Option<(u32, Option<u32>)>) -> Result<(), Fault> {
        self.repeated = match (self.repeated, c) {
            (Repeated::Not, _) => Repeated::Once,
            (Repeated::Once, '?') => {
                self.out.push('?');
                self.repeated = Repeated::Lazily;
                return Ok(());
            }
            _ => return Err(Wrong("what is repeated is repeated again")),
        };
        let last = (self.group.last.as_mut()).ok_or(Wrong("nothing stands before what repeats"))?;
        self.out.push(c);
        if let Some((least, most)) = counts {
            through(&mut self.out, &mut self.chars, '}');
            *last = match most.unwrap_or(least) {
                0 if most.is_some() => 0,
                times => last.saturating_mul(times.max(1)).max(times),
            };
            if *last > MOST_COUNT && most.unwrap_or(least) > 1 {
                return Err(Wrong("a count is above 1000, with those around it"));
            }
        }
        Ok(())
    }

    /// After a parenthesis: a group, or flags.
    fn open(&mut self) -> Result<(), Fault> {
        self.out.push('(');
        if self.take('?') {
            self.out.push('?');
            if self.take('P') {
                self.out.push('P');
                if self.peek() != Some('<') {
                    return Err(Wrong("a name stands in `(?P<` and `>`"));
                }
            }
            if self.take('<') {
                self.out.push('<');
                self.name()?;
            } else if self.flags()? == ')' {
                return Ok(());
            }
        }
        self.open.push(core::mem::take(&mut self.group));
        Ok(())
    }

    fn name(&mut self) -> Result<(), Fault> {
        let begin = self.out.len();
        while let Some(c) = self.take_if(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.out.push(c);
        }
        let is_number = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
        match self.out.get(begin..) {
            Some("") | None => Err(Wrong("a group has an empty name")),
            Some(_) if self.chars.next() != Some('>') => Err(Wrong(
                "a group's name has other characters than letters and digits",
            )),
            Some(name) if is_number(name) => Err(Unread("a group's name begins with a digit")),
            Some(_) => {
                self.out.push('>');
                Ok(())
            }
        }
    }

    /// The flags and what ends them, `:` or `)`.
    fn flags(&mut self) -> Result<char, Fault> {
        let mut set = Vec::new();
        let (mut turns_off, mut are_there) = (false, false);
        loop {
            let flag = self.chars.next().ok_or(Wrong("unclosed group"))?;
            match flag {
                'i' | 'm' | 's' | 'U' => {
                    if set.contains(&flag) {
                        return Err(Unread("a flag is there twice"));
                    }
                    set.push(flag);
                    are_there = true;
                }
                '-' if !turns_off => {
                    turns_off = true;
                    are_there = false;
                }
                ':' | ')' if are_there || !turns_off => {
                    if flag == ')' && set.is_empty() {
                        return Err(Unread("`(?)` sets no flags"));
                    }
                    self.out.push(flag);
                    return Ok(flag);
                }
                _ => return Err(Wrong("there is no such flag")),
            }
            self.out.push(flag);
        }
    }

    /// After a backslash, outside of brackets.
    fn escape(&mut self) -> Result<(), Fault> {
        let kept = match self.peek() {
            Some('A') => r"\A",
            Some('z') => r"\z",
            Some('b') => r"(?-u:\b)",
            Some('B') => r"(?-u:\B)",
            Some('Q') => {
                let _q = self.chars.next();
                return self.quoted();
            }
            _ if self.of_class()? => {
                self.part(1);
                return Ok(());
            }
            _ => {
                let c = self.escaped()?;
                self.character(c);
                return Ok(());
            }
        };
        let _kept = self.chars.next();
        self.out.push_str(kept);
        self.part(1);
        Ok(())
    }

    /// After `\Q`, up to `\E` or the end: each character is itself.
    fn quoted(&mut self) -> Result<(), Fault> {
        let rest = self.chars.as_str();
        let (quoted, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
        if quoted.is_empty() {
            return Err(Unread("`\\Q` and `\\E` have nothing between them"));
        }
        quoted.chars().for_each(|c| self.character(c));
        self.chars = rest.chars();
        Ok(())
    }

    /// After a backslash: whether it is a class such as `\d` or `\pL`, which is written then.
    fn of_class(&mut self) -> Result<bool, Fault> {
        let class = match self.peek() {
            Some('d') => "[0-9]",
            Some('D') => "[^0-9]",
            Some('w') => "[0-9A-Za-z_]",
            Some('W') => "[^0-9A-Za-z_]",
            Some('s') => r"[\t\n\f\r ]",
            Some('S') => r"[^\t\n\f\r ]",
            Some('p' | 'P') => {
                return self.property().map(|()| true);
            }
            _ => return Ok(false),
        };
        let _letter = self.chars.next();
        self.out.push_str(class);
        Ok(true)
    }

    /// After a backslash: `p` or `P` and a property of characters, by one letter or by a name in braces.
    fn property(&mut self) -> Result<(), Fault> {
        let wrong = Wrong("there is no such class of characters");
        let is_negated = self.chars.next() == Some('P');
        let rest = self.chars.as_str();
        let (name, rest) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once('}').ok_or(wrong)?,
            None => rest.split_at_checked(1).ok_or(wrong)?,
        };
        self.chars = rest.chars();
        let positive = name.strip_prefix('^');
        let is_negated = is_negated != positive.is_some();
        let name = positive.unwrap_or(name);
        let is_apart = |c: &char| matches!(c, '_' | '-' | ' ');
        let letters: String = name.chars().filter(|c| !is_apart(c)).collect();
        let letters = letters.to_ascii_lowercase();
        if letters.len() < 2 && !ONE_LETTER.contains(&letters.as_str())
            || !letters.bytes().all(|c| c.is_ascii_lowercase())
        {
            return Err(wrong);
        }
        // The crate has other properties than categories and scripts.
        let is_category =
            letters.len() < 3 || CATEGORIES.split_whitespace().any(|one| one == letters);
        self.out.push_str(if is_negated { r"\P{" } else { r"\p{" });
        self.out.push_str(if is_category { "" } else { "sc=" });
        self.out.extend([&letters, "}"]);
        Ok(())
    }

    /// After a backslash: the character that it stands for.
    fn escaped(&mut self) -> Result<char, Fault> {
        let wrong = Wrong("a backslash stands before what has no meaning there");
        let c = self.chars.next().ok_or(wrong)?;
        let is_octal = |c: char| matches!(c, '0'..='7');
        let code = match c {
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            '0'..='7' if c == '0' || self.peek().is_some_and(is_octal) => {
                let mut code = c.to_digit(8).ok_or(wrong)?;
                for _ in 0..2 {
                    let digit = self.take_if(is_octal).and_then(|c| c.to_digit(8));
                    code = digit.map_or(code, |digit| code * 8 + digit);
                }
                code
            }
            'x' => self.hexadecimal().ok_or(wrong)?,
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => return Ok(c),
            _ => return Err(wrong),
        };
        char::from_u32(code).ok_or(Unread("the code of a character is that of a surrogate"))
    }

    /// After `\x`: two digits, or some in braces.
    fn hexadecimal(&mut self) -> Option<u32> {
        let digit = |c: Option<char>| c?.to_digit(16);
        if !self.take('{') {
            return Some(digit(self.chars.next())? * 16 + digit(self.chars.next())?);
        }
        let mut code = digit(self.chars.next())?;
        while !self.take('}') {
            code = code * 16 + digit(self.chars.next())?;
            if code > u32::from(char::MAX) {
                return None;
            }
        }
        Some(code)
    }

    /// After a bracket.
    fn class(&mut self) -> Result<(), Fault> {
        self.out.push('[');
        if self.take('^') {
            self.out.push('^');
        }
        // First it means itself.
        if self.peek() != Some(']') {
            self.of_brackets()?;
        } else {
            self.range()?;
        }
        while !self.take(']') {
            self.of_brackets()?;
        }
        self.out.push(']');
        Ok(())
    }

    /// One that stands in brackets: a class, a character or a range.
    fn of_brackets(&mut self) -> Result<(), Fault> {
        let mut ahead = self.chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('['), Some(':')) => {
                // It is a character where no `:]` follows at all.
                if let Some((name, rest)) = ahead.as_str().split_once(":]") {
                    if !CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                        return Err(Wrong("there is no such class of characters"));
                    }
                    self.out.extend(["[:", name, ":]"]);
                    self.chars = rest.chars();
                    return Ok(());
                }
            }
            (Some('\\'), Some('d' | 'D' | 'w' | 'W' | 's' | 'S' | 'p' | 'P')) => {
                let _backslash = self.chars.next();
                let _is_class = self.of_class()?;
                return Ok(());
            }
            _ => {}
        }
        self.range()
    }

    fn range(&mut self) -> Result<(), Fault> {
        let first = self.of_range()?;
        literal(&mut self.out, first);
        let mut ahead = self.chars.clone();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            let _dash = self.chars.next();
            let last = self.of_range()?;
            if last < first {
                return Err(Wrong("a range ends before it begins"));
            }
            self.out.push('-');
            literal(&mut self.out, last);
        }
        Ok(())
    }

    fn of_range(&mut self) -> Result<char, Fault> {
        match self.chars.next() {
            Some('\\') => self.escaped(),
            Some(c) => Ok(c),
            None => Err(Wrong("unclosed brackets")),
        }
    }
}

impl Group {
    /// What follows is no longer the last part.
    fn end(&mut self) {
        self.before = self.before.max(self.last.take().unwrap_or_default());
    }
}

/// Classes as in `[[:alpha:]]`.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Categories of characters by a letter.
const ONE_LETTER: [&str; 7] = ["c", "l", "m", "n", "p", "s", "z"];
/// And by names of more than two letters, with what goes for one.
const CATEGORIES: &str = "any ascii assigned casedletter closepunctuation cntrl combiningmark connectorpunctuation control currencysymbol
    dashpunctuation decimalnumber digit enclosingmark finalpunctuation format initialpunctuation letter letternumber lineseparator
    lowercaseletter mark mathsymbol modifierletter modifiersymbol nonspacingmark number openpunctuation other otherletter othernumber
    otherpunctuation othersymbol paragraphseparator privateuse punct punctuation separator spaceseparator spacingmark surrogate
    symbol titlecaseletter unassigned uppercaseletter";

/// A character that means itself, in brackets and outside of them.
fn literal(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() {
        // Writing to a string does not fail.
        let _written = core::fmt::Write::write_fmt(out, format_args!(r"\x{:02x}", u32::from(c)));
    } else {
        out.push(c);
    }
}

/// Copies up to a character, and that one.
fn through(out: &mut String, chars: &mut impl Iterator<Item = char>, end: char) {
    for c in chars {
        out.push(c);
        if c == end {
            break;
        }
    }
}

/// What follows a brace where it is a count, the least and the most: `2}`, `2,}`, `2,3}`.
fn counts(
    mut chars: impl Iterator<Item = char> + Clone,
) -> Result<Option<(u32, Option<u32>)>, Fault> {
    let mut count = || {
        let mut digits = String::new();
        loop {
            match chars.next() {
                Some(digit) if digit.is_ascii_digit() => digits.push(digit),
                end => return (digits, end),
            }
        }
    };
    let is_none = |digits: &str| digits.len() > 1 && digits.starts_with('0');
    let (least, end) = count();
    let (most, end) = match end {
        Some(',') => count(),
        end => (least.clone(), end),
    };
    if end != Some('}') || least.is_empty() || is_none(&least) || is_none(&most) {
        return Ok(None);
    }
    let number = |digits: &str| {
        let count = digits.parse().ok().filter(|count| *count <= MOST_COUNT);
        count.ok_or(Wrong("a count is above 1000"))
    };
    let least = number(&least)?;
    let most = (!most.is_empty()).then(|| number(&most)).transpose()?;
    if most.is_some_and(|most| most < least) {
        return Err(Wrong("a count ends before it begins"));
    }
    Ok(Some((least, most)))
}
