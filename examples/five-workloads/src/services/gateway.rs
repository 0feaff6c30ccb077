//! The gateway: the one door to the outside. Users come with a token, and leave with an answer.

use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use ztl_core::Claims;

use super::{Caller, Service};

pub(crate) fn routes(service: Service) -> Router {
    Router::new().route("/ask", post(ask)).with_state(service)
}

async fn ask(
    State(service): State<Service>,
    caller: Caller,
    user: Option<Extension<Claims>>,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    service.serve(&caller);
    let question = asked.get("question").ok_or(StatusCode::BAD_REQUEST)?;
    let body = json!({ "question": question });
    let routed = service.out.post("router", "/v1/route", &body).await?;
    let user = user.and_then(|Extension(claims)| claims.subject().map(str::to_owned));
    Ok(Json(
        json!({ "user": user, "answer": routed.get("answer") }),
    ))
}
