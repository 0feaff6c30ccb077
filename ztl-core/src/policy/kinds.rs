//! Which kinds of action patterns could name, so that a rule that cannot is passed over at once.

use crate::action::{Action, Method, Methods};

use super::document::Effect;
use super::pattern::ActionPattern;

/// Some kinds of action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    /// Requests with these methods that ask for no upgrade.
    methods: Methods,
    /// Upgrades, raw bytes, and methods that no rule can name.
    others: bool,
}

impl Kinds {
    const ALL: Self = Self {
        methods: Methods::ALL,
        others: true,
    };

    /// The kind that an action is of.
    pub(crate) fn of(action: &Action<'_>) -> Self {
        let methods = match action.resource() {
            Some(resource) if resource.upgrade().is_none() => Methods::of(resource.method()),
            _ => Methods::default(),
        };
        Self {
            methods,
            others: methods.is_empty(),
        }
    }

    /// The kinds that a rule's patterns could name.
    pub(crate) fn named_by(effect: Effect, patterns: &[ActionPattern]) -> Self {
        let named = |pattern: &ActionPattern| match (effect, pattern) {
            (Effect::Permit, ActionPattern::Http { methods, .. }) => Self {
                methods: *methods,
                others: false,
            },
            (Effect::Permit, ActionPattern::Grpc { .. }) => Self {
                methods: Methods::of(Method::Post),
                others: false,
            },
            // A forbid covers more than it names (rule 45, T20).
            _ => Self::ALL,
        };
        patterns.iter().map(named).fold(Self::default(), Self::or)
    }

    /// Whether a kind is in both.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.methods.meets(other.methods) || self.others && other.others
    }

    const fn or(self, other: Self) -> Self {
        Self {
            methods: self.methods.union(other.methods),
            others: self.others || other.others,
        }
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
