//! `units.parse`, `units.parse_bytes`: exactly, without a float in between.

use super::{Answer, Context, Term, Why, string};

/// Highest power of ten that is read.
const MOST_EXPONENT: i32 = 24;
/// Digits after the point of an answer that is not whole.
const FRACTION: u32 = 10;

/// Powers of a thousand and of 1024, by their letters.
const LETTERS: [char; 6] = ['k', 'm', 'g', 't', 'p', 'e'];

/// `units.parse`: `m` is a thousandth, `M` a million.
pub(super) fn parse(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 0)?.replace('"', "");
    let (amount, unit) = Amount::read(&text)?;
    let mut letters = unit.chars();
    let unit: String = letters
        .by_ref()
        .take(1)
        .chain(unit.chars().skip(1).map(|c| c.to_ascii_lowercase()))
        .collect();
    if unit == "m" {
        return amount.times(1, 3);
    }
    amount.times(factor(&unit.to_ascii_lowercase(), "i")?, 0)
}

/// `units.parse_bytes`: whatever the case, with or without `b`; part of a byte is dropped.
pub(super) fn parse_bytes(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 0)?.replace('"', "").to_lowercase();
    let (amount, unit) = Amount::read(&text)?;
    let unit = match unit.strip_suffix('b') {
        Some("") => return Err(unknown()),
        Some(unit) => unit,
        None => unit,
    };
    amount.whole(factor(unit, "i")?)
}

fn unknown() -> Why {
    "the unit is not known".into()
}

fn factor(unit: &str, binary: &str) -> Result<u128, Why> {
    let (letter, base) = match unit.strip_suffix(binary) {
        Some(letter) => (letter, 1024_u128),
        None => (unit, 1000),
    };
    if unit.is_empty() {
        return Ok(1);
    }
    let mut power = base;
    for known in LETTERS {
        if letter.chars().eq([known]) {
            return Ok(power);
        }
        power = power.saturating_mul(base);
    }
    Err(unknown())
}

/// `digits × 10^-scale`
struct Amount {
    negative: bool,
    digits: u128,
    scale: u32,
}

impl Amount {
    /// The number that a text begins with, and the rest.
    fn read(text: &str) -> Result<(Self, &str), Why> {
        if text.contains(' ') {
            return Err("a space stands in it".into());
        }
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (before, rest) = digits(rest);
        let (after, rest) = match rest.strip_prefix('.') {
            Some(rest) => digits(rest),
            None => ("", rest),
        };
        if before.is_empty() && after.is_empty() {
            return Err("no number stands in it".into());
        }
        let (exponent, rest) = exponent(rest)?;
        let too_long = || Why::from("the number has too many digits");
        let mut amount: u128 = format!("{before}{after}").parse().map_err(|_| too_long())?;
        let scale = i32::try_from(after.len()).map_err(|_| too_long())? - exponent;
        let scale = u32::try_from(scale).unwrap_or_else(|_| {
            amount = amount.saturating_mul(10_u128.saturating_pow(scale.unsigned_abs()));
            0
        });
        if scale > 30 {
            return Err(too_long());
        }
        let digits = amount;
        Ok((
            Self {
                negative,
                digits,
                scale,
            },
            rest,
        ))
    }

    /// So many times, and a power of ten less.
    fn times(self, factor: u128, less: u32) -> Answer {
        let large = || Why::from("the number is too large");
        let amount = self.digits.checked_mul(factor).ok_or_else(large)?;
        let one = 10_u128.pow(self.scale + less);
        let (whole, part) = (amount / one, amount % one);
        let sign = if self.negative && amount != 0 {
            "-"
        } else {
            ""
        };
        if part == 0 {
            return Ok(Term::Number(format!("{sign}{whole}")));
        }
        // Half away from zero, to ten digits.
        let ten = 10_u128.pow(FRACTION);
        let part = part.checked_mul(ten).ok_or_else(large)?;
        let rounded = part / one + u128::from(part % one >= one.div_ceil(2));
        let (whole, part) = (whole + rounded / ten, rounded % ten);
        Ok(Term::Number(format!("{sign}{whole}.{part:010}")))
    }

    fn whole(self, factor: u128) -> Answer {
        let amount = self.digits.checked_mul(factor);
        let amount = amount.ok_or("the number is too large")? / 10_u128.pow(self.scale);
        let sign = if self.negative && amount != 0 {
            "-"
        } else {
            ""
        };
        Ok(Term::Number(format!("{sign}{amount}")))
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// `e5`, `E-3`, where digits follow: `e` alone is a unit.
fn exponent(text: &str) -> Result<(i32, &str), Why> {
    let none = Ok((0, text));
    let Some(rest) = text.strip_prefix(['e', 'E']) else {
        return none;
    };
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let (found, rest) = digits(rest);
    if found.is_empty() {
        return none;
    }
    match found.parse::<i32>() {
        Ok(exponent) if exponent <= MOST_EXPONENT => Ok((sign * exponent, rest)),
        _ => Err("the exponent is too large".into()),
    }
}
