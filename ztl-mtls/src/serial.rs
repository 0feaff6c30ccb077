//! Unsigned numbers as octets: serial numbers, which name a certificate only together with its issuer, and parts of keys.

/// A number without leading zeros. The octets of an INTEGER in DER have one where the first bit is set.
pub(crate) fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.get(zeros..).unwrap_or_default()
}
