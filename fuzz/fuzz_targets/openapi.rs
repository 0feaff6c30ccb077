//! OpenAPI documents: no text makes the reader panic, no request the one that looks at it, what nobody
//! asked for never fits, and what is sent twice has no reading.

#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ztl_authz::schema::Schemas;
use ztl_core::schema::{BodySchema, RequestHead, SchemaCompiler, WantedBody};
use ztl_core::{CanonicalPath, HeaderPairs, Method, json};

const GOOD: &str = include_str!("../seeds/openapi/good.json");

static COMPILED: LazyLock<Arc<dyn BodySchema>> =
    LazyLock::new(|| compile(GOOD.as_bytes()).expect("a document"));

fn compile(document: &[u8]) -> Result<Arc<dyn BodySchema>, String> {
    let files = BTreeMap::from([("api.json".to_owned(), document.to_vec())]);
    Schemas::new(Arc::new(files)).compile("api.json")
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    raw: &'a [u8],
    edits: Vec<(u16, u8)>,
    method: u8,
    query: &'a str,
    path: &'a str,
    fields: [&'a str; 4],
    body: &'a [u8],
}

fuzz_target!(|case: Case<'_>| {
    let mut edited = GOOD.to_owned().into_bytes();
    for (place, byte) in case.edits.iter().take(8) {
        let place = usize::from(*place) % edited.len();
        edited[place] = *byte;
    }
    ask(&**COMPILED, &case, true);
    for document in [case.raw, &edited] {
        match compile(document) {
            Ok(api) => ask(&*api, &case, false),
            Err(what) => assert!(!what.is_empty()),
        }
    }
});

/// Asks one document; `good` where it is the one that is known.
fn ask(api: &dyn BodySchema, case: &Case<'_>, good: bool) {
    for kind in [case.fields[0], "application/x-www-form-urlencoded"] {
        ask_of(api, case, kind, good);
    }
}

/// The same with a body of this type.
fn ask_of(api: &dyn BodySchema, case: &Case<'_>, kind: &str, good: bool) {
    let method = Method::NAMED[usize::from(case.method) % Method::NAMED.len()];
    let names = ["content-type", "x-depth", "x-tags", "cookie"];
    let [_, depth, tags, cookie] = case.fields;
    let fields: Vec<_> = names
        .into_iter()
        .zip([kind, depth, tags, cookie].map(str::as_bytes))
        .collect();
    let fields = HeaderPairs(&fields);
    for target in [
        case.path,
        "/v1/pets",
        "/v1/pets/7",
        "/v1/search",
        "/v1/at/.text=a/size=1",
    ] {
        let Ok(path) = CanonicalPath::parse(target) else {
            continue;
        };
        let head = RequestHead::new(method, path, &fields);
        for query in ["", case.query] {
            let Ok(wanted) = api.head(&head.with_query(Some(query))) else {
                continue;
            };
            if good {
                let more = format!("{query}&nobody-asked=1");
                assert!(api.head(&head.with_query(Some(&more))).is_err());
            }
            body(wanted, case, good);
            assert!(wanted.is_none() || !api.fits(&serde_json::Value::Null));
        }
    }
}

/// Looks at a body as the head of its request wants it.
fn body(wanted: Option<WantedBody<'_>>, case: &Case<'_>, good: bool) {
    let (schema, value) = match wanted {
        Some(WantedBody::Json { schema, .. }) => (schema, json::value_within(case.body, 64).ok()),
        Some(WantedBody::Form { form, schema, .. }) => {
            let value = form.read(case.body).ok();
            let with = |more: &[u8]| form.read(&[case.body, b"&", more].concat());
            if let (true, Some(value)) = (good, &value) {
                let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
                assert!(with(b"nobody-asked=1").is_err());
                assert!(is_empty || with(case.body).is_err());
            }
            (schema, value)
        }
        _ => return,
    };
    if let Some(value) = value {
        let pointer = schema.misfit(&value);
        assert!(pointer.is_empty() || pointer.starts_with('/'));
    }
}
