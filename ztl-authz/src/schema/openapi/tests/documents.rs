//! What refuses a document, and where it says so.

use super::*;

fn refusal(document: &Value) -> String {
    load(document).err().unwrap_or_default()
}

#[test]
fn what_cannot_be_kept_to_is_refused_with_its_place() {
    let parameter = |more: Value| {
        let mut parameter = json!({ "name": "a", "in": "query", "schema": { "type": "string" } });
        let members = parameter.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("members").clone());
        with_parameters(json!([parameter]))
    };
    let media = |key: &str, value: Value| {
        let content = json!({ key: value });
        document(json!({ "/x": { "post": { "requestBody": { "content": content } } } }))
    };
    let path = |path: &str| document(json!({ path: { "get": {} } }));
    let text = json!({ "type": "string" });
    for (document, says) in [
        (
            parameter(json!({ "style": "deepObject" })),
            "0/schema`: `deepObject` is for objects",
        ),
        (
            parameter(json!({ "style": "pipeDelimited" })),
            "0/style`: cannot be read",
        ),
        (
            parameter(json!({ "style": "label" })),
            "0/style`: is no style of a query parameter",
        ),
        (
            parameter(json!({ "in": "path", "required": true, "style": "matrix" })),
            "0/style`: the style `matrix` cannot be read",
        ),
        (
            parameter(json!({ "style": "table" })),
            "0/style`: is no style",
        ),
        (
            parameter(json!({ "in": "path", "required": true })),
            "no `{a}`",
        ),
        (parameter(json!({ "in": "body" })), "`in`"),
        (parameter(json!({ "in": "path" })), "required"),
        (
            parameter(json!({ "required": "yes" })),
            "0/required`: has to be true or false",
        ),
        (parameter(json!({ "requird": true })), "`requird`"),
        (parameter(json!({ "content": {} })), "either"),
        (
            parameter(json!({ "schema": { "type": "object" } })),
            "an object without members",
        ),
        (parameter(json!({ "schema": {} })), "which `type`"),
        (
            parameter(json!({ "schema": { "type": "null" } })),
            "no type",
        ),
        (
            parameter(json!({ "schema": { "type": ["array", "string"] } })),
            "a list and a single value",
        ),
        (
            parameter(json!({ "schema": { "type": "array", "items": { "type": "array" } } })),
            "lists within lists",
        ),
        (
            parameter(json!({ "in": "cookie", "schema": { "type": "array" } })),
            "cookies",
        ),
        (
            parameter(json!({ "schema": { "$ref": "#/components/schemas/Gone" } })),
            "leads to nothing",
        ),
        (
            parameter(json!({ "schema": { "$ref": "https://schemas.example/a.json" } })),
            "`https://schemas.example/a.json` leads out",
        ),
        (
            with_parameters(json!([{ "$ref": "common.json#/a" }])),
            "`common.json#/a` leads out",
        ),
        (
            with_parameters(json!([{ "$ref": "#/components/parameters/A" }])),
            "leads to nothing",
        ),
        (
            with_parameters(json!([{ "$ref": "#/paths/~1x/get/parameters/0" }])),
            "in a row",
        ),
        (
            with_parameters(json!([{ "$ref": "#/x", "required": true }])),
            "`required`",
        ),
        (
            with_parameters(json!([
                { "name": "a", "in": "query", "schema": text },
                { "name": "a", "in": "query", "schema": text }
            ])),
            "two parameters",
        ),
        (
            media("application/xml", json!({ "schema": { "type": "object" } })),
            "only JSON",
        ),
        (
            media(
                "multipart/form-data",
                json!({ "schema": { "type": "object" } }),
            ),
            "`multipart` have more than one reading",
        ),
        (
            media("application/json; version=1", json!({})),
            "without parameters",
        ),
        (media("json", json!({})), "no media type"),
        (media("*/json", json!({})), "no range"),
        (
            with_body(json!({ "$ref": "other.json" })),
            "schema`: `$ref` to `other.json` leads out",
        ),
        (
            with_body(json!({ "items": { "$id": "https://a.example/" } })),
            "schema/items`: `$id`",
        ),
        (
            with_body(json!({ "items": { "$dynamicRef": "#a" } })),
            "`$dynamicRef`",
        ),
        (
            with_body(json!({ "dependencies": {} })),
            "`dependentRequired`",
        ),
        (
            with_body(json!({ "$schema": "http://json-schema.org/draft-04/schema#" })),
            "dialect",
        ),
        (
            with_body(json!({ "oneOf": [{ "discriminator": { "propertyName": "a" } }] })),
            "oneOf/0`: `discriminator`",
        ),
        // What a schema says and nobody keeps to, or what is misspelt.
        (
            with_body(json!({ "maxlength": 5 })),
            "schema`: `maxlength` is unknown",
        ),
        (
            with_body(json!({ "properties": { "a": { "type": "string", "nullable": true } } })),
            "properties/a`: `nullable` cannot be kept to: add `null`",
        ),
        (
            with_body(json!({ "items": { "contentEncoding": "base64" } })),
            "`contentEncoding`",
        ),
        (
            with_body(json!({ "contentMediaType": "text/xml" })),
            "`contentMediaType`",
        ),
        (with_body(json!({ "contentSchema": {} })), "`contentSchema`"),
        (
            with_body(json!({ "const": 1, "id": "a" })),
            "`id` is unknown",
        ),
        (
            parameter(json!({ "schema": { "type": "string", "minLenght": 1 } })),
            "`minLenght` is unknown",
        ),
        (
            with_body(json!({ "required": ["a"], "properties": { "a": { "readOnly": true } } })),
            "`a`, which is `readOnly`",
        ),
        (
            with_body(json!({ "type": "objekt" })),
            "schema/type`: is no schema",
        ),
        (
            with_body(json!({ "items": { "$ref": "#/info/title" } })),
            "`#/info/title`: is no schema",
        ),
        (
            with_body(json!({ "minimum": 1, "exclusiveMinimum": true })),
            "exclusiveMinimum",
        ),
        (with_body(json!({ "format": "unheard-of" })), "unheard-of"),
        (with_body(json!({ "pattern": "(?=a)b" })), "regex"),
        (with_body(json!({ "pattern": "(a)\\1" })), "regex"),
        (
            with_body(json!({ "pattern": "((a{1000}){1000}){1000}" })),
            "regex",
        ),
        (path("x"), "begin with `/`"),
        (path("/a.{format}"), "neither all text nor one parameter"),
        (path("/{}"), "neither"),
        (path("/{a}/{a}"), "twice"),
        (path("/{a}"), "lacks the path's parameter `a`"),
        (path("/a//b"), "empty segment"),
        (path("/a/../b"), ".."),
        (path("/a%2Fb"), "escapes"),
        (
            document(json!({ "/x": { "get": { "servers": [] } } })),
            "`servers`",
        ),
        (document(json!({ "/x": { "gett": {} } })), "`gett`"),
        (document(json!({ "/x/{a}": {}, "/x/{b}": {} })), "same path"),
        (
            document(json!({ "/x": { "post": { "requestBody": {} } } })),
            "lacks `content`",
        ),
    ] {
        let refusal = refusal(&document);
        assert!(refusal.starts_with("at `#/"), "{refusal}");
        assert!(refusal.contains(says), "{says}: {refusal}");
    }
}

