//! Lists and objects as parameters, style by style: what OpenAPI 3.1.1 §4.8.12.6 writes fits, and what has a second reading does not.

use super::*;

const FITS: &str = "nothing false";

/// The schemas of OpenAPI's own table: each fits the one value that is written there.
fn color(kind: &str) -> Value {
    let number = json!({ "type": "integer" });
    match kind {
        "one" => json!({ "type": "string", "const": "blue" }),
        "list" => {
            json!({ "type": "array", "items": { "type": "string" }, "const": ["blue", "black", "brown"] })
        }
        _ => json!({
            "type": "object",
            "properties": { "R": number, "G": number, "B": number },
            "const": { "R": 100, "G": 200, "B": 150 }
        }),
    }
}

/// An operation with the parameter `color`.
fn with_color(place: &str, kind: &str, more: &Value) -> Arc<dyn BodySchema> {
    let mut parameter =
        json!({ "name": "color", "in": place, "required": true, "schema": color(kind) });
    let members = parameter.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("members").clone());
    let path = if place == "path" { "/x/{color}" } else { "/x" };
    load(&document(
        json!({ path: { "get": { "parameters": [parameter] } } }),
    ))
    .unwrap_or_else(|what| panic!("{what}"))
}

fn said(place: &str, kind: &str, more: &Value, text: &str) -> String {
    let api = with_color(place, kind, more);
    match place {
        "path" => ask(&*api, &format!("GET /v1/x/{text}"), &[]),
        "header" => ask(&*api, "GET /v1/x", &[("color", text)]),
        _ => ask(&*api, &format!("GET /v1/x?{text}"), &[]),
    }
}

#[test]
fn what_openapi_writes_is_read() {
    let (yes, no) = (json!({ "explode": true }), json!({ "explode": false }));
    let label = |explode: bool| json!({ "style": "label", "explode": explode });
    for (place, more, one, list, object) in [
        ("path", &no, "blue", "blue,black,brown", "R,100,G,200,B,150"),
        (
            "path",
            &yes,
            "blue",
            "blue,black,brown",
            "R=100,G=200,B=150",
        ),
        (
            "path",
            &label(false),
            ".blue",
            ".blue,black,brown",
            ".R,100,G,200,B,150",
        ),
        (
            "path",
            &label(true),
            ".blue",
            ".blue.black.brown",
            ".R=100.G=200.B=150",
        ),
        (
            "header",
            &no,
            "blue",
            "blue, black,brown",
            "R,100,G,200,B,150",
        ),
        (
            "header",
            &yes,
            "blue",
            "blue,black,brown",
            "R=100, G=200,B=150",
        ),
        (
            "query",
            &no,
            "color=blue",
            "color=blue,black,brown",
            "color=R,100,G,200,B,150",
        ),
        (
            "query",
            &yes,
            "color=blue",
            "color=blue&color=black&color=brown",
            "R=100&G=200&B=150",
        ),
    ] {
        for (kind, text) in [("one", one), ("list", list), ("object", object)] {
            assert_eq!(said(place, kind, more, text), FITS, "{place} {more} {text}");
        }
    }
    let deep = json!({ "style": "deepObject" });
    for text in [
        "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150",
        "color[B]=150&color[R]=100&color[G]=200",
    ] {
        assert_eq!(said("query", "object", &deep, text), FITS, "{text}");
    }
    // Where nothing is said: `simple` in paths and header fields, `form` and exploded in queries.
    let none = json!({});
    assert_eq!(said("path", "object", &none, "R,100,G,200,B,150"), FITS);
    assert_eq!(said("header", "object", &none, "R,100,G,200,B,150"), FITS);
    assert_eq!(said("query", "object", &none, "R=100&G=200&B=150"), FITS);
}

