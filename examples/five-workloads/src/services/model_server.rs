//! The model server: answers a question from passages, and takes a new model in place of an old one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::words::{cosine, embed};
use super::{Caller, Service};

/// A model, as small as they come.
#[derive(Clone, Debug)]
enum Model {
    /// Says the passage that is most like the question.
    Extracts,
    /// Says the same to everything.
    Says(String),
}

#[derive(Clone)]
struct Models {
    service: Service,
    loaded: Arc<Mutex<HashMap<String, Model>>>,
}

pub(crate) fn routes(service: Service) -> Router {
    let loaded = HashMap::from([("tiny".to_owned(), Model::Extracts)]);
    Router::new()
        .route("/v1/models/{model}/infer", post(infer))
        .route("/v1/models/{model}", axum::routing::put(swap))
        .with_state(Models {
            service,
            loaded: Arc::new(Mutex::new(loaded)),
        })
}

async fn infer(
    State(models): State<Models>,
    caller: Caller,
    Path(model): Path<String>,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    models.service.serve(&caller);
    let question = asked.get("question").and_then(Value::as_str);
    let question = embed(question.ok_or(StatusCode::BAD_REQUEST)?);
    let loaded = models.loaded.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = match loaded.get(&model).ok_or(StatusCode::NOT_FOUND)? {
        Model::Says(text) => text.clone(),
        Model::Extracts => {
            let passages = asked.get("passages").and_then(Value::as_array);
            let passages = passages.into_iter().flatten().filter_map(Value::as_str);
            let alike = |passage: &str| cosine(&question, &embed(passage));
            passages
                .max_by(|one, two| alike(one).total_cmp(&alike(two)))
                .unwrap_or("I do not know.")
                .to_owned()
        }
    };
    Ok(Json(json!({ "answer": answer })))
}

async fn swap(
    State(models): State<Models>,
    caller: Caller,
    Path(model): Path<String>,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    models.service.serve(&caller);
    let says = asked.get("says").and_then(Value::as_str);
    let says = says.ok_or(StatusCode::BAD_REQUEST)?.to_owned();
    let mut loaded = models.loaded.lock().unwrap_or_else(PoisonError::into_inner);
    loaded.insert(model.clone(), Model::Says(says));
    Ok(Json(json!({ "swapped": model })))
}
