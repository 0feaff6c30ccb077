//! Data documents, each at the place of its folder.

use serde_json::{Map, Value};

/// Puts a document where its folders say. Two objects in one place become one; anything else in one place is a conflict.
///
/// Answers the place of the conflict.
pub(super) fn insert<'a>(
    data: &mut Map<String, Value>,
    folders: impl Iterator<Item = &'a str>,
    document: Value,
) -> Result<(), String> {
    let mut folders: Vec<_> = folders.collect();
    let mut tree = document;
    while let Some(folder) = folders.pop() {
        tree = Value::Object(Map::from_iter([(folder.to_owned(), tree)]));
    }
    match tree {
        Value::Object(members) => merge(data, members, String::new()),
        _ => Err(String::new()),
    }
}

/// As deep as the documents and their folders are, which is bounded.
fn merge(
    into: &mut Map<String, Value>,
    members: Map<String, Value>,
    at: String,
) -> Result<(), String> {
    for (name, value) in members {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                merge(old, new, format!("{at}/{name}"))?;
            }
            (Some(_), _) => return Err(format!("{at}/{name}")),
            (None, value) => {
                into.insert(name, value);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(documents: &[(&str, Value)]) -> Result<Value, String> {
        let mut data = Map::new();
        for (folder, document) in documents {
            let folders = folder.split('/').filter(|it| !it.is_empty());
            insert(&mut data, folders, document.clone())?;
        }
        Ok(Value::Object(data))
    }

    #[test]
    fn documents_stand_at_their_folders() {
        let read = merged(&[
            ("", json!({"a": {"x": 1}})),
            ("a", json!({"y": 2})),
            ("a/b", json!([3])),
        ]);
        assert_eq!(read, Ok(json!({"a": {"x": 1, "y": 2, "b": [3]}})));
        assert_eq!(merged(&[]), Ok(json!({})));
    }

    #[test]
    fn two_values_in_one_place_are_a_conflict_even_where_they_are_equal() {
        for (documents, place) in [
            (
                vec![("", json!({"a": {"x": 1}})), ("a", json!({"x": 1}))],
                "/a/x",
            ),
            (vec![("", json!({"a": 1})), ("a", json!({"x": 1}))], "/a"),
            (vec![("a", json!([1])), ("a/b", json!({}))], "/a"),
            (vec![("", json!([1]))], ""),
        ] {
            assert_eq!(merged(&documents), Err(place.to_owned()), "{documents:?}");
        }
    }
}
