//! Requests that fit and do not.

use super::*;

#[test]
fn the_operation_is_that_of_the_path_and_the_method() {
    let id = json!([{ "name": "pet.id", "in": "path", "required": true, "schema": { "$ref": "#/components/schemas/Id" } }]);
    let name =
        json!([{ "name": "x", "in": "path", "required": true, "schema": { "enum": ["toys"] } }]);
    let mut document = document(json!({
        "/pets": { "get": {} },
        "/pets/mine": { "get": { "requestBody": { "content": { "*/*": {} } } } },
        "/pets/{pet.id}": { "parameters": id, "get": {}, "delete": {} },
        "/{x}/mine": { "parameters": name, "delete": {} },
        "/é": { "get": {} }
    }));
    document["servers"] =
        json!([{ "url": "https://a.example" }, { "url": "/v1" }, { "url": "http://b.example/v1" }]);
    // Text outside of ASCII is written with escapes in a path.
    let paths = document["paths"].as_object_mut().expect("paths");
    let item = paths.remove("/é").expect("a path");
    paths.insert("/%C3%A9".to_owned(), item);
    let api = load(&document).expect("a document");
    for (request, says) in [
        ("GET /v1/pets", "nothing false"),
        ("GET /pets", "nothing false"),
        ("GET /v2/pets", "is no operation of the document"),
        ("GET /v1/pets/", "is no operation of the document"),
        ("POST /v1/pets", "is no operation of the document"),
        ("HEAD /v1/pets", "is no operation of the document"),
        ("GET /v1/pets/7", "nothing false"),
        (
            "GET /v1/pets/0",
            "has the path parameter `pet.id`, which does not fit",
        ),
        (
            "GET /v1/pets/2147483648",
            "has the path parameter `pet.id`, which does not fit",
        ),
        (
            "GET /v1/pets/7%2C8",
            "has the path parameter `pet.id`, which does not fit",
        ),
        (
            "GET /v1/pets/1.5",
            "has the path parameter `pet.id`, which does not fit",
        ),
        (
            "GET /v1/pets/1.0",
            "has the path parameter `pet.id`, which does not fit",
        ),
        (
            "GET /v1/pets/%20",
            "has the path parameter `pet.id`, which does not fit",
        ),
        ("GET /v1/%C3%A9", "nothing false"),
        // Text before parameters, whichever methods it has.
        ("DELETE /v1/pets/mine", "is no operation of the document"),
        ("DELETE /v1/toys/mine", "nothing false"),
        (
            "DELETE /v1/cats/mine",
            "has the path parameter `x`, which does not fit",
        ),
    ] {
        assert_eq!(ask(&*api, request, &[]), says, "{request}");
    }
    let json = [("content-type", "application/json")];
    assert_eq!(ask(&*api, "GET /v1/pets/mine", &json), "bytes false");
    assert!(!api.fits(&json!(1)), "whole requests alone");
}

