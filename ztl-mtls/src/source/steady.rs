//! When changed content may be taken: two reads, a moment apart, must agree (T6).

use sha2::{Digest, Sha256};

/// SHA-256 over the lengths and bytes of some files.
pub(crate) type Content = [u8; 32];

pub(crate) fn content_of(files: &[&[u8]]) -> Content {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(Sha256::digest(file));
    }
    hash.finalize().into()
}

/// What a read means, given the reads before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The content in use.
    Known,
    /// New content, seen for the first time: it may be half written.
    Unsettled,
    /// New content, seen twice in a row, or the first of all.
    Settled,
}

/// Remembers the content in use and the one seen last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steady {
    taken: Option<Content>,
    seen: Option<Content>,
}

impl Steady {
    pub(crate) fn observe(&mut self, content: Content) -> Seen {
        let before = self.seen.replace(content);
        if self.taken == Some(content) {
            Seen::Known
        } else if before == Some(content) || self.taken.is_none() {
            Seen::Settled
        } else {
            Seen::Unsettled
        }
    }

    pub(crate) fn take(&mut self, content: Content) {
        self.taken = Some(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_new_content_is_taken_at_its_second_read_in_a_row() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| content_of(&[bytes]));
        let mut steady = Steady::default();
        steady.take(a);
        let seen = [a, b, c, b, b, a, b].map(|content| steady.observe(content));
        use Seen::{Known, Settled, Unsettled};
        assert_eq!(
            seen,
            [
                Known, Unsettled, Unsettled, Unsettled, Settled, Known, Unsettled
            ]
        );
    }

    #[test]
    fn content_knows_where_files_end() {
        assert_ne!(content_of(&[b"ab", b"c"]), content_of(&[b"a", b"bc"]));
    }
}
