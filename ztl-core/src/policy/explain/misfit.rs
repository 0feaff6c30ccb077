//! In what an action differs from a pattern of a permit.

use crate::action::{Action, Method, Resource, Upgrade};
use crate::clause::Clause;
use crate::policy::pattern::ActionPattern;
use crate::policy::template::Template;

/// The aspects of an action that a pattern does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Misfit {
    /// Raw bytes against requests: nothing else can be compared.
    pub(super) action: bool,
    pub(super) upgrade: bool,
    pub(super) method: bool,
    pub(super) path: bool,
}

impl Misfit {
    /// What keeps the pattern from naming the action; nothing where it [`permits`](ActionPattern::permits) it.
    pub(super) fn of(pattern: &ActionPattern, action: &Action<'_>) -> Self {
        let other = Self {
            action: true,
            ..Self::default()
        };
        match (pattern, action.resource()) {
            (ActionPattern::Connect, None) => Self::default(),
            (ActionPattern::Connect, Some(_)) | (_, None) => other,
            (pattern, Some(resource)) => Self {
                action: false,
                upgrade: !fits_upgrade(pattern, resource.upgrade()),
                method: !fits_method(pattern, resource.method()),
                path: !fits_path(pattern, resource),
            },
        }
    }

    /// The first aspect that differs.
    pub(super) const fn first(self) -> Option<Clause> {
        if self.action {
            Some(Clause::Action)
        } else if self.upgrade {
            Some(Clause::Upgrade)
        } else if self.method {
            Some(Clause::Method)
        } else if self.path {
            Some(Clause::Path)
        } else {
            None
        }
    }

    /// How many aspects differ: of three, or all of them.
    pub(super) const fn count(self) -> usize {
        if self.action {
            return 3;
        }
        let mut count = 0;
        if self.upgrade {
            count += 1;
        }
        if self.method {
            count += 1;
        }
        if self.path {
            count += 1;
        }
        count
    }
}

fn fits_upgrade(pattern: &ActionPattern, asked: Option<Upgrade<'_>>) -> bool {
    match (pattern, asked) {
        (ActionPattern::WebSocket(_), asked) => asked == Some(Upgrade::WebSocket),
        (ActionPattern::Upgrade { token, .. }, Some(Upgrade::Other(asked))) => {
            token.eq_ignore_ascii_case(asked)
        }
        (ActionPattern::Upgrade { .. }, _) => false,
        (_, asked) => asked.is_none(),
    }
}

fn fits_method(pattern: &ActionPattern, method: Method) -> bool {
    match pattern {
        ActionPattern::Http { methods, .. } => methods.contains(method),
        ActionPattern::Grpc { .. } => method == Method::Post,
        ActionPattern::WebSocket(_) | ActionPattern::Upgrade { .. } => method == Method::Get,
        ActionPattern::Any => !matches!(method, Method::Head | Method::Other),
        ActionPattern::Connect => false,
    }
}

fn fits_path(pattern: &ActionPattern, resource: &Resource<'_>) -> bool {
    match pattern {
        ActionPattern::Grpc { service, method } => {
            Template::of_grpc(service, method.as_deref()).matches(resource.path())
        }
        pattern => pattern
            .template()
            .is_none_or(|path| path.matches(resource.path())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing differs exactly where the pattern permits.
    #[test]
    fn a_misfit_is_what_is_not_permitted() {
        let patterns = [
            "GET /a",
            "GET,HEAD /{x}",
            "POST /s/{*rest}",
            "grpc s/a",
            "grpc s/*",
            "websocket /a",
            "upgrade:x /a",
            "connect",
            "any",
        ];
        let methods = Method::NAMED.map(Method::as_str);
        let mut actions = vec![Action::Connect];
        for method in methods.into_iter().chain(["TRACE"]) {
            for path in ["/a", "/s/a", "/s/%61", "/s/", "/"] {
                let Ok(action) = Action::request(method, path) else {
                    continue;
                };
                actions.extend([
                    action,
                    action.with_upgrade("websocket"),
                    action.with_upgrade("x"),
                ]);
            }
        }
        let mut fits = 0;
        for pattern in patterns.map(|text| ActionPattern::parse(text).expect("a pattern")) {
            for action in &actions {
                let misfit = Misfit::of(&pattern, action);
                let permits = pattern.permits(action);
                assert_eq!(misfit.first().is_none(), permits, "{pattern} {action}");
                assert_eq!(misfit.count() == 0, permits, "{pattern} {action}");
                fits += usize::from(permits);
            }
        }
        assert!(fits > 20, "{fits}");
    }
}
