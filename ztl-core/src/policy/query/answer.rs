//! A decision as `ztl decide` prints it.

use core::fmt::Write as _;

use serde_json::Value;

use crate::decision::Decision;

/// The decision as one JSON object on one line, its keys always there and always in this order: `verdict`, `stage`,
/// `reason`, `rule` (`null` where no rule came near), `shadow` (a list of `{"rule", "would"}`).
#[must_use]
pub fn decision_json(decision: &Decision) -> String {
    let Decision {
        verdict,
        stage,
        reason,
        rule,
        shadow,
        ..
    } = decision;
    let rule = rule.as_deref().map_or(Value::Null, Value::from);
    let mut out = format!(
        r#"{{"verdict":"{verdict}","stage":"{stage}","reason":"{reason}","rule":{rule},"shadow":["#
    );
    for (at, outcome) in shadow.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let rule = Value::from(&*outcome.rule);
        // Writing to a `String` cannot fail.
        let _ = write!(
            out,
            r#"{comma}{{"rule":{rule},"would":"{}"}}"#,
            outcome.would
        );
    }
    out.push_str("]}");
    out
}
