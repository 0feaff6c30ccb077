//! `schema` with an OpenAPI document: whole requests.

use super::schema::Files;
use super::*;

const DOCUMENT: &str = r##"{
    "openapi": "3.1.0",
    "info": { "title": "tuning", "version": "1" },
    "servers": [{ "url": "/v1" }],
    "paths": {
        "/models": { "get": { "parameters": [
            { "name": "limit", "in": "query", "schema": { "type": "integer", "maximum": 100 } },
            { "name": "x-depth", "in": "header", "required": true, "schema": { "enum": ["flat"] } }
        ] } },
        "/models/{model}": {
            "parameters": [{ "name": "model", "in": "path", "required": true, "schema": { "type": "string", "maxLength": 4 } }],
            "post": { "requestBody": { "required": true, "content": {
                "application/json": { "schema": { "$ref": "#/components/schemas/Tuning" } },
                "application/octet-stream": {}
            } } }
        },
        "/notes": { "post": { "requestBody": { "content": {
            "application/json": { "schema": { "type": "array" } }
        } } } },
        "/search": {
            "get": { "parameters": [
                { "name": "by", "in": "query", "style": "deepObject", "schema": { "$ref": "#/components/schemas/Search" } },
                { "name": "page", "in": "query", "schema": { "type": "object", "properties": { "size": { "type": "integer", "maximum": 9 } } } }
            ] },
            "post": { "requestBody": { "content": { "application/x-www-form-urlencoded": {
                "schema": { "$ref": "#/components/schemas/Search" }
            } } } }
        },
        "/fields": { "post": { "requestBody": { "required": true, "content": { "application/x-www-form-urlencoded": {
            "schema": { "type": "object", "properties": { "a": { "type": "string" } } }
        } } } } }
    },
    "components": { "schemas": { "Search": {
        "type": "object",
        "required": ["text"],
        "properties": { "text": { "type": "string", "maxLength": 8 }, "steps": { "type": "integer" } }
    }, "Tuning": {
        "type": "object",
        "required": ["steps"],
        "additionalProperties": false,
        "properties": { "steps": { "type": "integer", "format": "int32" } }
    } } }
}"##;

const JSON: (&str, &str) = ("content-type", "application/json");
const BYTES: (&str, &str) = ("content-type", "application/octet-stream");
const FLAT: (&str, &str) = ("x-depth", "flat");

async fn ask(
    run: &Running,
    request: &str,
    fields: &[(&str, &str)],
    body: impl Into<Body>,
) -> Response<Bytes> {
    let (method, uri) = request.split_once(' ').expect("a method and a target");
    let mut request = super::request(method, fields, body);
    *request.uri_mut() = uri.parse().expect("a target");
    run.ask(CALLER, request).await
}

