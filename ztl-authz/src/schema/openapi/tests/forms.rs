//! Forms: which bodies are one object, and which documents say so.

use super::*;

const FORM: &str = "application/x-www-form-urlencoded";

/// A document whose `POST /v1/x` takes a form.
fn with_form(schema: Value, encoding: Value) -> Value {
    let content = json!({ FORM: { "schema": schema, "encoding": encoding } });
    document(
        json!({ "/x": { "post": { "requestBody": { "content": content, "required": true } } } }),
    )
}

/// What a body is: `fits`, `unfit`, or the misfit's own text.
fn send(api: &dyn BodySchema, body: &str) -> String {
    let fields = [("content-type", FORM)];
    let Ok(WantedBody::Form {
        form,
        schema,
        required: true,
    }) = head(api, "POST /v1/x", &fields)
    else {
        panic!("no form is asked for");
    };
    match form.read(body.as_bytes()) {
        Ok(value) if schema.fits(&value) => "fits".to_owned(),
        Ok(value) => format!("unfit {}", form.sent(&schema.misfit(&value))),
        Err(misfit) => misfit.to_string(),
    }
}

fn loaded(schema: Value, encoding: Value) -> Arc<dyn BodySchema> {
    load(&with_form(schema, encoding)).unwrap_or_else(|what| panic!("{what}"))
}

#[test]
fn a_form_is_an_object_of_what_its_fields_say() {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer" });
    let point =
        json!({ "type": "object", "required": ["x"], "properties": { "x": number, "y": number } });
    let api = loaded(
        json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": text,
                "age": { "type": "integer", "maximum": 150 },
                "tag": { "type": "array", "maxItems": 2, "items": { "enum": ["a", "b"] } },
                "ids": { "type": "array", "items": number },
                "at": point,
                "to": point,
                "box": { "type": "object", "properties": { "w": { "type": "integer", "minimum": 1 }, "h": number }, "required": ["w"] },
                "pet": { "$ref": "#/components/schemas/Pet" },
                "born": { "type": "string", "format": "date", "readOnly": true }
            }
        }),
        json!({
            "name": { "contentType": "text/plain" },
            "ids": { "explode": false },
            "at": { "style": "deepObject" },
            "to": { "style": "form", "explode": false },
            "box": { "style": "form", "allowReserved": true },
            "pet": { "contentType": "application/json" }
        }),
    );
    let twice = |name: &str| format!("has the field `{name}` in more than one reading");
    let unfit = |name: &str| format!("has the field `{name}`, which does not fit");
    let unknown = |name: &str| format!("has the field `{name}`, which nobody asked for");
    let fits = || "fits".to_owned();
    for (body, says) in [
        ("name=a", fits()),
        ("name=a+b%20c&age=7", fits()),
        ("%6Eame=a", fits()),
        ("name=a&tag=a&tag=b", fits()),
        ("name=a&ids=1,2,3", fits()),
        ("name=a&at[x]=1&at%5By%5D=2", fits()),
        ("name=a&to=x,1,y,2", fits()),
        ("name=a&w=1&h=2", fits()),
        ("name=a&pet=%7B%22name%22:%22b%22%7D", fits()),
        ("", "unfit ".to_owned()),
        ("age=7", "unfit ".to_owned()),
        ("name=a&age=151", "unfit /age".to_owned()),
        ("name=a&age=x", unfit("age")),
        ("name=a&age=", unfit("age")),
        ("name=a&age=%2B7", unfit("age")),
        ("name=a&tag=a&tag=b&tag=a", "unfit /tag".to_owned()),
        ("name=a&at[y]=1", "unfit /at".to_owned()),
        (
            "name=a&pet=%7B%22name%22:%22B%22%7D",
            "unfit /pet/name".to_owned(),
        ),
        (
            "name=a&pet=%7B%22name%22:1,%22name%22:%22b%22%7D",
            unfit("pet"),
        ),
        ("name=a&born=2026-01-01", "unfit /born".to_owned()),
        // What nobody asked for, or asked for in another way.
        ("name=a&more=1", unknown("more")),
        ("name=a&Name=b", unknown("Name")),
        ("name=a&at=x,1", unknown("at")),
        ("name=a&at[z]=1", unknown("at[z]")),
        ("name=a&at[x][y]=1", unknown("at[x][y]")),
        ("name=a&box=w,1", unknown("box")),
        ("name=a&tag[]=a", unknown("tag[]")),
        ("name=a&ids=1&ids=2", twice("ids")),
        ("name=a&to=x,1,x,1", twice("to")),
        ("name=a&to=x", unfit("to")),
        // Another reader may take the first, or the last.
        ("name=a&name=b", twice("name")),
        ("name=a&%6eame=b", twice("name")),
        ("name=a;age=7", twice("name")),
        ("name=%", twice("name")),
        ("name=%zz", twice("name")),
        ("name=%ff", twice("name")),
        ("name=a%00b", twice("name")),
        ("%ff=a", twice("%ff")),
        ("name=a&at[x]=1&at%5bx%5d=1", twice("at")),
        ("name=a&w=1&w=1", twice("w")),
        // Law 7: of the object's own name, which nobody sent, nothing is said.
        ("name=a&w=0", "unfit /w".to_owned()),
        ("name=a&h=1", "unfit ".to_owned()),
        ("name=a&ids=1%2C2", twice("ids")),
        // WHATWG URL §5.2 escapes all of these.
        ("name=a b", "is no form".to_owned()),
        ("name=a\r\n", "is no form".to_owned()),
        ("name=\u{e9}", "is no form".to_owned()),
        ("name=\0", "is no form".to_owned()),
    ] {
        assert_eq!(send(&*api, body), says, "{body}");
    }
    let WantedBody::Form { form, .. } =
        head(&*api, "POST /v1/x", &[("content-type", FORM)]).expect("a form")
    else {
        panic!("no form");
    };
    assert!(form.read(b"name=\xe9").is_err(), "no UTF-8");
}