#[test]
fn an_object_has_one_reading() {
    let unfit = |place: &str| format!("has the {place} parameter `color`, which does not fit");
    let twice = |place: &str| format!("has the {place} parameter `color` in more than one reading");
    let member_twice =
        |name: &str| format!("has the query parameter `{name}` in more than one reading");
    let unknown =
        |name: &str| format!("has the query parameter `{name}`, which the operation does not name");
    let (yes, no) = (json!({ "explode": true }), json!({ "explode": false }));
    let label = |explode: bool| json!({ "style": "label", "explode": explode });
    let deep = json!({ "style": "deepObject" });
    let missing = "lacks the query parameter `color`".to_owned();
    for (place, more, text, says) in [
        // Names and values in turn.
        ("query", &no, "color=R,100,G,200,B", unfit("query")),
        ("query", &no, "color=R,100,G,200,B,150,", unfit("query")),
        ("query", &no, "color=R,100,G,200,B,150,X,1", unfit("query")),
        (
            "query",
            &no,
            "color=R,100,G,200,B,150,R,100",
            twice("query"),
        ),
        ("query", &no, "color=R,100,%52,100,B,150", twice("query")),
        ("query", &no, "color=R%2C100,G,200,B,150", twice("query")),
        ("query", &no, "color=R,100,G,200%2CB,150", twice("query")),
        (
            "query",
            &no,
            "color=R,100&color=G,200,B,150",
            twice("query"),
        ),
        ("query", &no, "color=R,100,G,%zz,B,150", twice("query")),
        ("query", &no, "color=R,100,G,200,B,%00", twice("query")),
        ("query", &no, "color=R,100,G,200,B,x", unfit("query")),
        ("query", &no, "color=", unfit("query")),
        ("query", &no, "R=100&G=200&B=150", unknown("R")),
        ("query", &no, "", missing.clone()),
        // Each member under its own name.
        ("query", &yes, "R=100&G=200&B=150&R=100", member_twice("R")),
        (
            "query",
            &yes,
            "R=100&G=200&B=150&%52=100",
            member_twice("R"),
        ),
        ("query", &yes, "R=100&G=200&B=1;B=150", member_twice("B")),
        (
            "query",
            &yes,
            "R=100&G=200&B=x",
            "has the query parameter `B`, which does not fit".to_owned(),
        ),
        // Law 7: of the object's own name, which nobody sent, nothing is said.
        (
            "query",
            &yes,
            "R=100&G=200&B=1",
            "has the query parameter `B`, which does not fit".to_owned(),
        ),
        ("query", &yes, "R=100&G=200&X=1", unknown("X")),
        ("query", &yes, "color=R,100,G,200,B,150", unknown("color")),
        ("query", &yes, "color[R]=100", unknown("color[R]")),
        ("query", &yes, "", missing.clone()),
        // In brackets.
        (
            "query",
            &deep,
            "color[R]=100&color[G]=200&color[B]=150&color%5bR%5d=100",
            twice("query"),
        ),
        (
            "query",
            &deep,
            "color[R]=100&color[X]=1",
            unknown("color[X]"),
        ),
        ("query", &deep, "color[R][a]=100", unknown("color[R][a]")),
        ("query", &deep, "color[[R]]=100", unknown("color[[R]]")),
        ("query", &deep, "color[]=100", unknown("color[]")),
        ("query", &deep, "color[R=100", unknown("color[R")),
        ("query", &deep, "colour[R]=100", unknown("colour[R]")),
        ("query", &deep, "color.R=100", unknown("color.R")),
        ("query", &deep, "color=100", unknown("color")),
        ("query", &deep, "R=100", unknown("R")),
        ("query", &deep, "color[R]=100", unfit("query")),
        ("query", &deep, "", missing),
        // In a segment.
        ("path", &no, "R=100,G=200,B=150", unfit("path")),
        ("path", &no, "R,100,G,200,B,150%2C", twice("path")),
        ("path", &yes, "R,100,G,200,B,150", unfit("path")),
        ("path", &yes, "R=100,G=200,B=150,B=150", twice("path")),
        ("path", &yes, "R=100,G=200,B=150=", twice("path")),
        ("path", &yes, "R=100,G=200,B%3D=150", twice("path")),
        ("path", &yes, "R=100,G=200,B=1%2C50", twice("path")),
        ("path", &yes, "R=100,G=200,X=1", unfit("path")),
        ("path", &label(false), "R,100,G,200,B,150", unfit("path")),
        ("path", &label(false), ".R,100,G,200,B,1.50", twice("path")),
        ("path", &label(true), ".R=100.G=200.B=1.50", unfit("path")),
        ("path", &label(true), "..R=100.G=200.B=150", unfit("path")),
        ("path", &label(true), ".R=100,G=200,B=150", twice("path")),
        // In a header field, where nothing is escaped.
        ("header", &no, "R,100,G,200,B,\"150\"", twice("header")),
        ("header", &yes, "R=\"1,G=2\",B=3", twice("header")),
        ("header", &yes, "R=100,G= 200,B=150", twice("header")),
        ("header", &yes, "R=100,G =200,B=150", twice("header")),
        ("header", &yes, "R=%31,G=200,B=150", unfit("header")),
    ] {
        assert_eq!(
            said(place, "object", more, text),
            says,
            "{place} {more} {text}"
        );
    }
    let api = with_color("header", "object", &no);
    let lines = [("color", "R,100"), ("color", "G,200,B,150")];
    assert_eq!(ask(&*api, "GET /v1/x", &lines), twice("header"));
}

