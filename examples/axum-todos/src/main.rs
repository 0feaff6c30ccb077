//! A list of todos behind ztl. It is served and called in one process: `planner` keeps the list, `report` reads it, and what
//! `report` tries beyond that is refused before the router sees it.

mod todos;

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::http::Request;
use dev_mesh::{Authority, Failed};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use ztl_tower::{EgressError, Guard};

/// What the list permits.
const POLICY: &str = include_str!("../policy.toml");
/// What its callers permit themselves: nobody has to take their word for it.
const TAKEN_OVER: &str = include_str!("../taken-over.toml");
/// Where it listens; the policy names the port.
const ADDRESS: &str = "127.0.0.1:28451";

/// What is asked, by whom, and how it must be answered.
const WALK: &[(&str, &str, &str, &str, u16)] = &[
    (
        "planner",
        "POST",
        "/todos",
        r#"{"text":"write the policy"}"#,
        201,
    ),
    ("planner", "PATCH", "/todos/1", r#"{"done":true}"#, 200),
    ("report", "GET", "/todos", "", 200),
    ("report", "DELETE", "/todos/1", "", 403),
    ("report", "POST", "/todos", r#"{"text":"let me in"}"#, 403),
    ("planner", "GET", "/todos/1", "", 403),
    ("planner", "DELETE", "/todos/x", "", 403),
    ("planner", "DELETE", "/todos/%31", "", 400),
    ("planner", "DELETE", "/todos/1", "", 204),
];

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let authority = Authority::new("todos.example")?;
    let guard = authority.guard("todos", POLICY)?.build().await?;

    // These two lines were `let listener = ..` and `axum::serve(listener, todos::router())` before.
    let listener = TcpListener::bind(ADDRESS).await?;
    let serving = tokio::spawn(guard.serve_listener(listener, todos::router()));

    let failed = walk(&authority).await?;
    guard.shutdown();
    serving.await??;
    if failed > 0 {
        return Err(format!("{failed} answers were not as they must be").into());
    }
    Ok(())
}

async fn walk(authority: &Authority) -> Result<usize, Failed> {
    let address: SocketAddr = ADDRESS.parse()?;
    let mut guards = Vec::new();
    for name in ["planner", "report"] {
        let guard = authority
            .guard(name, TAKEN_OVER)?
            .endpoint("todos", address);
        guards.push((name, guard.build().await?));
    }
    let mut failed = 0;
    for (name, method, path, body, want) in WALK {
        let Some((_, guard)) = guards.iter().find(|(of, _)| of == name) else {
            continue;
        };
        let (status, answer) = ask(guard, method, path, body).await?;
        let verdict = if status == *want {
            "as it must"
        } else {
            "WRONG"
        };
        println!("{name:8} {method:6} {path:12} {status} {verdict}: {answer}");
        failed += usize::from(status != *want);
    }
    Ok(failed)
}

/// Asks as the guard's workload. What its own policy refuses already never leaves the process.
async fn ask(
    guard: &Guard,
    method: &str,
    path: &str,
    body: &'static str,
) -> Result<(u16, String), Failed> {
    let request = Request::builder()
        .method(method)
        .uri(format!("https://todos{path}"))
        .header("content-type", "application/json")
        .body(Body::from(Bytes::from_static(body.as_bytes())))?;
    match guard.client().request(request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            let answer = response.into_body().collect().await?.to_bytes();
            Ok((status, String::from_utf8_lossy(&answer).into_owned()))
        }
        Err(error @ EgressError::Ambiguous { .. }) => Ok((400, format!("not sent: {error}"))),
        Err(error) => Err(error.into()),
    }
}
