//! Times as RFC 3339 writes them. The calendar is that of the crate that reads certificates.

use core::time::Duration;

use der::DateTime;
use ztl_core::Timestamp;

const SHAPE: &str = "it has to be a time of RFC 3339, such as `2026-11-22T04:00:00Z`";

/// Reads a time: date, `T`, time, an optional fraction of a second, and `Z` or an offset.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    read(text).ok_or_else(|| SHAPE.to_owned())
}

fn read(text: &str) -> Option<Timestamp> {
    let (body, rest) = text.split_at_checked(19)?;
    let (date, time) = (body.get(..10)?, body.get(11..)?);
    if !matches!(body.get(10..11)?, "T" | "t" | " ") {
        return None;
    }
    let local: DateTime = format!("{date}T{time}Z").parse().ok()?;
    let mut at = Timestamp::EPOCH.saturating_add(local.unix_duration());
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
    let (hours, minutes) = (two_digits(hours, 23)?, two_digits(minutes, 59)?);
    let offset = Duration::from_secs((hours * 60 + minutes) * 60);
    match sign {
        "+" => Some(at.saturating_sub(offset)),
        "-" => Some(at.saturating_add(offset)),
        _ => None,
    }
}

/// The first three digits after the point; more are below what is counted.
fn millis(digits: &str) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    format!("{digits:0<3}").get(..3)?.parse().ok()
}

fn two_digits(text: &str, most: u64) -> Option<u64> {
    let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok()?;
    (plain && number <= most).then_some(number)
}

/// Writes a time to the second, in Z; one that no calendar holds as it is counted.
pub(crate) fn show(at: Timestamp) -> String {
    DateTime::from_unix_duration(Duration::from_secs(at.as_unix_secs()))
        .map_or_else(|_| at.to_string(), |time| time.to_string())
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
            assert_eq!(parse(text), Ok(at), "{text}");
        }
        assert_eq!(show(at), "2024-01-01T00:00:00Z");
        assert_eq!(show(Timestamp::MAX), Timestamp::MAX.to_string());
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
            "2024-02-30T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00+2:00",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+-1:00",
            "2024-01-01T00:00:00Zx",
            "2024-01-01X00:00:00Z",
            "2024-01-01T00:00:0é",
            "2024-01-0éT00:00:00Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
