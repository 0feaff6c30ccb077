//! Times as RFC 3339 writes them, in the Gregorian calendar, from 1970 to 9999.

use core::fmt;
use core::time::Duration;

use super::Timestamp;

/// A day in seconds.
const DAY: u64 = 86_400;
/// 1970-01-01, in days since 0000-03-01: the calendar is counted from March on, so that a leap day ends its year.
const EPOCH: u64 = 719_468;
/// The days of 400 years, after which the calendar repeats itself.
const ERA: u64 = 146_097;

/// Writes a time in UTC, with milliseconds where there are any; one after 9999 as a number.
pub(super) fn write(at: Timestamp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (secs, millis) = (at.as_unix_secs(), at.as_unix_millis() % 1000);
    let (year, month, day) = date(secs / DAY);
    if year > 9999 {
        return write!(f, "{}", at.as_unix());
    }
    let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
    write!(
        f,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    )?;
    if millis > 0 {
        write!(f, ".{millis:03}")?;
    }
    f.write_str("Z")
}

/// Reads a time: date, `T`, time, an optional fraction of a second, and `Z` or an offset.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let (body, rest) = text.split_at_checked(19)?;
    let (date, time) = (body.get(..10)?, body.get(11..)?);
    if !matches!(body.get(10..11)?, "T" | "t" | " ") {
        return None;
    }
    let mut at = Timestamp::from_unix_secs(day(date)? * DAY + second(time)?);
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit())?;
            let (digits, zone) = fraction.split_at_checked(end)?;
            at = at.saturating_add(Duration::from_millis(millis(digits)?));
            zone
        }
        None => rest,
    };
    if matches!(zone, "Z" | "z") {
        return Some(at);
    }
    let (sign, offset) = zone.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let (hours, minutes) = (number(hours, 2, 23)?, number(minutes, 2, 59)?);
    let offset = Duration::from_secs((hours * 60 + minutes) * 60);
    match sign {
        // Neither before 1970 nor after 9999, also by the offset.
        "+" => (at.since(Timestamp::EPOCH) >= offset).then(|| at.saturating_sub(offset)),
        "-" => Some(at.saturating_add(offset)).filter(is_written),
        _ => None,
    }
}

/// Whether a time has a date of four digits.
fn is_written(at: &Timestamp) -> bool {
    date(at.as_unix_millis() / 1000 / DAY).0 <= 9999
}

/// Year, month and day of a day since the epoch.
const fn date(day: u64) -> (u64, u64, u64) {
    let day = day + EPOCH;
    let (era, day) = (day / ERA, day % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - days_before(year);
    let month = (5 * day + 2) / 153;
    let (of_month, year) = (day - (153 * month + 2) / 5 + 1, 400 * era + year);
    if month < 10 {
        (year, month + 3, of_month)
    } else {
        (year + 1, month - 9, of_month)
    }
}

/// The days of an era before a year of it.
const fn days_before(year: u64) -> u64 {
    365 * year + year / 4 - year / 100
}

/// The day since the epoch, of `YYYY-MM-DD`.
fn day(text: &str) -> Option<u64> {
    let (year, rest) = text.split_once('-')?;
    let (month, of_month) = rest.split_once('-')?;
    let read = (
        number(year, 4, 9999)?,
        number(month, 2, 12)?,
        number(of_month, 2, 31)?,
    );
    let (year, month) = if read.1 > 2 {
        (read.0, read.1 - 3)
    } else {
        (read.0.checked_sub(1)?, read.1 + 9)
    };
    let days = year / 400 * ERA + days_before(year % 400) + (153 * month + 2) / 5 + read.2;
    let since = days.checked_sub(EPOCH + 1)?;
    // A day that its month does not have is another one, and month or day 0 is none.
    (date(since) == read).then_some(since)
}

/// The second of the day, of `HH:MM:SS`.
fn second(text: &str) -> Option<u64> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    Some(number(hour, 2, 23)? * 3600 + number(minute, 2, 59)? * 60 + number(second, 2, 59)?)
}

/// The first three digits after the point; more are below what is counted.
fn millis(digits: &str) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    format!("{digits:0<3}").get(..3)?.parse().ok()
}

/// A number of so many digits.
fn number(text: &str, digits: usize, most: u64) -> Option<u64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok()?;
    (plain && number <= most).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_one_time() {
        let at = Timestamp::from_unix_millis(1_704_067_200_250);
        for text in [
            "2024-01-01T00:00:00.25Z",
            "2024-01-01t00:00:00.250999z",
            "2024-01-01 02:30:00.250+02:30",
            "2023-12-31T23:00:00.25-01:00",
        ] {
            assert_eq!(text.parse(), Ok(at), "{text}");
        }
        assert_eq!(at.to_string(), "2024-01-01T00:00:00.250Z");
        let whole = Timestamp::from_unix_secs(1_795_489_200);
        assert_eq!(whole.to_string(), "2026-11-24T03:00:00Z");
    }

    #[test]
    fn every_day_from_1970_to_9999_is_read_as_it_is_written() {
        let mut before = (1969, 12, 31);
        for since in 0..2_932_897 {
            let (year, month, of_month) = date(since);
            assert_eq!(
                day(&format!("{year:04}-{month:02}-{of_month:02}")),
                Some(since)
            );
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = |(_, month, _)| match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let next = match before {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, day) if day == last(before) => (year, month + 1, 1),
                (year, month, day) => (year, month, day + 1),
            };
            assert_eq!((year, month, of_month), next);
            before = next;
        }
        assert_eq!(before, (9999, 12, 31));
        for millis in (0..253_402_300_800_000).step_by(9_999_999_967) {
            let at = Timestamp::from_unix_millis(millis);
            assert_eq!(at.to_string().parse(), Ok(at), "{at}");
        }
        let end = Timestamp::from_unix_secs(253_402_300_799);
        for beyond in ["9999-12-31T23:59:59-00:01", "1970-01-01T00:00:00+00:01"] {
            assert_eq!(read(beyond), None, "{beyond}");
        }
        assert_eq!(end.to_string(), "9999-12-31T23:59:59Z");
        let after = Timestamp::from_unix_secs(253_402_300_800);
        assert_eq!(after.to_string(), "253402300800");
        assert_eq!(Timestamp::MAX.to_string(), "18446744073709551.615");
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "1704067200",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00.5",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-01-32T00:00:00Z",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:60Z",
            "2024-1-001T00:00:00Z",
            "+024-01-01T00:00:00Z",
            "2024-01-01T00:00:00+2:00",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+-1:00",
            "2024-01-01T00:00:00Zx",
            "2024-01-01X00:00:00Z",
            "2024-01-01T00:00:0é",
            "2024-01-0éT00:00:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
