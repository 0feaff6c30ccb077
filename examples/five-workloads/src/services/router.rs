//! The routing agent: decides which shelf a question belongs to, and has it searched.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::words::words;
use super::{Caller, Service};

/// What a question speaks of, and where that stands.
const SHELVES: [(&str, &str); 3] = [("lunch", "menu"), ("dinner", "menu"), ("leave", "handbook")];

pub(crate) fn routes(service: Service) -> Router {
    Router::new()
        .route("/v1/route", post(route))
        .with_state(service)
}

async fn route(
    State(service): State<Service>,
    caller: Caller,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    service.serve(&caller);
    let question = asked.get("question").and_then(Value::as_str);
    let question = question.ok_or(StatusCode::BAD_REQUEST)?;
    let path = format!("/v1/search/{}", shelf(question));
    let body = json!({ "query": question });
    service.out.post("retriever", &path, &body).await.map(Json)
}

fn shelf(question: &str) -> &'static str {
    let spoken = words(question);
    let known = SHELVES
        .iter()
        .find(|(word, _)| spoken.iter().any(|said| said == word));
    known.map_or("handbook", |(_, shelf)| shelf)
}