#[test]
fn a_media_type_that_is_there_twice_refuses_the_document() {
    let strict = json!({ "schema": { "type": "integer" } });
    for (one, two) in [
        ("application/json", "application/json; charset=utf-8"),
        ("application/json", "Application/JSON"),
        ("application/*", "application/*;charset=UTF-8"),
        ("*/*", "*/* "),
    ] {
        for (first, second) in [(json!({}), strict.clone()), (strict.clone(), json!({}))] {
            let content = json!({ one: first, two: second });
            let paths = json!({ "/x": { "post": { "requestBody": { "content": content } } } });
            let refusal = refusal(&document(paths));
            assert!(refusal.contains("same media type"), "{two}: {refusal}");
        }
    }
    let content = json!({ "application/json": strict, "application/*": {}, "*/*": {} });
    let paths = json!({ "/x": { "post": { "requestBody": { "content": content } } } });
    assert_eq!(refusal(&document(paths)), "");
}

#[test]
fn what_is_said_of_a_schema_beside_what_it_asks_is_let_through() {
    let says = json!({
        "$comment": "a", "$defs": { "a": { "nullable": true } }, "definitions": {}, "title": "a",
        "description": "a", "default": { "maxlength": 1 }, "deprecated": true, "writeOnly": false,
        "example": {}, "examples": [{ "nullable": true }], "externalDocs": {}, "xml": {}, "x-a": {},
        "properties": { "maxlength": {}, "nullable": {} }, "required": ["nullable"],
        "enum": [{ "maxlength": 1, "nullable": 2 }]
    });
    let api = load(&with_body(says)).expect("a document");
    assert!(takes(&*api, &json!({ "maxlength": 1, "nullable": 2 })));
}

