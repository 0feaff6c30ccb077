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
    /// What is wrong besides, as it was said last.
    wrong: Option<String>,
    wait: Duration,
    next: Instant,
}

impl Unsure {
    /// Withdrawing it went so, for the first time or once more.
    pub(super) fn note(of: &mut Option<Self>, withdrawn: &Result<(), String>) {
        let before = of.take();
        *of = (withdrawn.as_ref().err()).map(|over| Self::after(before, over.clone()));
    }

    /// It panicked, over this; and before, where it did.
    fn after(before: Option<Self>, over: String) -> Self {
        let (wait, wrong) = before.map_or((FIRST, None), |it| {
            (it.wait.saturating_mul(2).min(LONGEST_SLEEP), it.wrong)
        });
        Self {
            over,
            wrong,
            wait,
            next: Instant::now() + wait,
        }
    }

    /// How long until it is tried again.
    pub(super) fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// What was wrong besides, when that was said last: it is so once it is withdrawn, too.
    pub(super) fn wrong(&self) -> Option<String> {
        self.wrong.clone()
    }

    /// All that is wrong, where this is; where nothing is said to be, what was said last is.
    pub(super) fn beside(of: &mut Option<Self>, wrong: Option<String>) -> Option<String> {
        let Some(unsure) = of else {
            return wrong;
        };
        unsure.wrong = wrong.or(unsure.wrong.take());
        let broke = unsure.wrong.as_ref().map_or_else(
            || "withdrawing it broke off".to_owned(),
            |wrong| format!("{wrong}; withdrawing it broke off as well"),
        );
        let over = &unsure.over;
        Some(format!(
            "{broke}, over `{over}`: what is in force is not known"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_1_it_is_tried_again_soon_and_then_less_and_less_often() {
        let panicked = Err("a bug".to_owned());
        let mut unsure = None;
        let mut expected = FIRST;
        for _ in 0..20 {
            let begun = Instant::now();
            Unsure::note(&mut unsure, &panicked);
            let unsure = unsure.as_ref().expect("it panicked");
            assert!(unsure.next >= begun + expected && unsure.left() <= expected);
            expected = (expected * 2).min(LONGEST_SLEEP);
        }
        assert_eq!(expected, LONGEST_SLEEP);
        let last = unsure.as_mut().expect("it panicked");
        last.next = Instant::now();
        assert_eq!(last.left(), Duration::ZERO);
        Unsure::note(&mut unsure, &Ok(()));
        assert!(unsure.is_none());
    }

    #[test]
    fn what_was_wrong_is_said_until_something_else_is() {
        let panicked = Err("a bug".to_owned());
        let mut unsure = None;
        assert_eq!(Unsure::beside(&mut unsure, None), None);
        let down = || Some("the server is down".to_owned());
        assert_eq!(Unsure::beside(&mut unsure, down()), down());
        Unsure::note(&mut unsure, &panicked);
        let said = Unsure::beside(&mut unsure, None).expect("it panicked");
        assert!(said.starts_with("withdrawing it broke off, over `a bug`"));
        let both = Unsure::beside(&mut unsure, down()).expect("it panicked");
        let parts = ["the server is down; ", "broke off as well, over `a bug`"];
        assert!(parts.iter().all(|part| both.contains(part)), "{both}");
        Unsure::note(&mut unsure, &panicked);
        assert_eq!(Unsure::beside(&mut unsure, None), Some(both));
        assert_eq!(unsure.as_ref().and_then(Unsure::wrong), down());
        let other = Unsure::beside(&mut unsure, Some("no signature".to_owned()));
        assert!(other.is_some_and(|it| it.starts_with("no signature; ")));
        Unsure::note(&mut unsure, &Ok(()));
        assert_eq!(Unsure::beside(&mut unsure, None), None);
    }
}