#[test]
fn a_query_has_one_reading() {
    let api = load(&with_parameters(json!([
        { "name": "limit", "in": "query", "schema": { "type": ["integer", "null"], "maximum": 100 } },
        { "name": "tag", "in": "query", "required": true, "schema": { "type": "array", "maxItems": 2, "items": { "type": "string", "maxLength": 3 } } },
        { "name": "id", "in": "query", "explode": false, "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Id" } } },
        { "name": "deep", "in": "query", "schema": { "anyOf": [{ "type": "boolean" }, { "type": "null" }] } },
        { "name": "either", "in": "query", "schema": { "type": ["string", "number"], "maximum": 9, "maxLength": 2 } },
        { "name": "f", "in": "query", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Pet" } } } },
        { "name": "flag", "in": "query", "allowEmptyValue": true, "schema": { "type": "integer" } },
        { "name": "kind", "in": "query", "schema": { "enum": ["a b", 7] } },
        { "name": "one", "in": "query", "schema": { "const": 100 } },
        { "name": "half", "in": "query", "schema": { "enum": [1, 2.5] } },
        { "name": "page", "in": "query", "schema": { "type": "number", "format": "int32" } },
        { "name": "row", "in": "query", "schema": { "allOf": [{ "type": "number" }, { "format": "int64" }] } },
        { "name": "all", "in": "query", "schema": { "allOf": [{ "type": "number" }, { "$ref": "#/components/schemas/Id" }] } },
        { "name": "both", "in": "query", "schema": { "type": "number", "allOf": [{ "$ref": "#/components/schemas/Id" }] } },
        { "name": "said", "in": "query", "style": "deepObject", "schema": { "type": "object", "allOf": [
            { "properties": { "n": { "type": "number" } } }, { "properties": { "n": { "type": "integer" } } } ] } },
        { "name": "rate", "in": "query", "schema": { "type": "number", "format": "double" } },
        { "name": "file", "in": "query", "schema": { "type": "string", "format": "byte" } }
    ])))
    .expect("a document");
    let fits = "nothing false";
    let unfit = |name: &str| format!("has the query parameter `{name}`, which does not fit");
    let twice = |name: &str| format!("has the query parameter `{name}` in more than one reading");
    for (query, says) in [
        ("tag=a", fits.to_owned()),
        ("tag=a&tag=b&limit=100", fits.to_owned()),
        ("&&tag=a&", fits.to_owned()),
        ("", "lacks the query parameter `tag`".to_owned()),
        (
            "Tag=a",
            "has the query parameter `Tag`, which the operation does not name".to_owned(),
        ),
        (
            "tag=a&debug=1",
            "has the query parameter `debug`, which the operation does not name".to_owned(),
        ),
        ("tag=a&tag=b&tag=c", unfit("tag")),
        ("tag=%C3%A9%C3%A9%C3%A9", fits.to_owned()),
        ("%74ag=a+b", fits.to_owned()),
        ("tag=a%20%20b", unfit("tag")),
        ("tag=a,b,c", unfit("tag")),
        ("tag=a&limit=101", unfit("limit")),
        ("tag=a&limit=1e2", unfit("limit")),
        ("tag=a&limit=1.0", unfit("limit")),
        ("tag=a&limit=%31", fits.to_owned()),
        ("tag=a&limit=+1", unfit("limit")),
        ("tag=a&limit=%2B1", unfit("limit")),
        ("tag=a&limit=01", unfit("limit")),
        ("tag=a&limit=", unfit("limit")),
        ("tag=a&limit", unfit("limit")),
        ("tag=a&limit=null", unfit("limit")),
        ("tag=a&limit=[1]", unfit("limit")),
        // Another reader may take the first, or the last.
        ("tag=a&limit=1&limit=999", twice("limit")),
        ("tag=a&limit=1&%6cimit=999", twice("limit")),
        ("tag=a&limit=1;limit=999", twice("limit")),
        ("tag=a;limit=999", twice("tag")),
        ("tag=a&limit=%", twice("limit")),
        ("tag=a&limit=%zz", twice("limit")),
        ("tag=%ff", twice("tag")),
        ("tag=a&%ff=1", twice("%ff")),
        ("tag=a&id=1,2,3", fits.to_owned()),
        ("tag=a&id=1,0", unfit("id")),
        ("tag=a&id=1,,2", unfit("id")),
        ("tag=a&id=1%2C2", twice("id")),
        ("tag=a&id=1&id=2", twice("id")),
        ("tag=a&deep=true", fits.to_owned()),
        ("tag=a&deep=TRUE", unfit("deep")),
        ("tag=a&deep=1", unfit("deep")),
        ("tag=a&either=ab", fits.to_owned()),
        ("tag=a&either=9", fits.to_owned()),
        ("tag=a&either=10", unfit("either")),
        ("tag=a&f=%7B%22name%22:%22a%22%7D", fits.to_owned()),
        (
            "tag=a&f=%7B%22name%22:%22a%22,%22name%22:%22b%22%7D",
            unfit("f"),
        ),
        ("tag=a&f=%7B%22name%22:1%7D", unfit("f")),
        ("tag=a&flag", fits.to_owned()),
        ("tag=a&flag=&flag=1", twice("flag")),
        ("tag=a&flag=x", unfit("flag")),
        ("tag=a&kind=a+b", fits.to_owned()),
        ("tag=a&kind=7", fits.to_owned()),
        ("tag=a&kind=8", unfit("kind")),
        // A value that is a whole number says so as much as `type` does.
        ("tag=a&kind=7.0", unfit("kind")),
        ("tag=a&kind=7e0", unfit("kind")),
        ("tag=a&one=100", fits.to_owned()),
        ("tag=a&one=1e2", unfit("one")),
        ("tag=a&half=2.5", fits.to_owned()),
        ("tag=a&half=25e-1", fits.to_owned()),
        ("tag=a&page=-7&row=7&all=7", fits.to_owned()),
        ("tag=a&page=7.0", unfit("page")),
        ("tag=a&page=1e2", unfit("page")),
        ("tag=a&row=1e2", unfit("row")),
        ("tag=a&all=1e2", unfit("all")),
        ("tag=a&both=7&said[n]=7", fits.to_owned()),
        ("tag=a&both=1e2", unfit("both")),
        ("tag=a&said[n]=1e2", unfit("said")),
        ("tag=a&rate=1e2", fits.to_owned()),
        ("tag=a&file=YWI%3D", fits.to_owned()),
        ("tag=a&file=YW", unfit("file")),
    ] {
        assert_eq!(
            ask(&*api, &format!("GET /v1/x?{query}"), &[]),
            says,
            "{query}"
        );
    }
    let deep = format!("f={}{}", "[".repeat(70), "]".repeat(70));
    assert_eq!(
        ask(&*api, &format!("GET /v1/x?tag=a&{deep}"), &[]),
        unfit("f")
    );
}