#[test]
fn another_version_server_or_form_is_refused() {
    let with = |name: &str, value: Value| {
        let mut document = document(json!({}));
        document[name] = value;
        refusal(&document)
    };
    for version in [json!("3.0.3"), json!("3.2.0"), json!("3.10.0"), json!(3.1)] {
        assert!(with("openapi", version).contains("another version than 3.1"));
    }
    assert!(refusal(&json!({ "swagger": "2.0" })).contains("another version"));
    assert!(with("pathes", json!({})).contains("`pathes`"));
    assert!(with("paths", Value::Null).contains("object"));
    assert!(with("jsonSchemaDialect", json!("https://a.example/")).contains("dialect"));
    for url in [
        "https://a.example/{base}",
        "v1",
        "https://a.example/%2e%2e",
        "/a?b",
    ] {
        assert!(
            with("servers", json!([{ "url": url }])).contains("`#/servers/0`"),
            "{url}"
        );
    }
    let yaml =
        std::collections::BTreeMap::from([("api.yaml".to_owned(), b"openapi: 3.1.0".to_vec())]);
    let files = crate::schema::Schemas::new(Arc::new(yaml));
    let refused = ztl_core::schema::SchemaCompiler::compile(&files, "api.yaml");
    assert!(refused.expect_err("YAML").contains("yq -o json"));
}

#[test]
fn size_depth_and_number_are_bounded() {
    let compiled = |text: &str| compile(text.as_bytes()).err().unwrap_or_default();
    let long = format!(
        "{{\"openapi\":\"3.1.0\",\"x-a\":\"{}\"}}",
        "a".repeat(4 << 20)
    );
    assert!(compiled(&long).contains("longer than 4194304"));
    let deep = format!("{{\"openapi\":{}{}}}", "[".repeat(64), "]".repeat(64));
    assert!(compiled(&deep).contains("more than 64 deep"));
    assert!(compiled("{\"openapi\":\"3.1.0\",\"openapi\":\"3.1.1\"}").contains("twice"));
    let paths: Value = (0..4097).map(|at| (format!("/{at}"), json!({}))).collect();
    assert!(refusal(&document(paths)).contains("more than 4096 paths"));
    let list: Value = (0..257)
        .map(
            |at| json!({ "name": format!("p{at}"), "in": "query", "schema": { "type": "string" } }),
        )
        .collect();
    assert!(refusal(&with_parameters(list)).contains("more than 256 parameters"));
    // What refers to much, from many places, is counted for each of them.
    let mut large = with_body(json!({}));
    let many: Value = (0..3000).map(|_| json!({})).collect();
    large["components"]["schemas"]["Many"] = json!({ "allOf": many });
    large["paths"] = (0..100)
        .map(|at| {
            let schema = json!({ "items": { "$ref": "#/components/schemas/Many" } });
            let content = json!({ "application/json": { "schema": schema } });
            (
                format!("/{at}"),
                json!({ "post": { "requestBody": { "content": content } } }),
            )
        })
        .collect();
    assert!(refusal(&large).contains("more than 200000 parts"));
    // As many ways to a type as there are, few of them are gone.
    let mut wide = with_parameters(
        json!([{ "name": "a", "in": "query", "schema": { "$ref": "#/components/schemas/0" } }]),
    );
    for at in 0..40 {
        let next = json!({ "$ref": format!("#/components/schemas/{}", at + 1) });
        wide["components"]["schemas"][at.to_string()] = json!({ "anyOf": [next, next, next] });
    }
    wide["components"]["schemas"]["40"] = json!({ "type": "string" });
    assert!(refusal(&wide).contains("which `type`"));
}

