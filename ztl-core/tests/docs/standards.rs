//! The pages about the standards and the rules: what they name is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The tests of the crates that pages about standards speak of.
fn written_tests(root: &Path) -> BTreeSet<String> {
    let mut files = Vec::new();
    for krate in ["ztl-core", "ztl-mtls", "ztl-authz", "ztl-tower"] {
        sources(&root.join(krate).join("src"), &mut files);
        sources(&root.join(krate).join("tests"), &mut files);
    }
    let mut tests = BTreeSet::new();
    for file in files {
        let source = std::fs::read_to_string(&file).expect("a source");
        for mark in ["#[test]", "#[tokio::test"] {
            for (_, rest) in source
                .match_indices(mark)
                .map(|(at, _)| source.split_at(at))
            {
                let named = rest
                    .split_once("fn ")
                    .and_then(|(_, rest)| rest.split_once('('));
                tests.extend(named.map(|(name, _)| name.to_owned()));
            }
        }
    }
    tests
}

/// Each row of the pages about standards names files that are there and tests that are tests, and together they answer every
/// sentence.
#[test]
fn pages_about_standards_name_files_and_tests_and_leave_no_sentence_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tests = written_tests(&root);
    let quoted = |cell: &str| -> Vec<String> {
        let words = cell.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    };
    let mut sums: Vec<(String, usize)> = Vec::new();
    let mut rows = 0;
    for page in ["svid-rules.md", "spiffe.md"] {
        let text = std::fs::read_to_string(root.join("docs").join(page)).expect("a page");
        let (mut heading, mut header) = (String::new(), Vec::new());
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                heading = title.to_owned();
            }
            let Some(cells) = line
                .strip_prefix("| ")
                .and_then(|line| line.strip_suffix(" |"))
            else {
                if !line.starts_with("|---") {
                    header.clear();
                }
                continue;
            };
            let cells: Vec<_> = cells.split(" | ").collect();
            if header.is_empty() {
                header = cells;
                continue;
            }
            let cell = |name: &str| {
                let at = header.iter().position(|title| *title == name);
                at.map(|at| *cells.get(at).unwrap_or_else(|| panic!("{page}: {line}")))
            };
            // Of the tables that have tests.
            let Some(named) = cell("test") else { continue };
            rows += 1;
            if let Some(count) = cell("n") {
                let count: usize = count.parse().expect("a number");
                match sums.last_mut().filter(|(last, _)| *last == heading) {
                    Some((_, sum)) => *sum += count,
                    None => sums.push((heading.clone(), count)),
                }
            }
            for test in quoted(named) {
                assert!(tests.contains(&test), "{page}: `{test}` is no test");
            }
            if quoted(named).is_empty() {
                let why = ["not ours: ", "(#where-ztl-does-otherwise)"];
                let says = why.iter().any(|why| line.contains(why));
                assert!(named == "–" && says, "{page}: no test, and not why: {line}");
            }
            let files = cell("where").or_else(|| cell("obeyed by")).expect("files");
            for file in quoted(files) {
                let folders = ["", "ztl-core/src", "ztl-mtls/src"];
                let is_there = folders
                    .iter()
                    .any(|folder| root.join(folder).join(&file).is_file());
                assert!(is_there, "{page}: `{file}` is not there");
            }
        }
    }
    assert!(rows > 90, "{rows}");
    // As many sentences as each standard has.
    let expected = [
        ("SPIFFE-ID", 18),
        ("X509-SVID", 32),
        ("JWT-SVID", 20),
        ("SPIFFE Trust Domain and Bundle", 20),
        ("SPIFFE Federation", 57),
        ("SPIFFE Workload API", 62),
        ("SPIFFE Workload Endpoint", 23),
    ];
    assert_eq!(sums, expected.map(|(title, sum)| (title.to_owned(), sum)));
}

/// The rules whose numbers a test has in its name, behind `rule`: `rule_48_..`, `rules_17_and_18_..`, `rules_4_to_8_..`.
fn numbers(name: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut up_to = false;
    for word in name.trim_start_matches(['s', '_']).split('_') {
        match (word, word.parse::<u32>(), numbers.last().copied()) {
            (_, Ok(number), Some(last)) if up_to => numbers.extend(last + 1..=number),
            (_, Ok(number), _) => numbers.push(number),
            ("to", ..) => up_to = true,
            ("and", ..) => {}
            _ => break,
        }
    }
    numbers
}

/// The table of docs/rules.md names files that have a test of the rule.
#[test]
fn the_page_of_rules_names_files_with_tests_of_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/rules.md")).expect("the page");
    let (_, table) = page.split_once("\n| rule | in |\n").expect("the table");
    let mut found = 0;
    for line in table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("| "))
    {
        let mut cells = line.split(" | ");
        let rule = cells.next().and_then(|cell| cell.strip_prefix("| "));
        let rule: u32 = rule.and_then(|rule| rule.parse().ok()).expect("a number");
        for file in cells.next().expect("files").split('`').skip(1).step_by(2) {
            let source = std::fs::read_to_string(root.join(file));
            let source = source.unwrap_or_else(|error| panic!("rule {rule}: {file}: {error}"));
            let mut named = source.split("fn rule").skip(1);
            let has = named.any(|name| numbers(name).contains(&rule));
            assert!(has, "{file} has no test of rule {rule}");
            found += 1;
        }
    }
    assert!(found > 150, "{found}");
}
