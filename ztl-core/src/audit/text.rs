//! JSON texts and numbers, written without the detour of formatting: one record a decision.

use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr};

use crate::time::Timestamp;

/// Longest value of a text field in characters; what is longer is cut and ends with `…`.
const MAX_TEXT: usize = 256;

/// Appends a JSON text in which nothing can end a line, start an escape sequence or turn the direction of writing (T30). What is
/// longer than 256 characters is cut and ends with `…`.
pub fn quoted(out: &mut String, value: &str) {
    out.push('"');
    let _ = Quoted::new(out).write_str(value);
    out.push('"');
}

/// A text of which is known that every byte stands for itself. `name` is what stands before it, the quote included.
pub(super) fn plain(out: &mut String, name: &'static str, value: &str) {
    out.push_str(name);
    if value.len() > MAX_TEXT {
        let _ = Quoted::new(out).write_str(value);
    } else {
        out.push_str(value);
    }
    out.push('"');
}

/// A whole number.
pub(super) fn number(out: &mut String, value: u64) {
    let mut ascii = Ascii::default();
    ascii.number(value);
    ascii.write(out);
}

/// Seconds since the epoch, with three decimals where there are any.
pub(super) fn time(out: &mut String, time: Timestamp) {
    let mut ascii = Ascii::default();
    ascii.time(time);
    ascii.write(out);
}

/// The members that every record begins with: what is digits, so that it is made at once.
pub(super) fn front(
    out: &mut String,
    id: u128,
    time: Timestamp,
    port: u16,
    addr: Option<Ipv4Addr>,
) {
    let mut ascii = Ascii::default();
    let mut digits = [0; 32];
    let fours = id.to_be_bytes();
    let eights = digits.as_chunks_mut::<8>().0.iter_mut();
    for (eight, four) in eights.zip(fours.as_chunks::<4>().0) {
        *eight = crate::hex::eight_digits(*four);
    }
    ascii.put(*b"\"id\":\"");
    ascii.put(digits);
    ascii.put(*b"\",\"time\":");
    ascii.time(time);
    ascii.put(*b",\"port\":");
    ascii.number(port.into());
    if let Some(addr) = addr {
        ascii.put(*b",\"addr\":\"");
        ascii.v4(addr);
        ascii.put(*b"\"");
    }
    ascii.write(out);
}

/// An address as RFC 4291 §2.2 and RFC 5952 write it.
pub(super) fn address(out: &mut String, addr: IpAddr) {
    match addr {
        IpAddr::V4(addr) => {
            let mut ascii = Ascii::default();
            ascii.v4(addr);
            ascii.write(out);
        }
        IpAddr::V6(addr) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{addr}");
        }
    }
}

/// One more than eight digits hold.
const EIGHT: u64 = 100_000_000;

/// Some ASCII, made before it is written.
struct Ascii {
    held: [u8; 128],
    used: usize,
}

impl Default for Ascii {
    fn default() -> Self {
        Self {
            held: [b' '; 128],
            used: 0,
        }
    }
}

impl Ascii {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let place = self.held.get_mut(self.used..);
        if let Some(place) = place.and_then(|place| place.first_chunk_mut::<N>()) {
            *place = bytes;
            self.used += N;
        }
    }

    fn number(&mut self, value: u64) {
        if value < EIGHT {
            let digits = eight_digits(value);
            // What leads is zero, and the last digit is written even so.
            let word = u64::from_le_bytes(digits) & 0x000f_0f0f_0f0f_0f0f;
            let leading = word.trailing_zeros().min(56) / 8;
            let shifted = u64::from_le_bytes(digits) >> (leading * 8);
            self.put(shifted.to_le_bytes());
            self.used -= usize::try_from(leading).unwrap_or_default();
        } else {
            self.number(value / EIGHT);
            self.put(eight_digits(value % EIGHT));
        }
    }

    fn time(&mut self, time: Timestamp) {
        let (secs, millis) = (time.as_unix_millis() / 1000, time.as_unix_millis() % 1000);
        match secs / EIGHT {
            // From 2001 to 2286.
            high @ 10..=99 => {
                let [.., tens, ones] = eight_digits(high);
                self.put([tens, ones]);
                self.put(eight_digits(secs % EIGHT));
            }
            _ => self.number(secs),
        }
        if millis != 0 {
            let [.., hundreds, tens, ones] = eight_digits(millis);
            self.put([b'.', hundreds, tens, ones]);
        }
    }

    fn v4(&mut self, addr: Ipv4Addr) {
        for octet in addr.octets() {
            self.octet(octet);
        }
        // Each has a dot after it.
        self.used = self.used.saturating_sub(1);
    }

    /// An octet and a dot.
    fn octet(&mut self, octet: u8) {
        static OCTETS: [[u8; 4]; 256] = octets();
        let [one, two, three, four] = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
        self.put([one, two, three, four]);
        self.used -= usize::from(two == b'.') + usize::from(three == b'.' || two == b'.');
    }

    fn write(&self, out: &mut String) {
        let ascii = self.held.get(..self.used).unwrap_or_default();
        out.push_str(core::str::from_utf8(ascii).unwrap_or_default());
    }
}

/// The eight digits of a number below 100 000 000, all at once: the halves of four digits are divided by 100 side by side,
/// and then the quarters by 10.
const fn eight_digits(value: u64) -> [u8; 8] {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((twos - tens * 10) << 8);
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

/// Each octet with a dot after it, and dots to the end.
#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "run when it is compiled"
)]
const fn octets() -> [[u8; 4]; 256] {
    let mut all = [[b'.'; 4]; 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let mut from = if octet < 10 {
            2
        } else if octet < 100 {
            1
        } else {
            0
        };
        let mut to = 0;
        while from < 3 {
            all[octet][to] = b'0' + digits[from] as u8;
            from += 1;
            to += 1;
        }
        octet += 1;
    }
    all
}

