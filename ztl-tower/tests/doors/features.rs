//! The features of the crate, as its front page has them.

#[test]
fn the_front_page_has_a_row_for_each_feature() {
    let (manifest, page) = (
        include_str!("../../Cargo.toml"),
        include_str!("../../README.md"),
    );
    let features = manifest.split("\n[features]\n").nth(1).expect("features");
    let features = features.split("\n[").next().expect("their end");
    let names = features.lines().filter_map(|line| line.split_once(" = "));
    let names: Vec<_> = names.map(|(name, _)| name).collect();
    assert!(names.len() > 20 && names.contains(&"serve"), "{names:?}");
    for name in names.iter().filter(|name| **name != "default") {
        assert!(page.contains(&format!("\n| `{name}` | ")), "{name}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.filter(|row| row.contains(" | yes | ") || row.contains(" | no | "));
    assert_eq!(rows.count(), names.len() - 1, "each row is of a feature");
}
