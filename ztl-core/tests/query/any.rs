//! What holds for any text.

use proptest::prelude::*;
use serde_json::json;
use ztl_core::Verdict;
use ztl_core::policy::Query;

use super::{NOW, ask, policy};

proptest! {
    #[test]
    fn any_text_is_an_answer_or_an_error(text in r#"[ -~é\u{202e}\n]{0,60}"#) {
        if let Ok(query) = Query::from_json(&text) {
            let _ = query.decide(&policy(), NOW);
        }
    }

    /// Law 3: the same question has the same answer, and a text in any place opens nothing that a rule does not name.
    #[test]
    fn no_text_opens_what_no_rule_names(
        from in "[a-z:/.]{0,20}", to in "[a-z:/.]{0,20}", method in "[A-Za-z]{0,6}", path in "[ -~]{0,20}", header in "[ -~]{0,10}",
    ) {
        let request = json!({ "from": from, "to": to, "method": method, "path": path, "headers": { "upgrade": header } });
        let (one, two) = (ask(&request), ask(&request));
        prop_assert_eq!(&one, &two);
        if let Ok(decision) = one {
            prop_assert!(decision.verdict == Verdict::Deny || from == "client", "{request}");
        }
    }
}
