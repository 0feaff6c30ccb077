//! What a template is, and which paths fit it.

use super::*;
use crate::policy::kinds::Kinds;
use crate::policy::shape::Shape;

#[test]
fn a_template_shown_is_the_template_read() {
    for text in [
        "/",
        "/a/",
        "/a/%7Bid%7D",
        "/%3Ca/{id:uuid}",
        "/u/bob@x/{n:int}/{*rest}",
        "/caf%C3%A9",
    ] {
        assert_eq!(
            Template::parse(text).map(|template| template.to_string()),
            Ok(text.to_owned())
        );
    }
    assert_eq!(
        Template::parse("/a%40b").map(|template| template.to_string()),
        Ok("/a@b".to_owned())
    );
}

/// Bytes where nothing is escaped, segments where something is: one answer.
#[test]
fn the_ways_to_match_agree() {
    let templates = [
        "/",
        "/a",
        "/a/",
        "/{x}",
        "/{x}/",
        "/{x}/a",
        "/a/{x}",
        "/a/{n:int}",
        "/{x}/{y}",
        "/{*r}",
        "/a/{*r}",
        "/{x}/{*r}",
        "/{n:int}/a/",
    ];
    let mut matched = 0;
    for text in templates {
        let template = Template::parse(text).expect("template");
        let mut paths = vec!["/".to_owned()];
        for _ in 0..6 {
            for target in &paths {
                let Ok(path) = CanonicalPath::parse(target) else {
                    continue;
                };
                let quick = template.matches(path);
                assert_eq!(quick, template.matches_decoded(path), "{text} {target}");
                let runs = template.matches_runs(target.as_bytes());
                assert_eq!(quick, runs, "{text} {target}");
                let shapes = Shape::new(Kinds::ALL, template.slashes());
                let fits = shapes.meets(Shape::of(Kinds::ALL, &path));
                assert!(!quick || fits, "{text} {target}");
                matched += usize::from(quick);
            }
            let longer = paths.iter().flat_map(|path| {
                let more = ["/", "a", "1", "-"].into_iter();
                more.map(move |piece| format!("{path}{piece}"))
            });
            paths = longer.collect();
        }
    }
    assert!(matched > 1000, "{matched}");
}
