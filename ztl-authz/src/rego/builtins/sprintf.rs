//! `sprintf`: the verbs of Go's `fmt` that policies use. What it would write differently is an error, not another text.

use core::fmt::Write;

use super::{Answer, Context, Term, Why, string};

/// Widest field and longest fraction.
const MOST_WIDTH: usize = 512;

/// What Go's `fmt` sees of an argument.
enum Operand {
    Integer(i64),
    /// A whole number beyond 64 bits, as it is written.
    Large(String),
    Float(f64),
    Text(String),
}

impl Operand {
    /// Numbers with a point are floats; what is neither number nor string is its text as Rego writes it.
    fn of(term: &Term) -> Self {
        match term {
            Term::Number(digits) => match digits.parse() {
                Ok(number) => Self::Integer(number),
                Err(_) if digits.contains('.') => {
                    let float = digits.parse().ok().filter(|it: &f64| it.is_finite());
                    float.map_or_else(|| Self::Text(digits.clone()), Self::Float)
                }
                Err(_) if digits.contains(['e', 'E']) => Self::Text(digits.clone()),
                Err(_) => Self::Large(digits.clone()),
            },
            Term::String(text) => Self::Text(text.clone()),
            other => Self::Text(other.to_string()),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "int64",
            Self::Large(_) => "*big.Int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

pub(super) fn sprintf(context: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let format = string(arguments, 0)?;
    let Some(Term::Array(values)) = arguments.get(1) else {
        return Err("argument 2 is no array".into());
    };
    let mut values = values.iter();
    let mut out = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (flags, after) = flags(after)?;
        let Some(verb) = after.chars().next() else {
            out.push_str("%!(NOVERB)");
            rest = "";
            break;
        };
        rest = after.get(verb.len_utf8()..).unwrap_or_default();
        if verb == '%' {
            out.push('%');
        } else if let Some(value) = values.next() {
            let text = write(&Operand::of(value), verb, flags)?;
            pad(&mut out, &text, flags);
        } else {
            let _written = write!(out, "%!{verb}(MISSING)");
        }
        if out.len() > context.most {
            return Err("the text becomes too long".into());
        }
    }
    out.push_str(rest);
    extra(&mut out, values);
    Ok(Term::String(out))
}

/// What nothing was asked of is written at the end.
fn extra<'a>(out: &mut String, values: impl Iterator<Item = &'a Term>) {
    let all: Vec<String> = values
        .map(|value| {
            let operand = Operand::of(value);
            format!("{}={}", operand.kind(), plain(&operand))
        })
        .collect();
    if !all.is_empty() {
        let _written = write!(out, "%!(EXTRA {})", all.join(", "));
    }
}

fn flags(text: &str) -> Result<(Flags, &str), Why> {
    let mut flags = Flags::default();
    let mut rest = text;
    loop {
        let (flag, after) = match rest.split_at_checked(1) {
            Some(split) => split,
            None => return Ok((flags, rest)),
        };
        match flag {
            "-" => flags.minus = true,
            "+" => flags.plus = true,
            " " => flags.space = true,
            "0" => flags.zero = true,
            "#" | "*" | "[" => return Err(format!("the flag `{flag}` is not given here").into()),
            _ => break,
        }
        rest = after;
    }
    let (width, after) = number(rest)?;
    flags.width = width.unwrap_or(0);
    rest = after;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = number(after)?;
        flags.precision = Some(precision.unwrap_or(0));
        rest = after;
    }
    if rest.starts_with(['*', '[']) {
        return Err("widths from arguments and numbers of arguments are not given here".into());
    }
    Ok((flags, rest))
}

fn number(text: &str) -> Result<(Option<usize>, &str), Why> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or(("", text));
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse() {
        Ok(number) if number <= MOST_WIDTH => Ok((Some(number), rest)),
        _ => Err("a width or precision is too large".into()),
    }
}

