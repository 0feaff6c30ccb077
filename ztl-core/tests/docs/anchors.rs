//! A link to a place within a page of the repository leads to a heading, or an `<a id="..">`, that is there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The pages below a folder. What is built, fetched or hidden is nobody's page, and a link to a folder is walked where it leads.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("folder") {
        let entry = entry.expect("entry");
        let (path, kind) = (entry.path(), entry.file_type().expect("kind"));
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if kind.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&&*name)
        {
            pages(&path, found);
        } else if kind.is_file() && name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// What GitHub calls a heading: letters, digits, `-` and `_` in lower case, and `-` for a blank.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|one| match one {
        ' ' => Some('-'),
        '-' | '_' => Some(one),
        _ if one.is_alphanumeric() => Some(one),
        _ => None,
    });
    kept.collect::<String>().to_lowercase()
}

/// The places of a page. A heading that stands there twice is numbered from the second on.
fn places(page: &str) -> BTreeSet<String> {
    let (mut places, mut fenced) = (BTreeSet::new(), false);
    for line in page.lines() {
        fenced ^= line.starts_with("```");
        for (_, rest) in line
            .match_indices("<a id=\"")
            .map(|(at, id)| line.split_at(at + id.len()))
        {
            places.extend(rest.split('"').next().map(str::to_owned));
        }
        let heading = line.trim_start_matches('#');
        if !fenced && heading.len() < line.len() && heading.starts_with(' ') {
            let slug = slug(heading);
            let numbered = (1..).map(|number| format!("{slug}-{number}"));
            let mut names = std::iter::once(slug.clone()).chain(numbered);
            places.extend(names.find(|name| !places.contains(name)));
        }
    }
    places
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{path:?}"),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn links_lead_to_places_that_are_there() {
    let root = plain(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let (mut found, mut looked_at, mut wrong) = (Vec::new(), 0, Vec::new());
    pages(&root, &mut found);
    for page in &found {
        let text = std::fs::read_to_string(page).expect("a page");
        for rest in text.split("](").skip(1) {
            let link = rest.split([')', ' ', '\n']).next().unwrap_or_default();
            // Links to Rust items are rustdoc's to check.
            let Some((path, place)) = link.split_once('#').filter(|_| !link.contains("::")) else {
                continue;
            };
            let target = match path {
                "" => page.clone(),
                _ if path.contains(':') => continue,
                _ => plain(&page.with_file_name(path)),
            };
            let there =
                std::fs::read_to_string(&target).is_ok_and(|text| places(&text).contains(place));
            looked_at += 1;
            if !there {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(looked_at > 200, "{looked_at}");
}
