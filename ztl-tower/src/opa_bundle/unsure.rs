//! What could not be withdrawn, and is to be tried again (law 1).

use core::time::Duration;

use tokio::time::Instant;

use crate::refresh::LONGEST_SLEEP;

/// How soon it is tried again for the first time.
const FIRST: Duration = Duration::from_millis(250);

/// Withdrawing a bundle panicked: nobody knows what of it is in force. It is tried again, soon at first and then less and less often, whatever
/// becomes of the next bundle: one that is too old, or half of one, is not to decide for as long as no other comes.
pub(super) struct Unsure {
    /// What the panic said.
    over: String,
    wait: Duration,
    next: Instant,
}

impl Unsure {
    /// It panicked, over this; and before, where it did.
    pub(super) fn after(before: Option<Self>, over: String) -> Self {
        let wait = before.map_or(FIRST, |it| it.wait.saturating_mul(2).min(LONGEST_SLEEP));
        Self {
            over,
            wait,
            next: Instant::now() + wait,
        }
    }

    /// How long until it is tried again.
    pub(super) fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// What is wrong, with this besides.
    pub(super) fn says(&self, wrong: Option<String>) -> String {
        let over = &self.over;
        let broke = wrong.map_or_else(
            || "withdrawing it broke off".to_owned(),
            |wrong| format!("{wrong}; withdrawing it broke off as well"),
        );
        format!("{broke}, over `{over}`: what is in force is not known")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_1_it_is_tried_again_soon_and_then_less_and_less_often() {
        let mut begun = Instant::now();
        let mut unsure = Unsure::after(None, "a bug".to_owned());
        let mut expected = FIRST;
        for _ in 0..20 {
            assert!(unsure.next >= begun + expected && unsure.left() <= expected);
            begun = Instant::now();
            unsure = Unsure::after(Some(unsure), "a bug".to_owned());
            expected = (expected * 2).min(LONGEST_SLEEP);
        }
        assert!(unsure.left() <= LONGEST_SLEEP && expected == LONGEST_SLEEP);
        unsure.next = Instant::now();
        assert_eq!(unsure.left(), Duration::ZERO);
    }
}
