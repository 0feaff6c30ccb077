//! Action patterns: what a pattern permits it also forbids, and a pattern is written back as it was meant.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ztl_core::Action;
use ztl_core::policy::ActionPattern;

/// A pattern, and a request that may or may not be covered by it.
#[derive(Arbitrary, Debug)]
struct Case<'a> {
    pattern: &'a str,
    method: Option<&'a str>,
    target: Option<&'a str>,
    upgrade: Option<&'a str>,
}

fuzz_target!(|case: Case<'_>| {
    let Ok(pattern) = ActionPattern::parse(case.pattern) else {
        return;
    };
    let written = pattern.to_string();
    assert_eq!(
        ActionPattern::parse(&written).as_ref(),
        Ok(&pattern),
        "{written}"
    );

    // Where the input names no method or target, take those of the pattern, so that it often matches.
    let (verb, path) = case.pattern.split_once(' ').unwrap_or(("GET", "/"));
    let method = case
        .method
        .unwrap_or(verb.split(',').next().unwrap_or(verb));
    let request = Action::request(method, case.target.unwrap_or(path));
    let mut actions = vec![Action::Connect];
    if let Ok(request) = request {
        actions.push(request);
        actions.push(request.with_upgrade("websocket"));
        actions.extend(case.upgrade.map(|token| request.with_upgrade(token)));
    }
    for action in &actions {
        assert!(
            !pattern.permits(action) || pattern.forbids(action),
            "{pattern} permits {action} and does not forbid it"
        );
        let Some(resource) = action.resource() else {
            continue;
        };
        if let Some(template) = pattern.template() {
            let params = template.params(resource.path());
            assert_eq!(params.is_some(), template.matches(resource.path()));
            assert!(
                params
                    .unwrap_or_default()
                    .iter()
                    .all(|(name, value)| !name.is_empty() && !value.is_empty())
            );
        }
        // CONNECT and methods that no rule can name are never permitted (rule 44).
        assert!(ztl_core::Method::NAMED.contains(&resource.method()) || !pattern.permits(action));
        assert!(
            resource.upgrade().is_none()
                || pattern.template().is_some()
                || !pattern.permits(action)
        );
    }
});
