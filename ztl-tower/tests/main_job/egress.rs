//! The way out: whom we speak to, and what we ask.

use super::*;

#[tokio::test]
async fn egress_names_a_workload_and_proves_it() {
    let run = running().await;
    let audit = Arc::new(MemorySink::new(100));
    let retriever = run
        .mesh
        .builder("retriever", "/retriever", &audit)
        .endpoint("model-server", run.address)
        .build()
        .await
        .expect("guard");
    let client = retriever.client();
    for _ in 0..3 {
        let request = Request::post("https://model-server/v1/models/llama/infer")
            .body(Empty::<Bytes>::new())
            .expect("request");
        let response = client.request(request).await.expect("response");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response
                .extensions()
                .get::<ztl_tower::Peer>()
                .expect("peer")
                .id()
                .path(),
            "/model-server"
        );
        response.into_body().collect().await.expect("body");
    }
    assert_eq!(run.marker.calls(), 3);
    let flows = run
        .audit
        .lines()
        .iter()
        .filter(|line| line.contains("\"stage\":\"flow\""))
        .count();
    assert_eq!(flows, 1, "the connection is kept");
}

#[tokio::test]
async fn egress_refuses_before_a_byte_leaves() {
    let run = running().await;
    let audit = Arc::new(MemorySink::new(100));
    let retriever = run
        .mesh
        .builder("retriever", "/retriever", &audit)
        .endpoint("model-server", run.address)
        .build()
        .await
        .expect("guard");
    for (method, uri, reason) in [
        (
            "PUT",
            "https://model-server/v1/models/llama",
            "no_action_permitted",
        ),
        ("POST", "https://router/v1/route", "no_flow_permitted"),
        ("POST", "https://nobody/", "no_flow_permitted"),
        (
            "GET",
            "https://model-server/v1/models/%2e%2e",
            "path_ambiguous",
        ),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Empty::<Bytes>::new())
            .expect("request");
        let error = match retriever.client().request(request).await {
            Err(EgressError::Port { .. }) if uri.contains("router") => continue,
            Err(error) => error,
            Ok(response) => panic!("{uri}: {}", response.status()),
        };
        assert_eq!(
            error.denial().expect("a denial of our own").reason().code(),
            reason,
            "{uri}"
        );
    }
    assert_eq!(run.audit.taken(), 0, "the target was not even dialled");
    assert_eq!(run.marker.calls(), 0);
}

