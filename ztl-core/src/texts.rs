//! Texts that are looked up on the path of a decision: hashed once, and compared without a call.

use core::fmt;
use core::hash::BuildHasher;
use std::sync::{Arc, LazyLock};

/// The hash of a text, the same wherever this process asks for it and nowhere else, so that it can be kept beside the text.
#[inline]
pub(crate) fn hash(text: &str) -> u64 {
    static STATE: LazyLock<foldhash::fast::RandomState> = LazyLock::new(Default::default);
    STATE.hash_one(text)
}

/// Whether two texts are the same. They are short, and sixteen bytes at a time beat a call. Their ends are looked at first:
/// names of one kind mostly begin alike.
#[inline]
pub(crate) fn same(one: &[u8], two: &[u8]) -> bool {
    if one.len() != two.len() {
        return false;
    }
    if let (Some(one_end), Some(two_end)) = (one.last_chunk::<16>(), two.last_chunk::<16>()) {
        let ((one, _), (two, _)) = (one.as_chunks::<16>(), two.as_chunks::<16>());
        one_end == two_end && one.iter().zip(two).all(|(one, two)| one == two)
    } else {
        // Two chunks that overlap hold all bytes of what is no shorter than one and no longer than both.
        (both_ends::<8>(one, two))
            .or_else(|| both_ends::<4>(one, two))
            .unwrap_or_else(|| one.iter().zip(two).all(|(one, two)| one == two))
    }
}

/// Whether two texts of one length begin and end with the same so many bytes; none where they are shorter.
#[inline(always)]
fn both_ends<const LENGTH: usize>(one: &[u8], two: &[u8]) -> Option<bool> {
    let ends_alike = one.last_chunk::<LENGTH>()? == two.last_chunk()?;
    Some(ends_alike && one.first_chunk::<LENGTH>()? == two.first_chunk()?)
}

/// What each of some texts stands for. Its texts are the policy's own, so nobody else can make them collide.
pub(crate) struct Texts<V> {
    entries: Vec<(Arc<str>, V)>,
    /// A power of two of them, at most half of them taken, or none at all.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// The upper half of the hash; the lower half says from where on to look.
    tag: u32,
    /// Counted from 1; 0 where nothing is.
    entry: u32,
}

impl<V: Copy> Texts<V> {
    /// What a text stands for, by its [`hash()`].
    #[inline]
    pub(crate) fn get(&self, text: &str, hash: u64) -> Option<V> {
        let (tag, mut at) = halves(hash);
        let mask = self.slots.len().checked_sub(1)?;
        loop {
            let slot = self.slots.get(at & mask)?;
            let entry = usize::try_from(slot.entry.checked_sub(1)?).ok()?;
            if slot.tag == tag
                && let Some((known, value)) = self.entries.get(entry)
                && same(known.as_bytes(), text.as_bytes())
            {
                return Some(*value);
            }
            at = at.wrapping_add(1);
        }
    }

    /// Takes in a text that is not there yet.
    pub(crate) fn insert(&mut self, text: Arc<str>, value: V) {
        self.entries.push((text, value));
        if self.entries.len() * 2 > self.slots.len() {
            let slots = (self.entries.len() * 2).next_power_of_two();
            self.slots = vec![Slot::default(); slots];
            for at in 0..self.entries.len() {
                self.place(at);
            }
        } else {
            self.place(self.entries.len() - 1);
        }
    }

    fn place(&mut self, entry: usize) {
        let Some((text, _)) = self.entries.get(entry) else {
            return;
        };
        let (tag, mut at) = halves(hash(text));
        let mask = self.slots.len().saturating_sub(1);
        while let Some(slot) = self.slots.get_mut(at & mask) {
            if slot.entry == 0 {
                let entry = u32::try_from(entry + 1).unwrap_or_default();
                *slot = Slot { tag, entry };
                return;
            }
            at += 1;
        }
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<V: Copy> FromIterator<(Arc<str>, V)> for Texts<V> {
    /// Of texts that are all different.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, V)>>(texts: I) -> Self {
        let mut all = Self::default();
        for (text, value) in texts {
            all.insert(text, value);
        }
        all.entries.shrink_to_fit();
        all
    }
}

impl<V> Default for Texts<V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            slots: Vec::new(),
        }
    }
}

impl<V> fmt::Debug for Texts<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.entries.iter().map(|(text, _)| text))
            .finish()
    }
}

/// The upper half, and the lower.
#[inline]
fn halves(hash: u64) -> (u32, usize) {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
    let low = usize::try_from(half(hash)).unwrap_or_default();
    (half(hash >> 32), low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_and_no_other() {
        let text = |number: usize| format!("{}{number}", "x".repeat(number % 23));
        let texts: Texts<usize> = (0..1000)
            .map(|number| (Arc::from(text(number)), number))
            .collect();
        for number in 0..2000 {
            let text = text(number);
            let found = texts.get(&text, hash(&text));
            assert_eq!(found, (number < 1000).then_some(number), "{text}");
            assert_eq!(texts.get("other", hash(&text)), None);
        }
        assert_eq!(Texts::<u8>::default().get("", hash("")), None);
    }

    #[test]
    fn the_same_is_the_same_at_every_length() {
        for length in 0..40 {
            let one: Vec<u8> = (0..length).collect();
            assert!(same(&one, &one.clone()));
            for at in 0..one.len() {
                let mut two = one.clone();
                two[at] ^= 0x80;
                assert!(!same(&one, &two), "{length} {at}");
                assert!(!same(&one, &one[..at]));
            }
        }
    }
}
