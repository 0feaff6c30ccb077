//! What each crate's errors are like (docs/DESIGN.md, CONTRIBUTING.md): a cause stands in the text of an error or is its `source()`,
//! never both, or whoever prints the chain reads it twice.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

/// The crates whose errors are like that.
const CRATES: [&str; 4] = ["ztl-core", "ztl-mtls", "ztl-authz", "ztl-cli"];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// A variant that shows its cause by `{0}` or `{error}` and hands it out as well.
fn says_twice(error: &str) -> bool {
    let Some((text, rest)) = error.split_once(")]\n") else {
        return false;
    };
    let variant = if rest.lines().next().is_some_and(|line| line.ends_with('{')) {
        rest.split("\n    }").next()
    } else {
        rest.lines().next()
    };
    let variant = variant.unwrap_or_default();
    let shows = ["{0}", "{error}", "{source}"];
    let hands_out = ["#[from]", "#[source]", " source: "];
    shows.iter().any(|shown| text.contains(shown))
        && hands_out.iter().any(|given| variant.contains(given))
}

#[test]
fn no_error_says_its_cause_twice() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for name in CRATES {
        sources(&root.join(name).join("src"), &mut files);
    }
    let mut seen = 0;
    for path in files {
        let text = fs::read_to_string(&path).expect("a source");
        for error in text.split("#[error(").skip(1) {
            let (path, name) = (path.display(), error.lines().next().unwrap_or_default());
            assert!(!says_twice(error), "{path}: {name}");
            seen += 1;
        }
    }
    assert!(seen > 300, "{seen}");
    assert!(says_twice(
        "\"the leaf {0}\")]\n    Leaf(#[from] LeafError),\n"
    ));
    assert!(says_twice(
        "\n        \"at {at}: {error}\"\n    )]\n    Read {\n        #[source]\n        error: E,\n    },\n"
    ));
    assert!(!says_twice("transparent)]\n    Leaf(#[from] LeafError),\n"));
}
