//! The words of a record, read back by whoever reads a log.

use super::*;
use ztl_core::audit::MemorySink;
use ztl_core::policy::Revision;
use ztl_core::{Direction, Stage, Verdict};

#[test]
fn what_a_record_holds_is_read_back() {
    let audit = Arc::new(MemorySink::new(10));
    let engine = engine(Arc::clone(&audit));
    assert_eq!(permit(&engine), Ok(()));
    deny(&engine);
    for line in audit.lines() {
        let record: Value = serde_json::from_str(&line).expect("json");
        let text = |key: &str| record[key].as_str().expect("a text").to_owned();
        assert_eq!(text("revision").parse(), Ok(engine.policy().revision()));
        assert_eq!(text("direction").parse(), Ok(Direction::Ingress));
        let permitted = text("verdict").parse() == Ok(Verdict::Permit);
        let reason = if permitted {
            Reason::Permitted
        } else {
            Reason::ZoneMismatch
        };
        assert_eq!(text("reason").parse(), Ok(reason));
        assert_eq!(text("stage").parse(), Ok(Stage::Flow));
    }
    for text in ["", "0", &"g".repeat(64), &"A".repeat(64), &"0".repeat(66)] {
        assert!(text.parse::<Revision>().is_err(), "{text}");
    }
}
