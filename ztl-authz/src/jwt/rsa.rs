//! Which RSA keys are fit to trust.

use super::key::KeyError;

/// RFC 7518 §3.3 asks for at least this.
const MIN_BITS: usize = 2048;
/// Above this, a signature costs more than a token is worth.
const MAX_BITS: usize = 8192;

/// Checks modulus and exponent, both big-endian.
pub(super) fn check(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyError> {
    let bits = bits(modulus).ok_or(KeyError::Member("n"))?;
    if bits < MIN_BITS {
        return Err(KeyError::RsaTooShort { bits });
    }
    if bits > MAX_BITS {
        return Err(KeyError::RsaTooLong { bits });
    }
    // RFC 8017 §3.1: odd and at least 3. The upper bound keeps verification cheap.
    let exponent_bits = self::bits(exponent).ok_or(KeyError::Member("e"))?;
    if !is_odd(exponent) || !(2..=33).contains(&exponent_bits) {
        return Err(KeyError::RsaExponent);
    }
    if !is_odd(modulus) || is_roca(modulus) {
        return Err(KeyError::RsaWeak);
    }
    Ok(())
}

/// Modulus and exponent of a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7, RFC 8017 §A.1.1), big-endian; none where it has not the form
/// of an RSA key. That it is DER in all else is for whoever verifies with it.
#[cfg(feature = "bundle")]
pub(super) fn of_spki(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const BITS: u8 = 0x03;
    let (info, _) = element(SEQUENCE, spki)?;
    let (_algorithm, info) = element(SEQUENCE, info)?;
    let (bits, _) = element(BITS, info)?;
    let (key, _) = element(SEQUENCE, bits.strip_prefix(&[0])?)?;
    let (modulus, key) = element(INTEGER, key)?;
    let (exponent, _) = element(INTEGER, key)?;
    // A first octet of zeros keeps the number from being negative (X.690 §8.3.3).
    let positive = |number| <[u8]>::strip_prefix(number, &[0]).unwrap_or(number);
    Some((positive(modulus), positive(exponent)))
}

/// What an element of this kind holds, and what comes after it (X.690 §8.1).
#[cfg(feature = "bundle")]
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([found, length], rest) = der.split_first_chunk::<2>()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 | 0x82 => {
            let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = octets.iter().fold(0, |sum, it| sum << 8 | usize::from(*it));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|byte| byte & 1 == 1)
}

/// How many bits a number has; `None` for zero and for one written with a leading zero octet (RFC 7518 §2).
fn bits(number: &[u8]) -> Option<usize> {
    let first = number.first().filter(|first| **first != 0)?;
    let unused = usize::try_from(first.leading_zeros()).ok()?;
    number.len().checked_mul(8)?.checked_sub(unused)
}

/// Whether a modulus bears the mark of CVE-2017-15361: its primes are powers of 65537 modulo many small primes, and so is
/// the modulus. Such keys can be factored; another key bears the mark with a probability that is next to nothing.
fn is_roca(modulus: &[u8]) -> bool {
    ODD_PRIMES.iter().all(|&prime| {
        let residue = modulus
            .iter()
            .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * 65_537 % prime;
            power == residue
        })
    })
}

/// The odd primes below 168.
const ODD_PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

#[cfg(test)]
mod tests {
    use super::*;

    const F4: &[u8] = &[1, 0, 1];

    /// An odd modulus of this many bits.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut n = vec![0xa7; bits / 8];
        n[0] = 0xc1;
        n
    }

    #[test]
    fn rule62_the_modulus_has_2048_to_8192_bits() {
        assert_eq!(check(&modulus(2048), F4), Ok(()));
        assert_eq!(check(&modulus(8192), F4), Ok(()));
        let mut short = modulus(2048);
        short[0] = 0x7f;
        assert_eq!(check(&short, F4), Err(KeyError::RsaTooShort { bits: 2047 }));
        assert_eq!(
            check(&modulus(8200), F4),
            Err(KeyError::RsaTooLong { bits: 8200 })
        );
        assert_eq!(check(&[], F4), Err(KeyError::Member("n")));
        assert_eq!(check(&[0; 256], F4), Err(KeyError::Member("n")));
        let mut padded = modulus(2048);
        padded.insert(0, 0);
        assert_eq!(check(&padded, F4), Err(KeyError::Member("n")));
    }

    #[test]
    fn the_exponent_is_odd_and_of_use() {
        let n = modulus(2048);
        assert_eq!(check(&n, &[3]), Ok(()));
        for e in [&[1][..], &[2], &[1, 0, 0], &[4, 0, 0, 0, 1]] {
            assert_eq!(check(&n, e), Err(KeyError::RsaExponent), "{e:?}");
        }
        for e in [&[][..], &[0], &[0, 3]] {
            assert_eq!(check(&n, e), Err(KeyError::Member("e")), "{e:?}");
        }
    }

    #[test]
    fn an_even_modulus_and_a_marked_one_are_weak() {
        let mut even = modulus(2048);
        even[255] = 0xa6;
        assert_eq!(check(&even, F4), Err(KeyError::RsaWeak));
        // 65537 to the power of 128 has 2049 bits and bears the mark by construction.
        let mut marked = vec![1_u8];
        for _ in 0..128 {
            marked = times_f4(&marked);
        }
        assert_eq!(check(&marked, F4), Err(KeyError::RsaWeak));
    }

    /// `number` * 65537 = `number` << 16 + `number`, big-endian.
    fn times_f4(number: &[u8]) -> Vec<u8> {
        let mut product = number.to_vec();
        product.extend([0, 0]);
        let mut carry = 0;
        for back in 0..product.len() {
            let at = product.len() - 1 - back;
            let add = number.len().checked_sub(back + 1).map_or(0, |i| number[i]);
            let sum = u16::from(product[at]) + u16::from(add) + carry;
            product[at] = sum.to_be_bytes()[1];
            carry = sum >> 8;
        }
        if carry > 0 {
            product.insert(0, carry.to_be_bytes()[1]);
        }
        product
    }
}
