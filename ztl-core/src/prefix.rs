//! Whom one address stands for.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What one client can have by itself: an IPv4 address, the /64 of an IPv6 address (RFC 4291 §2.5.4, RFC 6177 §2). Whoever counts
/// what clients do counts by it (T35).
///
/// ```
/// use core::net::IpAddr;
/// use ztl_core::Prefix;
///
/// let of = |addr: &str| addr.parse::<IpAddr>().map(Prefix::from);
/// assert_eq!(of("2001:db8::1")?, of("2001:db8::2")?);
/// assert_ne!(of("192.0.2.1")?, of("192.0.2.2")?);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an address is of one of two kinds")]
pub enum Prefix {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(ip) => ip.fmt(f),
            Self::V6(first) => write!(f, "{}/64", Ipv6Addr::from(u128::from(*first) << 64)),
        }
    }
}

impl From<IpAddr> for Prefix {
    fn from(ip: IpAddr) -> Self {
        // An IPv4 client at a listener for both is written as an IPv6 address (RFC 4291 §2.5.5.2).
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t35_an_ipv4_address_and_an_ipv6_64_are_one_client_each() {
        let prefix = |text: &str| Prefix::from(text.parse::<IpAddr>().expect("address"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_eq!(prefix("192.0.2.1"), prefix("::ffff:192.0.2.1"));
        assert_eq!(prefix("2001:db8:0:1::1"), prefix("2001:db8:0:1:ffff::2"));
        assert_ne!(prefix("2001:db8:0:1::1"), prefix("2001:db8:0:2::1"));
        assert_eq!(prefix("2001:db8:0:1::1").to_string(), "2001:db8:0:1::/64");
    }
}