#[test]
fn header_fields_and_cookies_are_taken_as_they_stand() {
    let api = load(&with_parameters(json!([
        { "name": "X-Depth", "in": "header", "required": true, "schema": { "type": "integer", "maximum": 9 } },
        { "name": "X-Tags", "in": "header", "schema": { "type": "array", "items": { "enum": ["a", "b"] } } },
        { "name": "session", "in": "cookie", "schema": { "type": "string", "pattern": "^[0-9]+$" } },
        { "name": "Authorization", "in": "header", "required": true, "schema": { "type": "string" } }
    ])))
    .expect("a document");
    let depth = ("x-depth", "1");
    let unfit =
        |place: &str, name: &str| format!("has the {place} parameter `{name}`, which does not fit");
    let twice = |place: &str, name: &str| {
        format!("has the {place} parameter `{name}` in more than one reading")
    };
    for (fields, says) in [
        (&[][..], "lacks the header parameter `x-depth`".to_owned()),
        (&[depth], "nothing false".to_owned()),
        (&[("x-depth", " 1\t")], "nothing false".to_owned()),
        (&[("x-depth", "%31")], unfit("header", "x-depth")),
        (&[("x-depth", "10")], unfit("header", "x-depth")),
        (&[depth, depth], twice("header", "x-depth")),
        (
            &[depth, ("x-tags", "a, b"), ("x-tags", "a")],
            "nothing false".to_owned(),
        ),
        (&[depth, ("x-tags", "a,c")], unfit("header", "x-tags")),
        (
            &[depth, ("cookie", "a=\"x\"; session=12; b=%41")],
            "nothing false".to_owned(),
        ),
        (
            &[depth, ("cookie", "session=1"), ("cookie", "a=2")],
            "nothing false".to_owned(),
        ),
        (
            &[depth, ("cookie", "session=x")],
            unfit("cookie", "session"),
        ),
        (
            &[depth, ("cookie", "session=1; session=2")],
            twice("cookie", "session"),
        ),
        (
            &[depth, ("cookie", "session=1"), ("cookie", "session=x")],
            twice("cookie", "session"),
        ),
        (
            &[depth, ("cookie", "session=%31")],
            twice("cookie", "session"),
        ),
        (
            &[depth, ("cookie", "session=\"1\"")],
            twice("cookie", "session"),
        ),
    ] {
        assert_eq!(ask(&*api, "GET /v1/x", fields), says, "{fields:?}");
    }
}

