//! Layouts of `time.format`: the reference time, 2 January 2006 at 15:04:05, seven hours west of UTC, as it is to look.

use std::fmt::Write;

use chrono::{DateTime, Datelike, Offset, Timelike};
use chrono_tz::{OffsetName, Tz};

/// The layouts that have names.
const NAMED: [(&str, &str); 10] = [
    ("ANSIC", "Mon Jan _2 15:04:05 2006"),
    ("UnixDate", "Mon Jan _2 15:04:05 MST 2006"),
    ("RubyDate", "Mon Jan 02 15:04:05 -0700 2006"),
    ("RFC822", "02 Jan 06 15:04 MST"),
    ("RFC822Z", "02 Jan 06 15:04 -0700"),
    ("RFC850", "Monday, 02-Jan-06 15:04:05 MST"),
    ("RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"),
    ("RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"),
    ("RFC3339", "2006-01-02T15:04:05Z07:00"),
    ("RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"),
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
/// What stands for a part of the time; where one begins as another does, the longer comes first.
const PARTS: [&str; 36] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "1",
    "2006",
    "2",
    "__2",
    "_2006",
    "_2",
    "3",
    "4",
    "5",
    "PM",
    "pm",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    ".",
    ",",
];

pub(super) fn weekday(time: &DateTime<Tz>) -> &'static str {
    let day = usize::try_from(time.weekday().num_days_from_sunday());
    day.ok()
        .and_then(|day| DAYS.get(day))
        .copied()
        .unwrap_or("")
}

pub(super) fn format(time: &DateTime<Tz>, layout: &str) -> String {
    let named = NAMED.iter().find(|(name, _)| *name == layout);
    let mut rest = named.map_or(layout, |&(_, layout)| layout);
    let mut out = String::new();
    while let Some(c) = rest.chars().next() {
        let part = PARTS.iter().find_map(|&part| {
            let after = rest.strip_prefix(part)?;
            // `Janus` is no month.
            let word = matches!(part, "Jan" | "Mon")
                && after.starts_with(|c: char| c.is_ascii_lowercase());
            (!word).then_some((part, after))
        });
        rest = match part {
            Some((point @ ("." | ","), after)) => fraction(&mut out, time, point, after),
            Some((part, after)) => {
                // Writing to a string does not fail.
                let _written = write(&mut out, time, part);
                after
            }
            None => {
                out.push(c);
                rest.get(c.len_utf8()..).unwrap_or_default()
            }
        };
    }
    out
}

/// `.000` writes as many digits, `.999` no zeros at the end; anything else is a point.
fn fraction<'a>(out: &mut String, time: &DateTime<Tz>, point: &str, after: &'a str) -> &'a str {
    let digit = after.chars().next().filter(|c| matches!(c, '0' | '9'));
    let rest = digit.map(|digit| after.trim_start_matches(digit));
    let Some(rest) = rest.filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit())) else {
        out.push_str(point);
        return after;
    };
    let digits = format!("{:09}", time.nanosecond());
    let digits = digits.get(..after.len() - rest.len()).unwrap_or(&digits);
    let digits = match digit {
        Some('9') => digits.trim_end_matches('0'),
        _ => digits,
    };
    if !digits.is_empty() {
        out.push_str(point);
        out.push_str(digits);
    }
    rest
}

fn write(out: &mut String, time: &DateTime<Tz>, part: &str) -> std::fmt::Result {
    let month = usize::try_from(time.month0());
    let month = month
        .ok()
        .and_then(|at| MONTHS.get(at))
        .copied()
        .unwrap_or("");
    let short = |name: &'static str| name.get(..3).unwrap_or(name);
    let of_twelve = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match part {
        "January" => out.write_str(month),
        "Jan" => out.write_str(short(month)),
        "Monday" => out.write_str(weekday(time)),
        "Mon" => out.write_str(short(weekday(time))),
        "MST" => match time.offset().abbreviation() {
            Some(name) => out.write_str(name),
            // Zones without letters are called by their offset.
            None => {
                let seconds = time.offset().fix().local_minus_utc();
                let form = if seconds % 3600 == 0 { "-07" } else { "-0700" };
                write_offset(out, seconds, form)
            }
        },
        "002" => write!(out, "{:03}", time.ordinal()),
        "__2" => write!(out, "{:3}", time.ordinal()),
        "01" => write!(out, "{:02}", time.month()),
        "1" => write!(out, "{}", time.month()),
        "02" => write!(out, "{:02}", time.day()),
        "2" => write!(out, "{}", time.day()),
        "_2" => write!(out, "{:2}", time.day()),
        "03" => write!(out, "{of_twelve:02}"),
        "3" => write!(out, "{of_twelve}"),
        "04" => write!(out, "{:02}", time.minute()),
        "4" => write!(out, "{}", time.minute()),
        "05" => write!(out, "{:02}", time.second()),
        "5" => write!(out, "{}", time.second()),
        "06" => write!(out, "{:02}", time.year() % 100),
        "15" => write!(out, "{:02}", time.hour()),
        "2006" => write!(out, "{:04}", time.year()),
        "_2006" => write!(out, "_{:04}", time.year()),
        "PM" => out.write_str(if time.hour() < 12 { "AM" } else { "PM" }),
        "pm" => out.write_str(if time.hour() < 12 { "am" } else { "pm" }),
        offset => write_offset(out, time.offset().fix().local_minus_utc(), offset),
    }
}

fn write_offset(out: &mut String, seconds: i32, form: &str) -> std::fmt::Result {
    if form.starts_with('Z') && seconds == 0 {
        return out.write_str("Z");
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, left) = (
        seconds.abs() / 3600,
        seconds.abs() / 60 % 60,
        seconds.abs() % 60,
    );
    let colon = if form.contains(':') { ":" } else { "" };
    write!(out, "{sign}{hours:02}")?;
    if form.len() > 3 {
        write!(out, "{colon}{minutes:02}")?;
    }
    if form.len() > 6 {
        write!(out, "{colon}{left:02}")?;
    }
    Ok(())
}
