//! `time.*`: Gregorian, in UTC or a zone of the IANA database that is compiled in, never that of the machine.

use std::slice;

use chrono::{DateTime, Datelike, Duration, NaiveDate, TimeZone, Timelike};
use chrono_tz::Tz;

use super::layout;
use super::{Answer, Context, Term, Why, string, whole};

/// Longest layout, in bytes.
const MOST_LAYOUT: usize = 256;

pub(super) fn now_ns(context: &mut Context<'_>, _: &[Term]) -> Answer {
    let now = context.now;
    now.map(Term::number)
        .ok_or_else(|| "the input document has no time of the decision in `now`".into())
}

pub(super) fn parse_rfc3339_ns(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 0)?;
    let wrong = "this is no time as RFC 3339 writes one";
    // Small letters, a space and leap seconds are read by some and not by others.
    if text.contains(|c: char| c.is_lowercase() || c.is_whitespace()) || text.contains(":60") {
        return Err(wrong.into());
    }
    nanoseconds(&DateTime::parse_from_rfc3339(text).map_err(|_| wrong)?)
}

fn nanoseconds<Z: TimeZone>(time: &DateTime<Z>) -> Answer {
    let nanoseconds = time.timestamp_nanos_opt();
    nanoseconds
        .map(Term::number)
        .ok_or_else(|| "the time is before 1677 or after 2262".into())
}

/// A time in its zone, and the layout to write it in: `ns`, `[ns, zone]` or `[ns, zone, layout]`.
fn time(arguments: &[Term], at: usize) -> Result<(DateTime<Tz>, Option<&str>), Why> {
    let parts = match arguments.get(at) {
        Some(Term::Array(parts)) => parts.as_slice(),
        Some(alone) => slice::from_ref(alone),
        None => &[],
    };
    let nanoseconds = parts.first().and_then(Term::as_i64);
    let nanoseconds = nanoseconds.ok_or("the time is no whole number of nanoseconds")?;
    let zone = match parts.get(1) {
        None => "UTC",
        Some(zone) => zone.as_str().ok_or("the zone is no string")?,
    };
    let zone: Tz = match zone {
        "" | "UTC" => Tz::UTC,
        // The zone of the machine would make one policy two.
        "Local" => return Err("`Local` is a zone that depends on the machine; name one".into()),
        name => name
            .parse()
            .map_err(|_| "the zone is not in the IANA database")?,
    };
    let layout = match parts.get(2) {
        None => None,
        Some(layout) => Some(layout.as_str().ok_or("the layout is no string")?),
    };
    Ok((
        DateTime::from_timestamp_nanos(nanoseconds).with_timezone(&zone),
        layout,
    ))
}

pub(super) fn date(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (time, _) = time(arguments, 0)?;
    Ok(Term::Array(vec![
        Term::number(time.year()),
        Term::number(time.month()),
        Term::number(time.day()),
    ]))
}

pub(super) fn clock(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (time, _) = time(arguments, 0)?;
    Ok(Term::Array(vec![
        Term::number(time.hour()),
        Term::number(time.minute()),
        Term::number(time.second()),
    ]))
}

pub(super) fn weekday(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (time, _) = time(arguments, 0)?;
    Ok(Term::text(layout::weekday(&time)))
}

pub(super) fn format(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (time, layout) = time(arguments, 0)?;
    let layout = layout.filter(|layout| !layout.is_empty());
    let layout = layout.unwrap_or("RFC3339Nano");
    if layout.len() > MOST_LAYOUT {
        return Err("the layout is too long".into());
    }
    Ok(Term::String(layout::format(&time, layout)))
}

/// Months that are too short run over into the next: 31 October and a month is 1 December.
pub(super) fn add_date(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (time, _) = time(arguments, 0)?;
    let far = || Why::from("the time is too far away");
    let (years, months, days) = (
        whole(arguments, 1)?,
        whole(arguments, 2)?,
        whole(arguments, 3)?,
    );
    let months = years
        .checked_mul(12)
        .and_then(|all| all.checked_add(months)?.checked_add(time.month0().into()))
        .ok_or_else(far)?;
    let year = i64::from(time.year()).checked_add(months.div_euclid(12));
    let year = year
        .and_then(|year| i32::try_from(year).ok())
        .ok_or_else(far)?;
    let month = u32::try_from(months.rem_euclid(12)).map_err(|_| far())? + 1;
    let days = days
        .checked_add(time.day0().into())
        .and_then(Duration::try_days);
    let day = NaiveDate::from_ymd_opt(year, month, 1).zip(days);
    let day = day
        .and_then(|(first, days)| first.checked_add_signed(days))
        .ok_or_else(far)?;
    let local = time
        .timezone()
        .from_local_datetime(&day.and_time(time.time()));
    nanoseconds(
        &local
            .earliest()
            .ok_or("there is no such time in the zone")?,
    )
}

/// Years, months, days, hours, minutes and seconds between two times, in the zone of the first.
pub(super) fn diff(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let (one, _) = time(arguments, 0)?;
    let (other, _) = time(arguments, 1)?;
    let other = other.with_timezone(&one.timezone());
    let (early, late) = if other < one {
        (other, one)
    } else {
        (one, other)
    };
    let mut months = (i64::from(late.year()) - i64::from(early.year())) * 12
        + i64::from(late.month())
        - i64::from(early.month());
    let mut days = i64::from(late.day()) - i64::from(early.day());
    let of_day = |time: &DateTime<Tz>| i64::from(time.num_seconds_from_midnight());
    let mut seconds = of_day(&late) - of_day(&early);
    if seconds < 0 {
        seconds += 24 * 60 * 60;
        days -= 1;
    }
    if days < 0 {
        days += i64::from(early.num_days_in_month());
        months -= 1;
    }
    let parts = [
        months.div_euclid(12),
        months.rem_euclid(12),
        days,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    ];
    Ok(Term::Array(parts.map(Term::number).into()))
}

/// `1h30m`, `1.5s`, `-2d`: units from nanoseconds to years of 365 days.
pub(super) fn parse_duration_ns(_: &mut Context<'_>, arguments: &[Term]) -> Answer {
    let text = string(arguments, 0)?;
    let wrong = || Why::from("this is no duration");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Term::number(0));
    }
    let mut total: i128 = 0;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = end
            .and_then(|end| rest.split_at_checked(end))
            .ok_or_else(wrong)?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after
            .split_at_checked(end.unwrap_or(after.len()))
            .ok_or_else(wrong)?;
        let part = part(number, unit).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let total = if negative { -total } else { total };
    i64::try_from(total)
        .map(Term::number)
        .map_err(|_| "the duration is longer than 292 years".into())
}

/// One number with its unit, in nanoseconds.
fn part(number: &str, unit: &str) -> Option<i128> {
    const HOUR: i128 = 3_600_000_000_000;
    let unit = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => HOUR,
        "d" => 24 * HOUR,
        "w" => 7 * 24 * HOUR,
        "y" => 365 * 24 * HOUR,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 18 {
        return None;
    }
    let read = |digits: &str| {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse::<i128>().ok()
        }
    };
    let fraction = fraction.get(..15).unwrap_or(fraction);
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    read(whole)?
        .checked_mul(unit)?
        .checked_add(read(fraction)?.checked_mul(unit)? / scale)
}