#[test]
fn the_media_type_says_which_body_follows() {
    let json = json!({ "schema": { "$ref": "#/components/schemas/Pet" } });
    let api = load(&document(
        json!({ "/x": { "post": { "requestBody": { "required": true, "content": {
        "*/*": { "schema": { "type": "array" } },
        "application/json;charset=utf-8": json,
        "application/octet-stream": {},
        "text/*": { "schema": true }
    } } } } }),
    ))
    .expect("a document");
    for (kind, says) in [
        ("Application/JSON; charset=UTF-8", "json true"),
        ("application/octet-stream", "bytes true"),
        ("text/csv;header=present", "bytes true"),
        // Only JSON is held against the schema of a range, and everything else refused there.
        ("application/xml", "json true"),
        ("application", "nothing true"),
        ("", "nothing true"),
    ] {
        assert_eq!(
            ask(&*api, "POST /v1/x", &[("content-type", kind)]),
            says,
            "{kind}"
        );
    }
    let two = [
        ("content-type", "text/csv"),
        ("content-type", "application/json"),
    ];
    assert_eq!(ask(&*api, "POST /v1/x", &two), "nothing true");
    assert_eq!(ask(&*api, "POST /v1/x", &[]), "nothing true");
}

#[test]
fn bodies_fit_their_schema_through_references() {
    let api = load(&with_body(json!({ "$ref": "#/components/schemas/Pet" }))).expect("a document");
    for (body, fits) in [
        (json!({ "name": "a", "parent": { "name": "b" } }), true),
        (json!({ "name": "a", "parent": { "name": "B" } }), false),
        (json!({ "name": "a", "born": "2026-01-01" }), false),
        (json!({ "name": "a", "more": 1 }), false),
        (json!([]), false),
    ] {
        assert_eq!(takes(&*api, &body), fits, "{body}");
    }
    let numbers = load(&with_body(
        json!({ "items": { "type": "integer", "format": "int64" } }),
    ));
    let numbers = numbers.expect("a document");
    assert!(takes(&*numbers, &json!([i64::MAX, i64::MIN])));
    assert!(!takes(&*numbers, &json!([u64::MAX])) && !takes(&*numbers, &json!([1e30])));
}

#[test]
fn t36_where_a_body_does_not_fit_is_said_only_where_that_takes_little() {
    let at = "#/paths/~1x/post/requestBody/content/application~1json/schema/properties/a";
    let branch =
        |mark: &str| json!({ "properties": { "op": { "const": mark }, "x": { "$ref": at } } });
    let union = json!({ "properties": { "a": { "anyOf": [branch("a"), branch("b")] } } });
    let api = load(&with_body(union)).expect("a document");
    let fields = [("content-type", "application/json")];
    let Ok(WantedBody::Json { schema, .. }) = head(&*api, "POST /v1/x", &fields) else {
        panic!("no JSON is asked for");
    };
    for (levels, said) in [(1, "/a"), (4, "/a"), (14, ""), (60, "")] {
        let body = (0..levels).fold(json!({}), |x, _| json!({ "op": "c", "x": x }));
        let body = json!({ "a": body });
        assert!(!schema.fits(&body), "{levels}");
        assert_eq!(schema.misfit(&body), said, "{levels}");
    }
}

#[test]
fn t36_what_is_deep_wide_or_ambiguous_takes_bounded_time() {
    let node =
        json!({ "properties": { "n": { "$ref": "#/components/schemas/Node" } }, "type": "object" });
    let mut document = with_body(json!({ "$ref": "#/components/schemas/Node" }));
    document["components"]["schemas"]["Node"] =
        json!({ "oneOf": [node, node, { "anyOf": [node, node] }] });
    let api = load(&document).expect("a document");
    let deep = (0..60).fold(json!(7), |inner, _| json!({ "n": inner }));
    // What takes time that grows with a power of these would not end.
    assert!(!takes(&*api, &deep));
    let linear = load(&with_body(
        json!({ "pattern": "^(a+)+$", "uniqueItems": true }),
    ))
    .expect("a document");
    assert!(!takes(&*linear, &json!("a".repeat(100_000) + "b")));
    assert!(takes(&*linear, &(0..50_000).collect()));
}
