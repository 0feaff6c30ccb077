//! The rules of a long list by the paths they name, segment by segment, so that judging an action walks its path and not the rules.
//!
//! What is found here may name an action; whether it does is asked of the rule itself. So the tree may find too much, and must
//! never miss one: it takes each step that [`Template::matches`](crate::policy::template::Template::matches) would take for a permit
//! and [`Template::forbids`](crate::policy::template::Template::forbids) for a forbid.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::path::{CanonicalPath, Segment};
use crate::policy::document::Effect;
use crate::policy::pattern::ActionPattern;
use crate::policy::template::{Step, Template};

/// Where rules stand in their list, in its order.
pub(super) type Places = SmallVec<[u32; 16]>;

/// Which rules of a list could name a path.
#[derive(Debug)]
pub(super) struct Paths {
    effect: Effect,
    /// The first is where every path begins.
    nodes: Box<[Node]>,
    /// Rules that name something without a path, or everything.
    always: Box<[u32]>,
}

/// One segment of some paths.
#[derive(Debug)]
struct Node {
    /// Where the next segment is this text, in the order of texts.
    texts: Box<[(Box<str>, u32)]>,
    /// Where it is a parameter.
    param: Option<u32>,
    /// Rules whose path ends here.
    here: Box<[u32]>,
    /// Rules that name all below.
    below: Box<[u32]>,
}

impl Paths {
    /// Of rules by their patterns, in the order of their list.
    pub(super) fn new<'a>(
        effect: Effect,
        rules: impl Iterator<Item = &'a [ActionPattern]>,
    ) -> Self {
        let mut drafts = vec![Draft::default()];
        let mut always = Vec::new();
        for (place, patterns) in (0..).zip(rules) {
            let mut everywhere = patterns.is_empty();
            for pattern in patterns {
                match pattern.path() {
                    Some(path) => insert(&mut drafts, effect, &path, place),
                    None => everywhere = true,
                }
            }
            if everywhere {
                always.push(place);
            }
        }
        Self {
            effect,
            nodes: drafts.into_iter().map(Node::from).collect(),
            always: always.into(),
        }
    }

    /// The rules that could name this path, each once.
    pub(super) fn about(&self, path: &CanonicalPath<'_>) -> Places {
        let mut found = Places::new();
        add(&mut found, &self.always);
        // Where text and parameter both go on, one of them waits here.
        let mut waiting: SmallVec<[(u32, Option<&str>); 8]> = SmallVec::new();
        let mut next = Some((0, path.as_str().get(1..)));
        while let Some((at, rest)) = next.take().or_else(|| waiting.pop()) {
            let Some(node) = self.node(at) else { continue };
            let Some(rest) = rest else {
                add(&mut found, &node.here);
                continue;
            };
            let (segment, rest) = first(rest);
            // A forbid covers a path with a slash more or less as well (T19).
            if segment.is_empty() && self.effect == Effect::Forbid {
                next = Some((at, rest));
                continue;
            }
            add(&mut found, &node.below);
            next = (node.text(segment, path.is_escaped())).map(|text| (text, rest));
            if let Some(param) = node.param {
                let param = (param, rest);
                match next {
                    None => next = Some(param),
                    Some(_) => waiting.push(param),
                }
            }
        }
        if found.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(usize::try_from(at).ok()?)
    }
}

/// The first segment, and what stands behind its slash.
fn first(rest: &str) -> (&str, Option<&str>) {
    let end = rest.bytes().position(|byte| byte == b'/');
    let split = end.and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?)));
    split.map_or((rest, None), |(segment, rest)| (segment, Some(rest)))
}

fn add(found: &mut Places, places: &[u32]) {
    // Mostly there are none, or one.
    for place in places {
        found.push(*place);
    }
}

impl Node {
    fn text(&self, segment: &str, is_escaped: bool) -> Option<u32> {
        let texts = &self.texts;
        let at = if is_escaped {
            let segment = Segment::new(segment);
            texts.binary_search_by(|(text, _)| segment.order(text).reverse())
        } else {
            texts.binary_search_by(|(text, _)| (**text).cmp(segment))
        };
        texts.get(at.ok()?).map(|(_, node)| *node)
    }
}

