//! Paths inside a bundle. Nothing is ever written to a disk: a path says where data goes and which file a signature covers, so
//! two readers must not read two different ones.

use super::error::PathFault;
use super::limits::{MAX_PATH_BYTES, MAX_PATH_FOLDERS};

/// The path as `a/b/data.json`. One `/` or `./` at the beginning, which OPA's own writer and `tar` put there, is taken off.
pub(super) fn normal(path: &[u8]) -> Result<Box<str>, PathFault> {
    if path.len() > MAX_PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    let path = core::str::from_utf8(path).map_err(|_| PathFault::NotText)?;
    if path.chars().any(|it| it.is_control() || it == '\\') {
        return Err(PathFault::NotText);
    }
    let bare = bare(path);
    let mut segments = 0_usize;
    for segment in bare.split('/') {
        segments = segments.saturating_add(1);
        match segment {
            "" | "." => return Err(PathFault::Segment),
            ".." => return Err(PathFault::Outside),
            _ => {}
        }
    }
    if segments > MAX_PATH_FOLDERS.saturating_add(1) {
        return Err(PathFault::TooDeep);
    }
    Ok(bare.into())
}

/// Without the one `/` or `./` that may stand at the beginning.
pub(super) fn bare(path: &str) -> &str {
    path.strip_prefix("./")
        .or_else(|| path.strip_prefix('/'))
        .unwrap_or(path)
}

/// The last segment.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The folders that a file stands in.
pub(super) fn folders(path: &str) -> impl Iterator<Item = &str> {
    let folders = path.rsplit_once('/').map(|(folders, _)| folders);
    folders.into_iter().flat_map(|folders| folders.split('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_of_writing_each_path() {
        for path in ["/a/data.json", "./a/data.json", "a/data.json"] {
            assert_eq!(normal(path.as_bytes()).as_deref(), Ok("a/data.json"));
        }
        assert_eq!(normal(b"/.manifest").as_deref(), Ok(".manifest"));
        for (path, fault) in [
            ("//etc/passwd", PathFault::Segment),
            ("/./a", PathFault::Segment),
            ("././a", PathFault::Segment),
            ("a//b", PathFault::Segment),
            ("a/", PathFault::Segment),
            ("", PathFault::Segment),
            ("/", PathFault::Segment),
            ("../a", PathFault::Outside),
            ("/../a", PathFault::Outside),
            ("a/../../b", PathFault::Outside),
            ("a/..", PathFault::Outside),
            ("a\\..\\b", PathFault::NotText),
            ("a\0b", PathFault::NotText),
            ("a\nb", PathFault::NotText),
        ] {
            assert_eq!(normal(path.as_bytes()), Err(fault), "{path:?}");
        }
        assert_eq!(normal(b"a\xff"), Err(PathFault::NotText));
        assert_eq!(normal(&[b'a'; 513]), Err(PathFault::TooLong));
        let deep = |folders| format!("{}a", "f/".repeat(folders));
        assert!(normal(deep(32).as_bytes()).is_ok());
        assert_eq!(normal(deep(33).as_bytes()), Err(PathFault::TooDeep));
    }

    #[test]
    fn a_path_is_folders_and_a_name() {
        assert_eq!(name("a/b/data.json"), "data.json");
        assert_eq!(
            folders("a/b/data.json").collect::<Vec<_>>(),
            ["a", "b"],
            "two"
        );
        assert_eq!(folders("data.json").count(), 0);
    }
}
