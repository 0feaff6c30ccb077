//! The table of features in the README of a crate, beside its Cargo.toml.

use std::path::Path;

#[test]
fn every_feature_stands_in_the_table_of_its_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in ["ztl-core", "ztl-mtls", "ztl-authz", "ztl-tower"] {
        let read = |file| std::fs::read_to_string(root.join(name).join(file)).expect(file);
        let (manifest, readme) = (read("Cargo.toml"), read("README.md"));
        let cells = readme.lines().filter_map(|line| line.strip_prefix("| "));
        let cells: Vec<&str> = cells.filter_map(|row| row.split('|').next()).collect();
        let (_, features) = manifest.split_once("\n[features]\n").expect("features");
        let lines = features.lines().take_while(|line| !line.starts_with('['));
        let features =
            lines.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        let mut seen = 0;
        for (feature, _) in features.filter_map(|line| line.split_once(" = ")) {
            let quoted = format!("`{feature}`");
            let has = feature == "default" || cells.iter().any(|cell| cell.contains(&quoted));
            assert!(has, "{name}/README.md has no row of the feature {quoted}");
            seen += 1;
        }
        assert!(seen > 3, "{name}: {seen}");
    }
}
