//! The names that the code gives, the page, the dashboard and the alerts: the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What looks like a metric of ours in a text.
fn names(text: &str) -> BTreeSet<String> {
    let begins = text.match_indices("ztl_").filter(|(at, _)| {
        let before = text.get(..*at).unwrap_or("").chars().next_back();
        !before.is_some_and(|it| it.is_ascii_alphanumeric() || it == '_' || it == '/')
    });
    begins
        .filter_map(|(at, _)| {
            let rest = text.get(at..).unwrap_or("");
            let end = rest.find(|it: char| !it.is_ascii_lowercase() && it != '_');
            let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
            // A crate of ours is none.
            (!behind.starts_with("::")).then(|| name.to_owned())
        })
        .collect()
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What Prometheus' text format makes of a histogram's name.
fn of_histogram(name: &str) -> &str {
    ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|it| name.strip_suffix(it))
        .unwrap_or(name)
}

/// Who greps for an event that a page names finds it.
#[test]
fn every_event_that_pages_name_begins_a_text_of_the_code() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(&crate_folder.join("src"), ".rs", &mut paths);
    let sources: String = paths.iter().map(|path| read(path)).collect();
    let docs = crate_folder.join("../docs");
    for (page, header, least) in [
        ("observability.md", "| event | level |", 35),
        ("rotation.md", "| the event says | do |", 6),
    ] {
        let text = read(&docs.join(page));
        let (_, table) = text.split_once(header).expect(header);
        let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
        let mut found = 0;
        for row in rows {
            let cell = row.split(" | ").next().unwrap_or_default();
            for event in cell.split('`').skip(1).step_by(2) {
                if ["workload", "Guard::deny"].contains(&event) {
                    continue;
                }
                assert!(
                    sources.contains(&format!("\"{event}")),
                    "{page}: no event begins `{event}`"
                );
                found += 1;
            }
        }
        assert!(found >= least, "{page}: {found} events");
    }
}

#[test]
fn every_metric_is_on_the_page_and_what_a_dashboard_asks_for_exists() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    files(&crate_folder.join("src"), ".rs", &mut sources);
    let mut given = BTreeSet::new();
    for path in sources {
        // In code a name stands alone between quotes.
        let text = read(&path);
        let quoted = text.split('"').skip(1).step_by(2);
        given.extend(
            quoted
                .filter(|it| names(it).contains(*it))
                .map(str::to_owned),
        );
    }
    let root = crate_folder.parent().expect("a root");
    let page = read(&root.join("docs/observability.md"));
    let listed: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `ztl_"))
        .map(|line| format!("ztl_{}", line.split('`').next().unwrap_or_default()))
        .collect();
    assert_eq!(listed, given, "the page lists what the code gives");
    let example = root.join("examples/observability");
    let mut shown = BTreeSet::new();
    for name in ["dashboard.json", "alerts.yaml"] {
        let asked: BTreeSet<_> = names(&read(&example.join(name)))
            .iter()
            .map(|it| of_histogram(it).to_owned())
            .collect();
        let unknown: Vec<_> = asked.difference(&given).collect();
        assert!(unknown.is_empty(), "{name} asks for {unknown:?}");
        shown.extend(asked);
    }
    let missing: Vec<_> = given.difference(&shown).collect();
    assert!(
        missing.is_empty(),
        "neither dashboard nor alerts show {missing:?}"
    );
    let unknown: Vec<_> = names(&page)
        .into_iter()
        .map(|it| of_histogram(&it).to_owned())
        .filter(|it| !given.contains(it))
        .collect();
    assert!(unknown.is_empty(), "the page speaks of {unknown:?}");
}
