//! What may stand in a `Host` field and in `:authority`: a host, and a port where there is one.

use core::net::Ipv6Addr;

/// The port of an `https` URL without one (RFC 9110 §4.2.2), and of a host outside the mesh where none is written.
pub const HTTPS_PORT: u16 = 443;

/// Whether what stands in a `Host` field or in `:authority` is `uri-host [ ":" port ]` (RFC 9110 §7.2): a server has to answer
/// everything else with 400 (RFC 9112 §3.2).
///
/// A host here is a name of letters, digits, `-`, `.`, `_` and `~`, or an address, one of IPv6 in brackets. What RFC 3986 §3.2.2
/// allows beyond that in a name (escapes, and delimiters such as `,`) is in no name that a service has, and is read in more ways
/// than one. Whoever enforces denies anything else with [`Reason::PathAmbiguous`](crate::Reason::PathAmbiguous) (rule 42).
///
/// ```
/// use ztl_core::is_host;
///
/// assert!(is_host(b"shop.example:8443") && is_host(b"[::1]:8443"));
/// assert!(!is_host(b"user@shop.example") && !is_host(b"shop.example, other.example") && !is_host(b"shop.example/admin"));
/// ```
#[must_use]
pub fn is_host(value: &[u8]) -> bool {
    let rest = match value.strip_prefix(b"[") {
        Some(host) => after_address(host),
        None => after_name(value),
    };
    rest.is_some_and(is_port)
}

/// What follows an address of IPv6 and its closing bracket.
fn after_address(host: &[u8]) -> Option<&[u8]> {
    let end = host.iter().position(|byte| *byte == b']')?;
    let (address, rest) = host.split_at_checked(end)?;
    let address = core::str::from_utf8(address).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    rest.strip_prefix(b"]")
}

/// What follows a name or an address of IPv4.
fn after_name(value: &[u8]) -> Option<&[u8]> {
    let end = value.iter().position(|byte| !is_of_name(*byte));
    let (name, rest) = value.split_at_checked(end.unwrap_or(value.len()))?;
    (!name.is_empty()).then_some(rest)
}

/// Whether a byte may stand in a name or an address of IPv4.
fn is_of_name(byte: u8) -> bool {
    const NAMES: [bool; 256] = {
        let mut names = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            #[expect(
                clippy::indexing_slicing,
                clippy::as_conversions,
                reason = "a byte is below 256"
            )]
            {
                names[byte as usize] =
                    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
            }
            byte += 1;
        }
        names
    };
    NAMES.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Nothing, or `:` and a number that is a port; RFC 3986 §3.2.3 lets it be empty.
fn is_port(port: &[u8]) -> bool {
    match port.split_first() {
        None => true,
        Some((b':', digits)) => {
            let number = digits.iter().try_fold(0_u16, |number, digit| match digit {
                b'0'..=b'9' => number.checked_mul(10)?.checked_add(u16::from(digit - b'0')),
                _ => None,
            });
            number.is_some() && digits.len() <= 5
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_9112_3_2_a_host_is_a_host_with_a_port_and_nothing_else() {
        for good in [
            "a",
            "a:443",
            "a:",
            "db.prod.example.",
            "my_service-1:65535",
            "10.0.0.1:8443",
            "[::1]",
            "[::]:443",
            "[2001:DB8::7]",
            "[1:2:3:4:5:6:7:8]",
            "[::ffff:10.0.0.1]:8443",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":443",
            "a b",
            "a, b",
            "a,b",
            "a/admin",
            "a?b",
            "a#b",
            "a\\b",
            "u@a",
            "a:b",
            "a:65536",
            "a:000443",
            "a:+1",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[]",
            "[a]]",
            "[g]",
            // No address, though all of it could stand in one.
            "[:]",
            "[1]",
            "[....]",
            "[1.2.3.4]",
            "[:::]",
            "[1::2::3]",
            "[12345::]",
            "[1:2:3:4:5:6:7:8:9]",
            "[::1.2.3]",
            "[::1.2.3.256]",
            "[::1%25eth0]",
            "[v1.a]",
            "[ ::1]",
            "[::1",
            "[::1]]",
            "[\u{e4}]",
            "a%2f",
            "a\t",
            "\u{e4}",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
