//! Roots: the places below `data` that a bundle owns. What stands elsewhere refuses it, so that no bundle writes into what is
//! another's.

use serde_json::Value;

/// Paths as `a/b`, none of which contains another. The empty one is everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots(Vec<Box<str>>);

impl Default for Roots {
    /// Everything: what a manifest that names no roots means.
    fn default() -> Self {
        Self(vec!["".into()])
    }
}

impl Roots {
    /// Slashes at both ends do not count.
    ///
    /// Answers two that overlap where there are such.
    pub(super) fn new<'a>(
        roots: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, (Box<str>, Box<str>)> {
        let mut all: Vec<Box<str>> = roots
            .into_iter()
            .map(|root| root.trim_matches('/').into())
            .collect();
        // By segments, so that what contains another stands right before what it contains.
        all.sort_by(|one, other| one.split('/').cmp(other.split('/')));
        for pair in all.windows(2) {
            if let [outer, inner] = pair
                && contains(outer, inner)
            {
                return Err((outer.clone(), inner.clone()));
            }
        }
        // The empty root sorts first and contains all.
        Ok(Self(all))
    }

    /// As the manifest has them, without slashes at the ends, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether a path such as `a/b/c` is at or below one of them.
    #[must_use]
    pub fn contain(&self, path: &str) -> bool {
        self.iter().any(|root| contains(root, path))
    }

    /// The first place of a document that is outside all of them.
    pub(super) fn outside(&self, data: &Value) -> Option<String> {
        self.outside_at(data, &mut String::new())
    }

    fn outside_at(&self, data: &Value, path: &mut String) -> Option<String> {
        if self.contain(path) {
            return None;
        }
        // An object on the way to a root is only the way.
        let on_the_way = path.is_empty() || self.iter().any(|root| contains(path, root));
        let Value::Object(members) = data else {
            return Some(path.clone());
        };
        if !on_the_way {
            return Some(path.clone());
        }
        let before = path.len();
        for (name, value) in members {
            // A name with a slash is one segment here and would look like two.
            if name.contains('/') {
                return Some(format!("{path}/{name}"));
            }
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(name);
            let outside = self.outside_at(value, path);
            path.truncate(before);
            if outside.is_some() {
                return outside;
            }
        }
        None
    }
}

/// Whether `inner` is `outer` or below it.
fn contains(outer: &str, inner: &str) -> bool {
    outer.is_empty()
        || inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn roots_contain_by_segments() {
        let roots = Roots::new(["/a/b/", "c"]).expect("roots");
        for (path, inside) in [
            ("a/b", true),
            ("a/b/x", true),
            ("a", false),
            ("a/bc", false),
            ("c", true),
            ("cc", false),
            ("", false),
        ] {
            assert_eq!(roots.contain(path), inside, "{path}");
        }
        assert!(Roots::default().contain("anything/at/all"));
        assert!(!Roots::new([]).expect("none").contain(""));
    }

    #[test]
    fn overlapping_roots_are_found_wherever_they_stand() {
        for roots in [
            &["a", "a"][..],
            &["a/b", "a"],
            &["a", "z", "a/b"],
            &["", "a"],
            &["a", "a!", "a/b"],
            &["a", "a-b", "a.c", "a/b/c"],
        ] {
            assert!(Roots::new(roots.iter().copied()).is_err(), "{roots:?}");
        }
        assert!(Roots::new(["a/b", "a/c", "ab", "a!"]).is_ok());
    }

    #[test]
    fn data_outside_is_found() {
        let roots = Roots::new(["a/b", "c"]).expect("roots");
        for (data, outside) in [
            (json!({}), None),
            (json!({"a": {"b": 1}, "c": [1]}), None),
            (json!({"a": {}}), None),
            (json!({"a": {"b": {"x": 1}, "d": {}}}), Some("a/d")),
            (json!({"a": 1}), Some("a")),
            (json!({"d": {}}), Some("d")),
            (json!({"a/b": 1}), Some("/a/b")),
        ] {
            assert_eq!(roots.outside(&data).as_deref(), outside, "{data}");
        }
    }
}
