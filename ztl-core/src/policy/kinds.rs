//! Which kinds of action patterns could name, so that a rule that cannot is passed over at once.

use crate::action::{Action, Method, Methods};

use super::document::Effect;
use super::pattern::ActionPattern;

/// Some kinds of action: plain requests by their method, and in the highest bit all else, which is upgrades, raw bytes and
/// methods that no rule can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

impl Kinds {
    const OTHERS: Self = Self(1 << 7);
    pub(super) const ALL: Self = Self(u8::MAX);

    /// The kind that an action is of.
    pub(crate) fn of(action: &Action<'_>) -> Self {
        let plain = (action.resource()).filter(|resource| resource.upgrade().is_none());
        match plain.map(|resource| Methods::of(resource.method())) {
            Some(methods) if !methods.is_empty() => Self(methods.bits()),
            _ => Self::OTHERS,
        }
    }

    /// The kinds that a rule's patterns could name.
    pub(crate) fn named_by(effect: Effect, patterns: &[ActionPattern]) -> Self {
        let named = |pattern: &ActionPattern| match (effect, pattern) {
            (Effect::Permit, ActionPattern::Http { methods, .. }) => Self(methods.bits()),
            (Effect::Permit, ActionPattern::Grpc { .. }) => Self(Methods::of(Method::Post).bits()),
            // A forbid covers more than it names (rule 45, T20).
            _ => Self::ALL,
        };
        patterns
            .iter()
            .map(named)
            .fold(Self::default(), |one, other| Self(one.0 | other.0))
    }

    /// One bit each.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    /// Whether a kind is in both.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever a pattern permits is of a kind that it is said to name.
    #[test]
    fn nothing_that_is_permitted_is_passed_over() {
        let patterns = [
            "GET /a",
            "GET,HEAD /a",
            "grpc s/a",
            "grpc s/*",
            "websocket /a",
            "upgrade:x /a",
            "connect",
            "any",
        ];
        let mut actions = vec![Action::Connect];
        for method in Method::NAMED
            .map(Method::as_str)
            .into_iter()
            .chain(["TRACE"])
        {
            for path in ["/a", "/s/a"] {
                let action = Action::request(method, path).expect("a path");
                actions.extend([
                    action,
                    action.with_upgrade("websocket"),
                    action.with_upgrade("x"),
                ]);
            }
        }
        let mut permitted = 0;
        for pattern in patterns.map(|text| ActionPattern::parse(text).expect("a pattern")) {
            let kinds = Kinds::named_by(Effect::Permit, core::slice::from_ref(&pattern));
            for action in actions.iter().filter(|action| pattern.permits(action)) {
                assert!(kinds.meets(Kinds::of(action)), "{pattern} {action}");
                permitted += 1;
            }
        }
        assert!(permitted >= 20, "{permitted}");
    }
}
