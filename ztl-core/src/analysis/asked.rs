//! One action for everything that a set of action patterns tells apart.

use serde_json::{Map, Value};

use crate::action::{Action, Method};
use crate::policy::{ActionPattern, PathSpace, TooMany};

/// What is asked for, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    /// Nothing but the flow.
    Flow,
    Connect,
    Request {
        method: Method,
        path: String,
        upgrade: Option<String>,
    },
}

impl Asked {
    /// None for the flow alone, and for a path that is longer than any request's.
    pub(crate) fn action(&self) -> Option<Action<'_>> {
        match self {
            Self::Flow => None,
            Self::Connect => Some(Action::Connect),
            Self::Request {
                method,
                path,
                upgrade,
            } => {
                let action = Action::request(method.as_str(), path).ok()?;
                Some(match upgrade {
                    Some(token) => action.with_upgrade(token),
                    None => action,
                })
            }
        }
    }

    /// Writes it into a decide request.
    pub(crate) fn write(&self, request: &mut Map<String, Value>) {
        match self {
            Self::Flow => {}
            Self::Connect => {
                request.insert("action".to_owned(), "connect".into());
            }
            Self::Request {
                method,
                path,
                upgrade,
            } => {
                request.insert("method".to_owned(), method.as_str().into());
                request.insert("path".to_owned(), path.as_str().into());
                if let Some(token) = upgrade {
                    let headers = serde_json::json!({ "upgrade": token });
                    request.insert("headers".to_owned(), headers);
                }
            }
        }
    }
}

/// The patterns of which actions are made up.
#[derive(Default)]
pub(crate) struct ActionSpace {
    paths: PathSpace,
    methods: Vec<Method>,
    upgrades: Vec<String>,
    /// A pattern takes methods that it does not name.
    any: bool,
    connect: bool,
}

impl ActionSpace {
    /// Takes in a pattern, none for one of every action; `sought` where actions that it speaks of are wanted.
    pub(crate) fn add(&mut self, pattern: Option<&ActionPattern>, sought: bool) {
        // Every forbid speaks of raw bytes.
        self.connect |= sought;
        let Some(pattern) = pattern else {
            self.paths.add_everything(sought);
            return;
        };
        self.paths.add(pattern, sought);
        match pattern {
            ActionPattern::Http { methods, .. } => {
                self.methods.extend(
                    Method::NAMED
                        .into_iter()
                        .filter(|one| methods.contains(*one)),
                );
            }
            ActionPattern::Grpc { .. } => self.methods.push(Method::Post),
            ActionPattern::WebSocket(_) => self.upgrades.push("websocket".to_owned()),
            ActionPattern::Upgrade { token, .. } => self.upgrades.push(token.to_string()),
            ActionPattern::Any => self.any = true,
            ActionPattern::Connect => {}
        }
    }

    /// An action of every kind that a sought pattern could speak of and that some rule could permit.
    ///
    /// A method that no pattern names is permitted by `any` alone, and then like any other such method; an upgrade that none
    /// names is never permitted, and none is asked for with another method than `GET`.
    pub(crate) fn actions(mut self, most: usize) -> Result<Vec<Asked>, TooMany> {
        if self.any {
            let unnamed = Method::NAMED
                .into_iter()
                .find(|method| *method != Method::Head && !self.methods.contains(method));
            self.methods.extend(unnamed);
        }
        self.methods.sort();
        self.methods.dedup();
        self.upgrades.sort();
        self.upgrades.dedup();
        let kinds = (self.methods.len() + self.upgrades.len()).max(1);
        let paths = self.paths.paths(most / kinds)?;
        let mut actions = Vec::new();
        if self.connect {
            actions.push(Asked::Connect);
        }
        for path in &paths {
            let plain = self.methods.iter().map(|method| (*method, None));
            let upgrades = self.upgrades.iter();
            let upgrades = upgrades.map(|token| (Method::Get, Some(token.clone())));
            actions.extend(plain.chain(upgrades).map(|(method, upgrade)| {
                let path = path.clone();
                Asked::Request {
                    method,
                    path,
                    upgrade,
                }
            }));
        }
        Ok(actions)
    }
}