#[test]
fn what_speaks_of_answers_is_not_read() {
    let mut document = document(json!({ "/x": {
        "get": {
            "responses": { "200": { "content": { "application/xml": { "schema": { "$ref": "gone" } } } } },
            "callbacks": { "a": {} },
            "security": [{ "key": [] }],
            "x-extra": 1
        },
        "trace": { "requestBody": 7 }
    } }));
    document["components"]["schemas"]["Answer"] = json!({ "discriminator": {}, "$ref": "gone" });
    let api = load(&document).expect("a document");
    assert_eq!(ask(&*api, "GET /v1/x", &[]), "nothing false");
}

#[test]
fn law_1_a_schema_that_asks_itself_the_same_again_refuses_the_document() {
    let of = |a: Value, b: Value| {
        let mut document = with_body(json!({ "$ref": "#/components/schemas/A" }));
        let schemas = &mut document["components"]["schemas"];
        (schemas["A"], schemas["B"]) = (a, b);
        document
    };
    let (a, b) = (
        json!({ "$ref": "#/components/schemas/A" }),
        json!({ "$ref": "#/components/schemas/B" }),
    );
    let integer = json!({ "type": "integer" });
    for (one, other) in [
        (a.clone(), json!({})),
        (b.clone(), a.clone()),
        (json!({ "anyOf": [a, integer] }), json!({})),
        (json!({ "anyOf": [b, integer] }), json!({ "not": a })),
        (json!({ "if": b }), json!({ "then": { "oneOf": [a] } })),
        (
            json!({ "items": b }),
            json!({ "dependentSchemas": { "a": b } }),
        ),
    ] {
        let refusal = refusal(&of(one, other));
        assert!(
            refusal.starts_with("at `#/components/schemas/"),
            "{refusal}"
        );
        assert!(refusal.contains("leads back to itself"), "{refusal}");
    }
    // Told by the reference that leads on, and not by one beside it.
    let beside = of(json!({ "$ref": b["$ref"], "anyOf": [a] }), json!({}));
    let says = "at `#/components/schemas/A/anyOf/0`: `$ref` to `#/components/schemas/A` leads back";
    let said = refusal(&beside);
    assert!(said.starts_with(says), "{said}");
    // It may ask itself of what is within.
    let list = json!({ "anyOf": [integer, b] });
    let api = load(&of(list, json!({ "type": "array", "items": a }))).expect("a document");
    assert!(takes(&*api, &json!([1, [2, []]])) && !takes(&*api, &json!([1, ["a"]])));
}

#[test]
fn references_are_read_as_pointers() {
    // A pointer may be written with the escapes of a fragment (RFC 6901 section 6).
    let content = "#/paths/~1a~1%7Bid%7D/post/requestBody/content/application~1json/schema";
    let body = |schema: Value| json!({ "post": { "requestBody": { "content": { "application/json": { "schema": schema } } } } });
    let id =
        json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    let mut with_id = body(json!({ "type": "string" }));
    with_id["parameters"] = id;
    let paths = json!({ "/a/{id}": with_id, "/x": body(json!({ "$ref": content })) });
    let api = load(&super::document(paths)).expect("a document");
    assert!(takes(&*api, &json!("a")) && !takes(&*api, &json!(1)));
}
