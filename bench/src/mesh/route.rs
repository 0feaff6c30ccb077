//! What one target answers to.

use super::Pattern;
use crate::random::Random;

const RESOURCES: [&str; 14] = [
    "models",
    "users",
    "orders",
    "carts",
    "items",
    "invoices",
    "sessions",
    "features",
    "reports",
    "jobs",
    "tokens",
    "accounts",
    "shipments",
    "events",
];
const VERBS: [&str; 8] = [
    "infer", "cancel", "status", "history", "refund", "batch", "export", "versions",
];

/// Ten routes of ten resources: exact ones, whole trees, templates. One exact route stands inside a tree and one is what a
/// template could match, so that routes overlap as they do in services.
pub(super) fn routes(random: &mut Random) -> [Pattern; 10] {
    let first = random.below(RESOURCES.len());
    let base = |at: usize| {
        let resource = RESOURCES[(first + at) % RESOURCES.len()];
        format!("/v{}/{resource}", 1 + at % 2)
    };
    let mut verb = || *random.pick(&VERBS);
    let (tree, model) = (base(1), format!("{}/{{id}}/{}", base(2), verb()));
    [
        Pattern::Exact(base(0)),
        Pattern::Exact(format!("{tree}/daily")),
        Pattern::Below(tree),
        Pattern::Exact(model.replace("{id}", "default")),
        Pattern::Template(model),
        Pattern::Template(format!("{}/{{id}}/{}/{{part}}", base(3), verb())),
        Pattern::Exact(format!("{}/{}/summary", base(4), verb())),
        Pattern::Exact(base(5)),
        Pattern::Below(base(6)),
        Pattern::Template(format!("{}/{{id}}/{}", base(7), verb())),
    ]
}