#[test]
fn a_list_has_one_reading() {
    let twice = |place: &str| format!("has the {place} parameter `color` in more than one reading");
    let label = |explode: bool| json!({ "style": "label", "explode": explode });
    for (place, more, text) in [
        // RFC 6570 §3.2.5: a dot adds a label; and OpenAPI 3.1.0 parts lists by it.
        ("path", label(false), ".blue.black.brown"),
        ("header", json!({}), "blue,\"black,brown\""),
    ] {
        let api = with_color(place, "list", &more);
        let said = match place {
            "path" => ask(&*api, &format!("GET /v1/x/{text}"), &[]),
            _ => ask(&*api, "GET /v1/x", &[("color", text)]),
        };
        assert_eq!(said, twice(place), "{place} {text}");
    }
    assert_eq!(said("path", "one", &label(true), ".b.lue"), twice("path"));
    // Why `matrix` is refused, and why a dot has no escape to hide behind.
    assert!(CanonicalPath::parse("/v1/x/;color=blue").is_err());
    assert!(CanonicalPath::parse("/v1/x/.blue%2Eblack").is_err());
}

#[test]
fn members_are_read_as_what_their_schemas_say() {
    let text = json!({ "type": "string" });
    let filter = json!({
        "type": "object",
        "required": ["name"],
        "allOf": [{ "$ref": "#/components/schemas/Base" }],
        "properties": { "name": text, "deep": { "type": "boolean" }, "id": { "$ref": "#/components/schemas/Id" } },
        "additionalProperties": { "type": ["integer", "string"], "maxLength": 2 }
    });
    let mut document = with_parameters(json!([
        { "name": "f", "in": "query", "style": "deepObject", "schema": filter },
        { "name": "g", "in": "query", "explode": false, "schema": filter },
        { "name": "page", "in": "query", "schema": {
            "type": ["object", "null"],
            "properties": { "limit": { "type": "integer", "maximum": 9 }, "after": text },
            "dependentRequired": { "after": ["limit"] }
        } },
        { "name": "q", "in": "query", "schema": text }
    ]));
    document["components"]["schemas"]["Base"] = json!({
        "anyOf": [{ "properties": { "size": { "type": "number" } } }, { "required": ["deep"] }]
    });
    let api = load(&document).unwrap_or_else(|what| panic!("{what}"));
    let unfit = |name: &str| format!("has the query parameter `{name}`, which does not fit");
    for (query, says) in [
        ("", FITS.to_owned()),
        ("f[name]=a", FITS.to_owned()),
        ("f[name]=", FITS.to_owned()),
        ("f[name]=7&f[deep]=true&f[id]=1", FITS.to_owned()),
        ("f[deep]=true", unfit("f")),
        ("f[name]=a&f[deep]=1", unfit("f")),
        ("f[name]=a&f[id]=0", unfit("f")),
        ("f[name]=a&f[more]=ab&f[much]=4711", FITS.to_owned()),
        ("f[name]=a&f[more]=abc", unfit("f")),
        ("g=name,a,more,ab", FITS.to_owned()),
        ("g=name,a,more,abc", unfit("g")),
        ("limit=9&after=x&q=y", FITS.to_owned()),
        ("limit=10", unfit("limit")),
        ("after=x", unfit("after")),
        (
            "size=1.5",
            "has the query parameter `size`, which the operation does not name".to_owned(),
        ),
    ] {
        assert_eq!(
            ask(&*api, &format!("GET /v1/x?{query}"), &[]),
            says,
            "{query}"
        );
    }
}