#[tokio::test]
async fn a_request_is_an_operation_of_the_document_or_is_refused() {
    let run = Files::new("openapi", DOCUMENT).run(|it| it).await;
    for (request, fields, body, status) in [
        ("GET /v1/models", &[FLAT][..], "", 200),
        ("GET /v1/models?limit=%31%30", &[FLAT, JSON], "", 200),
        ("GET /v1/models?limit=101", &[FLAT], "", 422),
        ("GET /v1/models?limit=1&limit=1", &[FLAT], "", 400),
        ("GET /v1/models?limit=1&%6Cimit=1", &[FLAT], "", 400),
        ("GET /v1/models?other=1", &[FLAT], "", 422),
        ("GET /v1/models", &[], "", 422),
        ("GET /v1/models", &[FLAT, FLAT], "", 400),
        ("GET /v1/models", &[FLAT, JSON], "{}", 415),
        ("GET /v1/else", &[FLAT], "", 422),
        ("POST /v1/models", &[FLAT], "", 422),
        ("POST /v1/models/tiny", &[JSON], r#"{"steps":1}"#, 200),
        ("POST /v1/models/large", &[JSON], r#"{"steps":1}"#, 422),
        (
            "POST /v1/models/tiny",
            &[JSON],
            r#"{"steps":2147483648}"#,
            422,
        ),
        (
            "POST /v1/models/tiny",
            &[JSON],
            r#"{"steps":1,"steps":2}"#,
            400,
        ),
        (
            "POST /v1/models/tiny",
            &[JSON, ("content-encoding", "gzip")],
            "{}",
            415,
        ),
        ("POST /v1/models/tiny", &[JSON], "", 400),
        ("POST /v1/models/tiny", &[], "", 400),
        (
            "POST /v1/models/tiny",
            &[("content-type", "text/plain")],
            "{}",
            415,
        ),
        ("POST /v1/models/tiny", &[BYTES], "any bytes", 200),
        ("POST /v1/models/tiny", &[BYTES], "", 400),
        ("POST /v1/notes", &[], "", 200),
        ("POST /v1/notes", &[JSON], "", 200),
        ("POST /v1/notes", &[JSON], "[]", 200),
        ("POST /v1/notes", &[JSON], "{}", 422),
    ] {
        let calls = run.calls();
        let answered = ask(&run, request, fields, body).await;
        let what = format!("{request} {fields:?} {body}");
        assert_eq!(answered.status(), status, "{what}");
        if status == 200 {
            assert_eq!(
                answered.body(),
                &body.len().to_string(),
                "byte for byte: {what}"
            );
        } else {
            assert_eq!(
                (run.calls(), run.last_reason()),
                (calls, "body_unfit".to_owned()),
                "{what}"
            );
            assert_eq!(problem(&answered)["decision"], record(&run)["id"], "{what}");
        }
    }
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    assert_eq!(
        ask(&run, "POST /v1/notes", &[JSON], deep).await.status(),
        400
    );
}

#[tokio::test]
async fn law_7_a_caller_learns_of_names_that_it_sent_and_of_no_values() {
    let run = Files::new("openapi-law-7", DOCUMENT).run(|it| it).await;
    for (request, fields, body, says) in [
        (
            "GET /v1/models?limit=4711",
            &[FLAT][..],
            "",
            Some(("parameter", "limit")),
        ),
        (
            "GET /v1/models?mine=4711",
            &[FLAT],
            "",
            Some(("parameter", "mine")),
        ),
        ("GET /v1/models", &[], "", None),
        ("POST /v1/models/4711x", &[JSON], "{}", None),
        (
            "POST /v1/models/tiny",
            &[JSON],
            r#"{"steps":"4711"}"#,
            Some(("pointer", "/steps")),
        ),
    ] {
        let said = problem(&ask(&run, request, fields, body).await);
        let error = &said["errors"][0];
        let told = ["parameter", "pointer"]
            .into_iter()
            .find_map(|key| Some((key, error[key].as_str()?)));
        assert_eq!(told, says, "{request}: {said}");
        let text = said["errors"].to_string();
        assert!(
            !text.contains("4711") && !text.contains("x-depth") && !text.contains("model"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_body_is_read_as_far_as_it_has_to_be() {
    let run = Files::new("openapi-bounds", DOCUMENT)
        .run(|it| it.max_schema_body(16))
        .await;
    let path = "POST /v1/models/tiny";
    let long = chunks(&["{\"steps\"", ":         ", "1}"]);
    assert_eq!(ask(&run, path, &[JSON], long).await.status(), 413);
    // Any bytes are taken as they come, however many there are.
    let long = chunks(&["", "12345678", "12345678", "12345678"]);
    assert_eq!(ask(&run, path, &[BYTES], long).await.body(), "24");
    assert_eq!(
        ask(&run, path, &[BYTES], chunks(&["", ""])).await.status(),
        400
    );
    assert_eq!(run.calls(), 1);
}

#[tokio::test]
async fn log_only_lets_whole_requests_through() {
    let run = Files::new("openapi-log-only", DOCUMENT)
        .run(GuardBuilder::allow_unfit_bodies)
        .await;
    for (request, body) in [
        ("GET /v1/else?limit=x", ""),
        ("POST /v1/models/large", "no JSON"),
        ("POST /v1/notes", "{}"),
    ] {
        let answered = ask(&run, request, &[JSON], body).await;
        assert_eq!(answered.body(), &body.len().to_string(), "{request}");
    }
    assert_eq!(run.calls(), 3);
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn objects_as_parameters_and_forms_have_one_reading_or_are_refused() {
    let run = Files::new("openapi-forms", DOCUMENT).run(|it| it).await;
    let latin = (
        FORM.0,
        "application/x-www-form-urlencoded; charset=iso-8859-1",
    );
    for (request, fields, body, status, says) in [
        ("GET /v1/search?by[text]=a&size=9", &[][..], "", 200, ""),
        ("GET /v1/search?by%5Btext%5D=a", &[], "", 200, ""),
        ("GET /v1/search?by[text]=4711x4711", &[], "", 422, "by"),
        (
            "GET /v1/search?by[text]=a&by[more]=4711",
            &[],
            "",
            422,
            "by[more]",
        ),
        (
            "GET /v1/search?by[text]=4711&by[text]=a",
            &[],
            "",
            400,
            "by",
        ),
        // Nobody sent the name of the object itself.
        ("GET /v1/search?size=4711", &[], "", 422, "size"),
        ("GET /v1/search?size=4711x", &[], "", 422, "size"),
        ("POST /v1/search", &[FORM], "text=a+b&steps=1", 200, ""),
        ("POST /v1/search", &[FORM], "text=%C3%A9", 200, ""),
        (
            "POST /v1/search",
            &[FORM],
            "text=a&steps=4711x",
            422,
            "/steps",
        ),
        ("POST /v1/search", &[FORM], "text=a&x~y=4711", 422, "/x~0y"),
        ("POST /v1/search", &[FORM], "text=4711x4711", 422, "/text"),
        ("POST /v1/search", &[FORM], "text=4711&text=a", 400, "/text"),
        (
            "POST /v1/search",
            &[FORM],
            "text=4711;steps=1",
            400,
            "/text",
        ),
        ("POST /v1/search", &[FORM], "text=4711%", 400, "/text"),
        ("POST /v1/search", &[FORM], "text=a b", 400, ""),
        // One without fields is one: the service may read it as such.
        ("POST /v1/search", &[FORM], "", 422, ""),
        ("POST /v1/search", &[], "", 200, ""),
        ("POST /v1/fields", &[FORM], "", 400, ""),
        ("POST /v1/fields", &[FORM], "a=", 200, ""),
        ("POST /v1/search", &[latin], "text=a", 415, ""),
        (
            "POST /v1/search",
            &[FORM, ("content-encoding", "gzip")],
            "text=a",
            415,
            "",
        ),
        ("POST /v1/search", &[FORM, FORM], "text=a", 415, ""),
        ("POST /v1/search", &[JSON], "{\"text\":\"a\"}", 415, ""),
    ] {
        let calls = run.calls();
        let answered = ask(&run, request, fields, body).await;
        let what = format!("{request} {body}");
        assert_eq!(answered.status(), status, "{what}");
        if status == 200 {
            assert_eq!(answered.body(), &body.len().to_string(), "{what}");
            continue;
        }
        assert_eq!(run.calls(), calls, "{what}");
        assert_eq!(run.last_reason(), "body_unfit", "{what}");
        let said = problem(&answered);
        let told = [
            &said["errors"][0]["parameter"],
            &said["errors"][0]["pointer"],
        ];
        let told = told.into_iter().find_map(Value::as_str).unwrap_or_default();
        assert_eq!(told, says, "{what}");
        assert!(
            !said["errors"].to_string().contains("4711"),
            "law 7: {said}"
        );
    }
    let long = format!("{}=1", "a".repeat(1025));
    let answered = ask(&run, "POST /v1/search", &[FORM], long).await;
    assert_eq!(answered.status(), 400);
    assert!(
        answered.body().len() < 1024,
        "no name of any length is said again"
    );
}
