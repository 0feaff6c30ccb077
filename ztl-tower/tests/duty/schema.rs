//! `schema`.

use std::path::PathBuf;

use ztl_tower::Refused;

use super::*;

const SCHEMA: &str = r#"{
    "type": "object",
    "required": ["model"],
    "additionalProperties": false,
    "properties": {
        "model": { "type": "string", "pattern": "^[a-z]+$" },
        "steps": { "type": "array", "items": { "type": "integer", "maximum": 9 } }
    }
}"#;

/// A policy file with a schema beside it, in a folder that goes with it.
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn new(name: &str, schema: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("ztl-duty-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let files = Self(folder);
        files.write("tune.json", schema);
        files.write("policy.toml", &policy("schema = \"tune.json\"", ""));
        files
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
    }

    pub(super) async fn run(&self, change: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Running {
        let mesh = Mesh::new(&policy("max_body = 1", ""));
        let path = self.0.join("policy.toml");
        Running::of(&mesh, |mesh, audit| {
            let builder = mesh.builder("gateway", "/gateway", audit);
            let every = std::time::Duration::from_millis(10);
            change(builder.policy_file(path).reload_every(every))
        })
        .await
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn post(run: &Running, body: impl Into<Body>) -> Response<Bytes> {
    run.ask(CALLER, request("POST", &[JSON], body)).await
}

#[tokio::test]
async fn a_body_fits_its_schema_or_the_caller_learns_where_it_does_not() {
    let run = Files::new("fits", SCHEMA)
        .run(|it| it.max_schema_body(4096))
        .await;
    let fits = r#"{ "model": "tiny", "steps": [1, 2] }"#;
    let answered = post(&run, fits).await;
    assert_eq!(answered.status(), StatusCode::OK);
    assert_eq!(answered.body(), &fits.len().to_string(), "byte for byte");
    let refused = post(&run, r#"{ "model": "tiny", "steps": [1, 4711] }"#).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let said = problem(&refused);
    assert_eq!(said["errors"][0]["pointer"], "/steps/1");
    assert!(!said.to_string().contains("4711"), "law 7: {said}");
    // What is logged of it has nothing of the caller's.
    let why = refused.extensions().get::<Refused>().expect("why");
    let detail = "the body does not fit the schema";
    assert_eq!(
        (why.detail(), why.place()),
        (Some(detail), Some("/steps/1"))
    );
    assert_eq!(
        (&record(&run)["reason"], &said["decision"]),
        (&"body_unfit".into(), &record(&run)["id"])
    );
    let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
    for (body, status) in [
        (r#"{"model":"a","model":"b"}"#.to_owned(), 400),
        (deep, 400),
        (r#"{"model":"a"} {}"#.to_owned(), 400),
        (String::new(), 400),
        (r#"{"model":"A"}"#.to_owned(), 422),
        (format!("{{\"model\":\"{}\"}}", "a".repeat(5000)), 413),
    ] {
        assert_eq!(post(&run, body.clone()).await.status(), status, "{body}");
    }
    for fields in [
        &[][..],
        &[("content-type", "text/plain")],
        &[JSON, JSON],
        &[JSON, ("content-encoding", "gzip")],
        // As CGI takes them.
        &[JSON, ("content_encoding", "gzip")],
        &[JSON, ("content_type", "application/xml")],
        &[("content_type", "application/json")],
    ] {
        let refused = run.ask(CALLER, request("POST", fields, fits)).await;
        assert_eq!(
            refused.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{fields:?}"
        );
    }
    assert_eq!(run.calls(), 1);
}

#[tokio::test]
async fn a_body_that_grows_past_its_bound_before_it_was_read_is_too_large_once() {
    let files = Files::new("both", SCHEMA);
    let both = "schema = \"tune.json\"\nmax_body = 10";
    files.write("policy.toml", &policy(both, ""));
    let run = files.run(|it| it).await;
    let before = run.audit.lines().len();
    let grows = chunks(&["{ \"model\": ", "\"tiny\" }"]);
    let refused = post(&run, grows).await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let reasons = reasons(&run.audit).split_off(before);
    assert_eq!(reasons.last().expect("a record"), "body_too_large");
    assert!(!reasons.contains(&"body_unfit".to_owned()), "{reasons:?}");
    assert_eq!(run.calls(), 0);
}

#[tokio::test]
async fn law_8_who_is_denied_while_a_body_comes_does_not_reach_the_service() {
    let run = Files::new("denied", SCHEMA).run(|it| it).await;
    let body = |deny: bool| {
        let (guard, mut sent) = (run.guard.clone(), 0);
        Body::new(http_body_util::StreamBody::new(Frames(Box::new(
            move || {
                sent += 1;
                if sent == 2 && deny {
                    let caller = ztl_core::SpiffeId::parse("spiffe://prod.example/caller");
                    guard.deny(ztl_mtls::Denied::Id(caller.expect("id")));
                }
                ["{ \"model\": ", "\"tiny\" }"].get(sent - 1).copied()
            },
        ))))
    };
    assert_eq!(post(&run, body(false)).await.status(), StatusCode::OK);
    let refused = post(&run, body(true)).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!((run.calls(), &*run.last_reason()), (1, "flow_withdrawn"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t24_a_body_that_fits_the_schema_of_before_does_not_pass_by_it() {
    let files = Arc::new(Files::new("changed", SCHEMA));
    let run = files.run(|it| it).await;
    let before = run.guard.engine().policy().revision();
    let (guard, changes, mut sent) = (run.guard.clone(), Arc::clone(&files), 0);
    let body = Frames(Box::new(move || {
        sent += 1;
        if sent == 2 {
            changes.write("tune.json", r#"{ "type": "array" }"#);
            let taken = || guard.engine().policy().revision() != before;
            let waits = || std::thread::sleep(std::time::Duration::from_millis(5));
            assert!(
                (0..6000).any(|_| {
                    waits();
                    taken()
                }),
                "the schema is taken"
            );
        }
        ["{ \"model\": ", "\"tiny\" }"].get(sent - 1).copied()
    }));
    let refused = post(&run, Body::new(http_body_util::StreamBody::new(body))).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!((run.calls(), &*run.last_reason()), (0, "flow_withdrawn"));
}

#[tokio::test]
async fn log_only_lets_through_what_it_would_refuse_whole() {
    let run = Files::new("log-only", SCHEMA)
        .run(|it| it.max_schema_body(8).allow_unfit_bodies())
        .await;
    for body in ["7", "no JSON", "{\"model\":\"longer than eight bytes\"}"] {
        let answered = post(&run, body).await;
        assert_eq!(answered.status(), StatusCode::OK, "{body}");
        assert_eq!(answered.body(), &body.len().to_string());
    }
    let answered = post(&run, chunks(&["{\"a\":", "1234567", "890}"])).await;
    assert_eq!(answered.body(), "16");
    let answered = run.ask(CALLER, request("POST", &[], "plain")).await;
    assert_eq!(answered.body(), "5");
}

#[tokio::test]
async fn t24_the_revision_covers_the_schema_and_a_changed_one_is_taken() {
    let files = Files::new("reload", SCHEMA);
    let run = files.run(|it| it).await;
    let before = run.guard.engine().policy().revision();
    assert_eq!(
        post(&run, r#"{"model":"a"}"#).await.status(),
        StatusCode::OK
    );
    files.write("tune.json", r#"{ "type": "array" }"#);
    let policy = || run.guard.engine().policy().revision();
    support::until("the schema is taken", || policy() != before).await;
    assert_eq!(
        post(&run, r#"{"model":"a"}"#).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[tokio::test]
async fn what_is_no_schema_of_one_file_refuses_the_policy() {
    for (schema, says) in [
        (r#"{"$ref": "https://schemas.example/x.json"}"#, "schema"),
        (r#"{"$ref": "other.json"}"#, "schema"),
        (r##"{"$ref": "#"}"##, "leads back"),
        (r##"{"allOf": [{"$ref": "#"}]}"##, "leads back"),
        (r#"{"pattern": "(?=a)b"}"#, "schema"),
        (r#"{"pattern": "(a)\\1"}"#, "schema"),
        (r#"{"format": "unheard-of"}"#, "format"),
        (r#"{"type": "objekt"}"#, "objekt"),
        (r#"{"type": "object", "type": "array"}"#, "twice"),
        ("", "JSON"),
    ] {
        let files = Files::new("refused", schema);
        let mesh = Mesh::new(&policy("max_body = 1", ""));
        let builder = mesh.builder("gateway", "/gateway", &Arc::new(MemorySink::new(1)));
        let built = builder
            .policy_file(files.0.join("policy.toml"))
            .build()
            .await;
        let error = built.expect_err(schema).to_string();
        assert!(
            error.contains("tune.json") && error.contains(says),
            "{schema}: {error}"
        );
    }
}

#[tokio::test]
async fn a_schema_that_nobody_has_read_fits_nothing() {
    let run = Running::new("schema = \"tune.json\"", "").await;
    assert_eq!(post(&run, "{}").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(run.last_reason(), "obligation_unknown");
}

#[tokio::test]
async fn t36_a_pattern_that_backtracks_elsewhere_takes_linear_time() {
    let run = Files::new("linear", r#"{"type": "string", "pattern": "^(a+)+$"}"#)
        .run(|it| it)
        .await;
    let body = format!("\"{}b\"", "a".repeat(100_000));
    let began = tokio::time::Instant::now();
    assert_eq!(
        post(&run, body).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert!(began.elapsed() < support::PATIENCE);
}
