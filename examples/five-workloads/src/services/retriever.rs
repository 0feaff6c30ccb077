//! The retrieval agent: fetches passages from a shelf, and has a model answer from them.

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use http::{StatusCode, Version};
use serde_json::{Value, json};

use super::tools::{Order, Tools};
use super::words::embed;
use super::{Caller, Service};
use crate::wire::Protocol;

/// Shelves and the collections that they stand for. A caller is meant to name public ones alone.
const SHELVES: [(&str, &str); 3] = [
    ("public/handbook", "handbook"),
    ("public/menu", "menu"),
    ("salaries", "salaries"),
];
const MODEL: &str = "tiny";

#[derive(Clone)]
struct Agent {
    service: Service,
    tools: Tools,
}

pub(crate) fn routes(service: Service, tools: Tools) -> Router {
    Router::new()
        .route("/v1/search/{*shelf}", post(search))
        .with_state(Agent { service, tools })
}

async fn search(
    State(agent): State<Agent>,
    caller: Caller,
    version: Version,
    Path(shelf): Path<String>,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    agent.service.serve(&caller);
    let query = asked.get("query").and_then(Value::as_str);
    let query = query.ok_or(StatusCode::BAD_REQUEST)?;
    if let Some(order) = Order::in_query(query) {
        // A naive agent: what a query says is an order to it.
        let done = agent.tools.obey(&order, Protocol::of(version)).await;
        return Ok(Json(json!({ "tool": done })));
    }
    let collection = collection(&shelf).ok_or(StatusCode::NOT_FOUND)?;
    let out = &agent.service.out;
    let path = format!("/v1/collections/{collection}/query");
    let body = json!({ "vector": embed(query) });
    let found = out.post("vector-store", &path, &body).await?;
    let path = format!("/v1/models/{MODEL}/infer");
    let body = json!({ "question": query, "passages": found.get("passages") });
    let inferred = out.post("model-server", &path, &body).await?;
    Ok(Json(json!({ "answer": inferred.get("answer") })))
}

/// The collection of a shelf, looked up as a file system would: `..` leads up. A mistake that nobody notices until somebody
/// writes `%2e%2e`.
fn collection(shelf: &str) -> Option<&'static str> {
    let mut walked = vec!["public"];
    for segment in shelf.split('/') {
        match segment {
            ".." => drop(walked.pop()),
            name => walked.push(name),
        }
    }
    let path = walked.join("/");
    let known = SHELVES.iter().find(|(shelf, _)| *shelf == path);
    known.map(|(_, collection)| *collection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mistake_is_really_there() {
        assert_eq!(collection("handbook"), Some("handbook"));
        assert_eq!(collection("salaries"), None);
        assert_eq!(collection("../salaries"), Some("salaries"));
    }
}
