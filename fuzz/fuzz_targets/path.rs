//! Request targets: a path with one reading, or none (rules 46, 48 and 49).

#![no_main]

use libfuzzer_sys::fuzz_target;
use ztl_core::{CanonicalPath, MAX_TARGET_BYTES};

fuzz_target!(|target: &str| {
    let Ok(path) = CanonicalPath::parse(target) else {
        return;
    };
    assert!(target.len() <= MAX_TARGET_BYTES);
    let text = path.as_str();
    assert_eq!(
        Some(text),
        target.split('?').next(),
        "only the query is cut off"
    );
    assert_eq!(
        CanonicalPath::parse(text),
        Ok(path),
        "a canonical path stays as it is"
    );
    assert!(text.starts_with('/') && !text.contains("//"));
    let mut raw = String::new();
    let count = path.segments().count();
    for (at, segment) in path.segments().enumerate() {
        raw.push('/');
        raw.push_str(segment.raw());
        assert!(
            !segment.is_empty() || at + 1 == count,
            "an empty segment stands only at the end"
        );
        let decoded = segment.decoded();
        assert!(segment.means(&decoded));
        assert_eq!(decoded.is_empty(), segment.is_empty());
        assert!(!matches!(decoded.as_str(), "." | ".."));
        // A second decoding, or a server that splits on them, must find nothing.
        assert!(!decoded.contains(['/', '\\', ';', '%', '#']));
        assert!(
            !decoded
                .chars()
                .any(|character| character.is_ascii_control())
        );
    }
    assert_eq!(raw, text);
});