#[test]
fn what_has_no_one_reading_refuses_the_document() {
    let text = json!({ "type": "string" });
    let object = |properties: Value| json!({ "type": "object", "properties": properties });
    let a = object(json!({ "a": text }));
    let parameter = |more: Value| {
        let mut parameter = json!({ "name": "p", "in": "query", "schema": a });
        let members = parameter.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("members").clone());
        parameter
    };
    let schema = |schema: Value| json!([parameter(json!({ "schema": schema }))]);
    let open = json!({ "type": "object", "additionalProperties": text });
    let many: Value = (0..257)
        .map(|at| (format!("m{at}"), text.clone()))
        .collect();
    for (parameters, says) in [
        (schema(open.clone()), "a name of its own"),
        (
            json!([parameter(json!({})), { "name": "a", "in": "query", "schema": text }]),
            "the name `a`",
        ),
        (
            json!([parameter(json!({})), parameter(json!({ "name": "o" }))]),
            "the name `a`",
        ),
        (
            json!([parameter(json!({ "style": "deepObject" })), { "name": "p[b]", "in": "query", "schema": text }]),
            "the name `p[b]`",
        ),
        (
            json!([parameter(
                json!({ "style": "deepObject", "explode": false })
            )]),
            "exploded",
        ),
        (
            json!([parameter(
                json!({ "style": "deepObject", "schema": object(json!({ "a[b]": text })) })
            )]),
            "brackets",
        ),
        (
            json!([parameter(json!({ "allowEmptyValue": true }))]),
            "`allowEmptyValue`",
        ),
        (json!([parameter(json!({ "in": "cookie" }))]), "cookies"),
        (
            schema(object(json!({ "a": { "type": "array" } }))),
            "within an object",
        ),
        (schema(object(json!({ "a": a }))), "within an object"),
        (schema(object(json!({ "a": {} }))), "which `type`"),
        (
            schema(object(json!({ "a": { "type": "null" } }))),
            "no type",
        ),
        (schema(object(json!({}))), "without members"),
        (
            schema(json!({ "type": "object", "patternProperties": { "^a": text } })),
            "by patterns",
        ),
        (
            schema(json!({ "type": "object", "additionalProperties": true })),
            "which `type`",
        ),
        (
            schema(json!({ "type": "object", "additionalProperties": {} })),
            "which `type`",
        ),
        (
            schema(json!({ "type": ["object", "string"] })),
            "a single value",
        ),
        (
            schema(json!({ "type": "array", "items": a })),
            "lists of objects",
        ),
        (schema(object(many)), "more than 256 members"),
    ] {
        let refusal = load(&with_parameters(parameters)).err().unwrap_or_default();
        assert!(refusal.starts_with("at `#/"), "{says}: {refusal}");
        assert!(refusal.contains(says), "{says}: {refusal}");
    }
    let many: Value = (0..250)
        .map(|at| (format!("m{at}"), text.clone()))
        .collect();
    let mut large = document(json!({}));
    large["components"]["schemas"]["Many"] = object(many);
    large["paths"] = (0..263)
        .map(|at| {
            let many = json!({ "$ref": "#/components/schemas/Many" });
            let parameters =
                json!([{ "name": "p", "in": "query", "style": "deepObject", "schema": many }]);
            (
                format!("/{at}"),
                json!({ "get": { "parameters": parameters } }),
            )
        })
        .collect();
    let refusal = load(&large).err().unwrap_or_default();
    assert!(refusal.contains("more than 65536 members"), "{refusal}");
}