#[tokio::test]
async fn egress_takes_nobody_else_for_the_target() {
    let run = running().await;
    // Somebody with a real SVID of the mesh answers at the model server's address.
    let (listener, address) = listener().await;
    let mesh = Mesh {
        policy: policy(address.port()),
        authority: run.mesh.authority,
    };
    let text = mesh.policy.replace(
        "id = \"spiffe://prod.example/router\"",
        &format!(
            "id = \"spiffe://prod.example/router\"\nports = [{}]",
            address.port()
        ),
    );
    let audit = Arc::new(MemorySink::new(100));
    let impostor = mesh
        .builder("router", "/router", &audit)
        .policy(ztl_core::policy::Policy::from_toml(&text).expect("policy"))
        .build()
        .await
        .expect("guard");
    serve(&impostor, listener, Marker::default().app());
    let retriever = mesh
        .builder("retriever", "/retriever", &Arc::new(MemorySink::new(9)))
        .endpoint("model-server", address)
        .build()
        .await
        .expect("guard");
    let request = Request::post("https://model-server/v1/models/llama/infer")
        .body(Empty::<Bytes>::new())
        .expect("request");
    let error = retriever
        .client()
        .request(request)
        .await
        .expect_err("refused");
    assert!(matches!(error, EgressError::Unproven { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn egress_reports_a_refusal_at_the_targets_door() {
    let run = running().await;
    // The caller's own policy is out of date and permits what the target's does not.
    let generous = run
        .mesh
        .policy
        .replace("from = \"retriever\"", "from = [\"retriever\", \"router\"]");
    let audit = Arc::new(MemorySink::new(100));
    let router = run
        .mesh
        .builder("router", "/router", &audit)
        .policy(ztl_core::policy::Policy::from_toml(&generous).expect("policy"))
        .endpoint("model-server", run.address)
        .build()
        .await
        .expect("guard");
    // In TLS 1.3 the request is on its way before the target has judged: the refusal must not get lost in the race.
    for _ in 0..50 {
        let request = Request::post("https://model-server/v1/models/llama/infer")
            .body(Empty::<Bytes>::new())
            .expect("request");
        let error = router.client().request(request).await.expect_err("refused");
        assert!(
            matches!(error, EgressError::FlowRefused { .. }),
            "{error:?}"
        );
    }
    assert_eq!(run.marker.calls(), 0);
}

/// The token that a request came in with stays with whom it was shown to, unless the client is told otherwise, also where it was copied
/// into a request of one's own; another that is set on one is sent.
#[tokio::test]
async fn t27_an_inbound_authorization_is_not_handed_on() {
    let ((first, edge), (second, behind)) = (listener().await, listener().await);
    let mesh = Mesh::new(&format!(
        "schema = 1\ntrust_domain = 'prod.example'\n\
        [workloads.caller]\nid = 'spiffe://prod.example/caller'\n\
        [workloads.edge]\nid = 'spiffe://prod.example/edge'\nports = [{}]\n\
        [workloads.behind]\nid = 'spiffe://prod.example/behind'\nports = [{}]\n\
        [[permit]]\nfrom = 'caller'\nto = 'edge'\nactions = ['GET /{{how}}']\n\
        [[permit]]\nfrom = 'edge'\nto = 'behind'\nactions = ['GET /{{how}}']\n",
        edge.port(),
        behind.port(),
    ));
    let (target, _) = mesh.guard("behind", "/behind").await;
    let told = axum::Router::new().fallback(async |headers: http::HeaderMap| {
        let field = headers.get("authorization");
        field.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
    });
    serve(&target, second, told);

    let audit = Arc::new(MemorySink::new(99));
    let proxy = mesh.builder("edge", "/edge", &audit);
    let proxy = proxy.endpoint("behind", behind).build().await;
    let proxy = proxy.expect("guard");
    let client = proxy.client();
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let client = client.clone();
        async move {
            let (mut parts, body) = request.into_parts();
            let how = parts.uri.path().to_owned();
            let uri = format!("https://behind{how}").parse().expect("uri");
            let client = match how.as_str() {
                "/opted" | "/opted-copied" => client.pass_on_authorization(),
                _ => client,
            };
            let request = match how.as_str() {
                "/own" => {
                    let request = Request::get(uri).header("authorization", "of-the-edge");
                    request.body(body).expect("request")
                }
                "/copied" | "/called" | "/awaited" | "/opted-copied" => {
                    let mut request = Request::get(uri);
                    *request.headers_mut().expect("fields") = parts.headers;
                    request.body(body).expect("request")
                }
                _ => {
                    parts.uri = uri;
                    Request::from_parts(parts, body)
                }
            };
            let response = match how.as_str() {
                // As tonic does, and in a task of its own.
                "/called" => {
                    let mut client = client;
                    let called = tower::Service::call(&mut client, request);
                    tokio::spawn(called).await.expect("a task")
                }
                // As a buffer does, whose task calls and whose callers wait.
                "/awaited" => {
                    let mut client = client;
                    let call = move || tower::Service::call(&mut client, request);
                    let called = tokio::task::spawn_blocking(call).await;
                    called.expect("a task").await
                }
                _ => client.request(request).await,
            };
            let response = response.expect("response");
            axum::body::Body::new(response.into_body())
        }
    });
    serve(&proxy, first, app);

    let caller = mesh.builder("caller", "/caller", &audit);
    let caller = caller.endpoint("edge", edge).build().await.expect("guard");
    for (how, seen) in [
        ("handed-on", "none"),
        ("copied", "none"),
        ("called", "none"),
        ("awaited", "none"),
        ("own", "\"of-the-edge\""),
        ("opted", "\"of-the-user\""),
        ("opted-copied", "\"of-the-user\""),
    ] {
        let request = Request::get(format!("https://edge/{how}"));
        let request = request.header("authorization", "of-the-user");
        let request = request.body(Empty::<Bytes>::new()).expect("request");
        let response = caller.client().request(request).await.expect("response");
        let body = response.into_body().collect().await.expect("body");
        assert_eq!(body.to_bytes(), seen, "{how}");
    }
}