/// A node while it is filled.
#[derive(Default)]
struct Draft {
    texts: BTreeMap<Box<str>, u32>,
    param: Option<u32>,
    here: Vec<u32>,
    below: Vec<u32>,
}

impl From<Draft> for Node {
    fn from(draft: Draft) -> Self {
        Self {
            texts: draft.texts.into_iter().collect(),
            param: draft.param,
            here: draft.here.into(),
            below: draft.below.into(),
        }
    }
}

/// Adds a rule at the end of its path, and the nodes on the way.
fn insert(drafts: &mut Vec<Draft>, effect: Effect, path: &Template, place: u32) {
    let mut at = 0;
    for step in path.steps() {
        let fresh = drafts.len();
        let number = u32::try_from(fresh).unwrap_or(u32::MAX);
        let Some(draft) = drafts.get_mut(at) else {
            return;
        };
        let next = match step {
            Step::Text("") if effect == Effect::Forbid => continue,
            Step::Text(text) => *draft.texts.entry(text.into()).or_insert(number),
            Step::Param => *draft.param.get_or_insert(number),
            Step::Rest => {
                draft.below.push(place);
                return;
            }
        };
        if next == number {
            drafts.push(Draft::default());
        }
        at = usize::try_from(next).unwrap_or(usize::MAX);
    }
    if let Some(draft) = drafts.get_mut(at) {
        draft.here.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;

    const PATTERNS: [&str; 16] = [
        "GET /",
        "GET /a",
        "GET /a/",
        "POST /a/b",
        "GET /a/{x}",
        "GET /{x}/b",
        "GET /{x}/{y:int}",
        "GET /a/{*rest}",
        "GET /{*rest}",
        "grpc a/b",
        "grpc a/*",
        "websocket /a/b",
        "upgrade:t /a",
        "GET /sp%20ace/%C3%A9",
        "any",
        "connect",
    ];
    const PATHS: [&str; 16] = [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/",
        "/a/b/c",
        "/b",
        "/b/b",
        "/b/7",
        "/a/sp%20ace",
        "/sp%20ace/%C3%A9",
        "/sp%20ace/%C3%A9/",
        "/sp%20ac/%C3%A9",
        "/A",
        "/a/b/c/d/e/f/g/h/i",
        "/%C3%A9",
    ];

    /// Every rule that permits or forbids an action is found by its path, alone and among others; and what has another text in a
    /// segment is not.
    #[test]
    fn no_rule_that_names_a_path_is_missed() {
        let patterns = PATTERNS.map(|text| vec![ActionPattern::parse(text).expect(text)]);
        let both = [patterns[1][0].clone(), patterns[3][0].clone()].to_vec();
        let rules: Vec<_> = patterns.iter().cloned().chain([both, Vec::new()]).collect();
        let (mut named, mut passed) = (0, 0);
        for effect in [Effect::Permit, Effect::Forbid] {
            let paths = Paths::new(effect, rules.iter().map(Vec::as_slice));
            for method in ["GET", "HEAD", "POST", "TRACE"] {
                for path in PATHS {
                    let plain = Action::request(method, path).expect(path);
                    for action in [
                        plain,
                        plain.with_upgrade("websocket"),
                        plain.with_upgrade("t"),
                    ] {
                        let found = paths.about(action.resource().expect("a request").canonical());
                        assert!(found.windows(2).all(|two| two[0] < two[1]), "{found:?}");
                        for (place, rule) in (0..).zip(&rules) {
                            let names = rule.is_empty()
                                || rule.iter().any(|pattern| match effect {
                                    Effect::Permit => pattern.permits(&action),
                                    Effect::Forbid => pattern.forbids(&action),
                                });
                            let found = found.contains(&place);
                            assert!(found || !names, "{effect:?} {rule:?} {action}");
                            named += usize::from(names);
                            passed += usize::from(!found);
                        }
                    }
                }
            }
        }
        assert!(named > 1_000 && passed > 3_000, "{named} {passed}");
    }
}
