//! A decision as `ztl decide` prints it.

use core::fmt::Write as _;

use serde_json::Value;

use crate::decision::Decision;
use crate::obligation::Obligations;

/// The decision as one JSON object on one line, its keys always there and always in this order: `verdict`, `stage`,
/// `reason`, `rule` (`null` where no rule came near), `shadow` (a list of `{"rule", "would"}`). Where the permit that
/// decided has obligations, `obligations` follows with them.
#[must_use]
pub fn decision_json(decision: &Decision) -> String {
    let Decision {
        verdict,
        stage,
        reason,
        rule,
        shadow,
        obligations,
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
    out.push(']');
    if !obligations.is_empty() {
        out.push_str(",\"obligations\":");
        out.push_str(&obligations_json(obligations).to_string());
    }
    out.push('}');
    out
}

/// The obligations, each under the key that it has in a document.
pub(crate) fn obligations_json(obligations: &Obligations) -> Value {
    let log = obligations.log().map(|fields| match fields {
        [] => Value::Bool(true),
        fields => fields.iter().map(|field| Value::from(&**field)).collect(),
    });
    let limit = obligations.limit().map(|limit| Value::from(&*limit.name));
    let entries = [
        ("limit", limit),
        ("schema", obligations.schema().map(Value::from)),
        ("max_body", obligations.max_body().map(Value::from)),
        ("log", log),
    ];
    let entries = entries.into_iter();
    entries
        .filter_map(|(key, value)| value.map(|value| (key.to_owned(), value)))
        .collect()
}
