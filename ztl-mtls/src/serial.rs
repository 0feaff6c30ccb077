//! Serial numbers, which name a certificate only together with its issuer.

/// A serial number without leading zeros: the octets of the INTEGER as they stand have one where the first bit is set.
pub(crate) fn significant(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|octet| **octet == 0).count();
    serial.get(zeros..).unwrap_or_default()
}