fn pad(out: &mut String, text: &str, flags: Flags) {
    let missing = flags.width.saturating_sub(text.chars().count());
    let fill = |c: char| std::iter::repeat_n(c, missing);
    if flags.minus {
        out.push_str(text);
        out.extend(fill(' '));
    } else if flags.zero {
        // Zeros stand between a sign and the digits.
        let digits = text.trim_start_matches(['+', '-', ' ']);
        let sign = text.strip_suffix(digits).unwrap_or_default();
        out.push_str(sign);
        out.extend(fill('0'));
        out.push_str(digits);
    } else {
        out.extend(fill(' '));
        out.push_str(text);
    }
}

fn plain(operand: &Operand) -> String {
    match operand {
        Operand::Integer(number) => number.to_string(),
        Operand::Large(text) | Operand::Text(text) => text.clone(),
        Operand::Float(number) => shortest(*number),
    }
}

fn write(operand: &Operand, verb: char, flags: Flags) -> Result<String, Why> {
    let odd = || {
        Why::from(format!(
            "`%{verb}` of such a value, or with such flags, is not given here"
        ))
    };
    let text = match (operand, verb) {
        (Operand::Integer(number), 'v' | 'd') if flags.precision.is_none() => {
            signed(&number.to_string(), flags)
        }
        (Operand::Integer(number), 'x' | 'X' | 'o' | 'b') if flags.precision.is_none() => {
            let sign = if *number < 0 { "-" } else { "" };
            let number = number.unsigned_abs();
            let digits = match verb {
                'x' => format!("{number:x}"),
                'X' => format!("{number:X}"),
                'o' => format!("{number:o}"),
                _ => format!("{number:b}"),
            };
            signed(&format!("{sign}{digits}"), flags)
        }
        (Operand::Large(digits), 'v' | 'd') if flags.precision.is_none() => signed(digits, flags),
        (Operand::Float(number), 'v') if flags.precision.is_none() => {
            signed(&shortest(*number), flags)
        }
        (Operand::Float(number), 'f' | 'F') => {
            let precision = flags.precision.unwrap_or(6);
            signed(&format!("{number:.precision$}"), flags)
        }
        (Operand::Text(text), 'v' | 's') if !flags.plus && !flags.zero => {
            let most = flags.precision.unwrap_or(usize::MAX);
            text.chars().take(most).collect()
        }
        (Operand::Text(text), 'q') if !flags.plus && !flags.zero && flags.precision.is_none() => {
            quoted(text)?
        }
        (Operand::Text(text), 'x') if flags.precision.is_none() && !flags.space && !flags.zero => {
            super::encode::hex(text.as_bytes())
        }
        // A verb that does not fit is written out, as Go does.
        (Operand::Text(text), 'd' | 't' | 'f' | 'b' | 'o' | 'c' | 'g' | 'e')
            if flags.width == 0 && flags.precision.is_none() =>
        {
            format!("%!{verb}(string={text})")
        }
        (Operand::Integer(number), 's' | 't' | 'f' | 'g' | 'e')
            if flags.width == 0 && flags.precision.is_none() =>
        {
            format!("%!{verb}(int64={number})")
        }
        (Operand::Float(number), 's' | 'd' | 't')
            if flags.width == 0 && flags.precision.is_none() =>
        {
            format!("%!{verb}(float64={})", shortest(*number))
        }
        _ => return Err(odd()),
    };
    Ok(text)
}

fn signed(digits: &str, flags: Flags) -> String {
    match (digits.starts_with('-'), flags.plus, flags.space) {
        (false, true, _) => format!("+{digits}"),
        (false, false, true) => format!(" {digits}"),
        _ => digits.to_owned(),
    }
}

/// As few digits as tell the number from its neighbours; with an exponent below -4 and from 6.
fn shortest(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(-4..=5) | Err(_) => format!("{number}"),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}

/// As a literal of Go: of characters beyond ASCII only letters and digits, which both print.
fn quoted(text: &str) -> Result<String, Why> {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() => out.push(c),
            _ => return Err("`%q` of such a character is not given here".into()),
        }
    }
    out.push('"');
    Ok(out)
}
