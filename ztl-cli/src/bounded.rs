//! Input of any shape, read within a bound.

use std::io::{self, Read};

/// All of it, but no more than a byte past the bound: what is too long is seen to be, and what never ends is not waited for.
pub(crate) fn read(input: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    input.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_seen_to_be_and_never_read_whole() {
        assert_eq!(read(&b""[..], 2).expect("read"), b"");
        assert_eq!(read(&b"ab"[..], 2).expect("read"), b"ab");
        assert_eq!(read(io::repeat(b'a'), 2).expect("read"), b"aaa");
    }
}