/// Writes into a JSON text, at most [`MAX_TEXT`] characters of it.
pub(super) struct Quoted<'a> {
    out: &'a mut String,
    left: usize,
}

impl<'a> Quoted<'a> {
    pub(super) const fn new(out: &'a mut String) -> Self {
        Self {
            out,
            left: MAX_TEXT,
        }
    }

    fn push(&mut self, character: char) {
        match character {
            '"' => self.out.push_str("\\\""),
            '\\' => self.out.push_str("\\\\"),
            _ if must_be_escaped(character) => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(self.out, "\\u{unit:04x}");
                }
            }
            _ => self.out.push(character),
        }
    }
}

impl Write for Quoted<'_> {
    fn write_str(&mut self, value: &str) -> core::fmt::Result {
        // Nearly every value is plain and short.
        if value.len() <= self.left && is_plain(value) {
            self.left -= value.len();
            self.out.push_str(value);
            return Ok(());
        }
        for character in value.chars() {
            match self.left.checked_sub(1) {
                Some(left) => {
                    self.left = left;
                    self.push(character);
                }
                None => {
                    if !self.out.ends_with('…') {
                        self.out.push('…');
                    }
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Whether every byte stands for itself: eight at a time, the last eight again where they are no whole step.
fn is_plain(value: &str) -> bool {
    let bytes = value.as_bytes();
    let (eights, rest) = bytes.as_chunks::<8>();
    if !eights.iter().all(|eight| eight_are_plain(*eight)) {
        return false;
    }
    match bytes.last_chunk::<8>() {
        _ if rest.is_empty() => true,
        Some(last) => eight_are_plain(*last),
        None => rest
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')),
    }
}

/// Whether none of them is a control, a quote, a backslash, or no ASCII. Each test leaves the high bit of some byte set if
/// and only if there is such a byte.
const fn eight_are_plain(bytes: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const fn has(word: u64, byte: u64) -> u64 {
        let word = word ^ (ONES * byte);
        word.wrapping_sub(ONES) & !word
    }
    let word = u64::from_le_bytes(bytes);
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let found = word | below_space | has(word, 0x7f) | has(word, 0x22) | has(word, 0x5c);
    found & HIGH == 0
}

/// Controls, line separators and the marks that steer bidirectional text.
fn must_be_escaped(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_a_hostile_text_stays_on_its_line() {
        let mut out = String::new();
        quoted(&mut out, "a\n\u{1b}[31m\"\\\u{202e}é\u{85}");
        assert_eq!(out, "\"a\\u000a\\u001b[31m\\\"\\\\\\u202eé\\u0085\"");
        assert_eq!(
            serde_json::from_str::<String>(&out).expect("json"),
            "a\n\u{1b}[31m\"\\\u{202e}é\u{85}"
        );
        let mut long = String::new();
        quoted(&mut long, &"x".repeat(10_000));
        assert!(long.chars().count() < MAX_TEXT + 4 && long.ends_with("…\""));
    }

    #[test]
    fn t30_every_byte_is_seen_at_every_place() {
        for len in 1..20 {
            for at in 0..len {
                for byte in 0..=0x7f_u8 {
                    let mut text = vec![b'a'; len];
                    text[at] = byte;
                    let text = String::from_utf8(text).expect("text");
                    let stands = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&text), stands, "{len} {at} {byte}");
                }
                let text = format!("{}é{}", "a".repeat(at), "a".repeat(len - at));
                assert!(!is_plain(&text), "{text}");
            }
        }
    }

    #[test]
    fn the_front_of_a_record_has_room_for_the_longest() {
        let mut out = String::new();
        let most = Ipv4Addr::from([255; 4]);
        front(&mut out, u128::MAX, Timestamp::MAX, u16::MAX, Some(most));
        let (id, time) = ("f".repeat(32), Timestamp::MAX.as_unix());
        assert_eq!(
            out,
            format!("\"id\":\"{id}\",\"time\":{time},\"port\":65535,\"addr\":\"{most}\"")
        );
    }

    #[test]
    fn numbers_times_and_addresses_are_as_display_writes_them() {
        let written = |write: &dyn Fn(&mut String)| {
            let mut out = String::new();
            write(&mut out);
            out
        };
        for value in [
            0,
            7,
            10,
            99,
            100,
            999,
            1000,
            65_535,
            99_999_999,
            100_000_000,
            1_790_000_000,
            u64::MAX,
        ] {
            assert_eq!(written(&|out| number(out, value)), value.to_string());
        }
        for millis in [0, 1, 12, 123, 1_000, 1_020, 1_790_000_000_999] {
            let at = Timestamp::from_unix_millis(millis);
            assert_eq!(written(&|out| time(out, at)), at.as_unix().to_string());
        }
        for value in (0..3_000_000)
            .step_by(37)
            .chain((0..u64::MAX - 1).step_by(1 << 47))
        {
            assert_eq!(written(&|out| number(out, value)), value.to_string());
        }
        for octet in 0..=255 {
            let addr = std::net::Ipv4Addr::from([octet, 7, 255 - octet, octet]);
            assert_eq!(written(&|out| address(out, addr.into())), addr.to_string());
        }
        for text in ["0.0.0.0", "10.0.255.7", "fd00:10::1", "::ffff:10.0.0.1"] {
            let addr: IpAddr = text.parse().expect("address");
            assert_eq!(written(&|out| address(out, addr)), text);
        }
    }
}
