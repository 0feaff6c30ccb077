//! Choices that are read from bytes: the same bytes, the same choices.

/// Bytes that choose, one at a time. Where they end the first of everything is chosen, and nothing that is said to be seldom.
#[derive(Clone, Debug)]
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `count`, of which there are at most 256.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(*first) * count / 256
    }

    /// Once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        times > 0 && self.below(times) == times - 1
    }

    pub(crate) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// One of them, or seldom two or three.
    pub(crate) fn some<T: Clone + PartialEq>(&mut self, of: &[T]) -> Vec<T> {
        let mut chosen = vec![self.one(of)];
        while chosen.len() < 3 && self.once_in(3) {
            let more = self.one(of);
            if !chosen.contains(&more) {
                chosen.push(more);
            }
        }
        chosen
    }
}