#[test]
fn fields_that_nothing_names_have_the_type_of_all_others() {
    let api = loaded(
        json!({
            "type": "object",
            "properties": { "name": { "type": "string" } },
            "additionalProperties": { "type": "integer", "minimum": 1 },
            "maxProperties": 3
        }),
        json!({}),
    );
    for (body, says) in [
        ("name=a&b=1&c=2", "fits"),
        ("name=a&b=1&c=2&d=3", "unfit "),
        ("b=0", "unfit /b"),
        ("b=x", "has the field `b`, which does not fit"),
        ("b=1&b=1", "has the field `b` in more than one reading"),
        ("b[c]=1", "has the field `b[c]` in more than one reading"),
    ] {
        assert_eq!(send(&*api, body), says, "{body}");
    }
}

#[test]
fn how_many_fields_and_how_long_their_names_are_is_bounded() {
    let list = json!({ "type": "array", "items": { "type": "integer" } });
    let api = loaded(
        json!({ "type": "object", "properties": { "a": list }, "additionalProperties": { "type": "string" } }),
        json!({}),
    );
    let times = |count: usize| vec!["a=1"; count].join("&");
    assert_eq!(send(&*api, &times(4096)), "fits");
    let many = "has more fields or longer names than are read";
    assert_eq!(send(&*api, &times(4097)), many);
    assert_eq!(send(&*api, &format!("{}=1", "b".repeat(1024))), "fits");
    assert_eq!(send(&*api, &format!("{}=1", "b".repeat(1025))), many);
    assert_eq!(send(&*api, &format!("{}%=1", "b".repeat(1025))), many);
}

#[test]
fn a_form_that_cannot_be_read_refuses_the_document() {
    let text = json!({ "type": "string" });
    let inner = json!({ "type": "object", "properties": { "x": text } });
    let object = |properties: Value| json!({ "type": "object", "properties": properties });
    let of = |encoding: Value| {
        (
            object(json!({ "a": text, "o": inner, "l": { "type": "array" } })),
            encoding,
        )
    };
    let o = json!({ "style": "deepObject" });
    for ((schema, encoding), says) in [
        (
            (json!({ "type": "array" }), json!({})),
            "a form is an object",
        ),
        (
            (json!({ "properties": { "a": text } }), json!({})),
            "which `type`",
        ),
        ((object(json!({ "a": {} })), json!({})), "which `type`"),
        // OpenAPI 3.1.0 and 3.1.1 differ on what is written where nothing is said.
        (of(json!({})), "how the object is written"),
        (of(json!({ "o": {} })), "how the object is written"),
        (
            of(json!({ "o": { "contentType": "text/plain" } })),
            "how the object is written",
        ),
        (
            of(json!({ "o": { "contentType": "application/xml" } })),
            "neither `text/plain` nor JSON",
        ),
        (
            of(json!({ "o": { "contentType": "text/plain, application/json" } })),
            "neither",
        ),
        (
            of(json!({ "o": { "contentType": "application/json", "style": "form" } })),
            "write one of them",
        ),
        (of(json!({ "o": { "style": "simple" } })), "no style of"),
        (
            of(json!({ "o": { "style": "pipeDelimited" } })),
            "cannot be read",
        ),
        (of(json!({ "o": { "headers": {} } })), "`headers`"),
        (
            of(json!({ "o": o, "a": { "style": "deepObject" } })),
            "is for objects",
        ),
        (
            of(json!({ "o": o, "l": { "contentType": "application/json" } })),
            "whether the list is JSON",
        ),
        (of(json!({ "o": o, "b": {} })), "no such property"),
        (
            (
                object(json!({ "x": text, "o": inner })),
                json!({ "o": { "style": "form" } }),
            ),
            "two fields have the name `x`",
        ),
        (
            (
                object(json!({ "o[x]": text, "o": inner })),
                json!({ "o": o }),
            ),
            "two fields have the name `o[x]`",
        ),
        (
            (
                json!({ "type": "object", "properties": { "o": inner }, "additionalProperties": text }),
                json!({ "o": o }),
            ),
            "`additionalProperties`",
        ),
        (
            (
                object(json!({ "l": { "type": "array", "items": inner } })),
                json!({}),
            ),
            "lists of objects",
        ),
        (
            (
                object(
                    (0..257)
                        .map(|at| (format!("m{at}"), text.clone()))
                        .collect(),
                ),
                json!({}),
            ),
            "more than 256 members",
        ),
    ] {
        let refusal = load(&with_form(schema, encoding)).err().unwrap_or_default();
        assert!(refusal.starts_with("at `#/"), "{says}: {refusal}");
        assert!(refusal.contains(says), "{says}: {refusal}");
    }
    // Without a schema the bytes pass, whatever their type.
    for media in [FORM, "multipart/form-data"] {
        let content = json!({ media: {} });
        let api = load(&document(
            json!({ "/x": { "post": { "requestBody": { "content": content } } } }),
        ));
        let kind = format!("{media};boundary=a");
        let api = api.expect("a document");
        assert_eq!(
            ask(&*api, "POST /v1/x", &[("content-type", &kind)]),
            "bytes false"
        );
    }
}
