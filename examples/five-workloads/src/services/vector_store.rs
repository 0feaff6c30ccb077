//! The vector store: collections of sentences, found by the angle between their vectors and that of a question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::routing::{delete, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::words::{cosine, embed};
use super::{Caller, Service};

const HANDBOOK: [&str; 4] = [
    "A new colleague has 27 days of leave in the first year.",
    "Whoever is ill says so before nine, and rests.",
    "Expenses are paid back within ten days of the receipt.",
    "Passwords are never told, least of all on the telephone.",
];
const MENU: [&str; 2] = [
    "Lunch is served from noon, on Fridays with cake.",
    "Dinner is served when a release goes wrong.",
];
const SALARIES: [&str; 2] = [
    "Ada earns 118 000 a year, and Grace 121 000.",
    "The director earns 240 000 a year and has a boat.",
];

type Collections = HashMap<&'static str, Vec<(&'static str, Vec<f64>)>>;

#[derive(Clone)]
struct Store {
    service: Service,
    collections: Arc<Mutex<Collections>>,
}

pub(crate) fn routes(service: Service) -> Router {
    let embedded = |sentences: &[&'static str]| {
        let with_vector = sentences
            .iter()
            .map(|sentence| (*sentence, embed(sentence)));
        with_vector.collect::<Vec<_>>()
    };
    let collections = HashMap::from([
        ("handbook", embedded(&HANDBOOK)),
        ("menu", embedded(&MENU)),
        ("salaries", embedded(&SALARIES)),
    ]);
    Router::new()
        .route("/v1/collections/{name}/query", post(query))
        .route("/v1/collections/{name}", delete(drop_collection))
        .with_state(Store {
            service,
            collections: Arc::new(Mutex::new(collections)),
        })
}

/// The sentences of a collection that are most like a vector, the best first.
async fn query(
    State(store): State<Store>,
    caller: Caller,
    Path(name): Path<String>,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    store.service.serve(&caller);
    let vector = asked.get("vector").and_then(Value::as_array);
    let vector: Vec<f64> = vector
        .ok_or(StatusCode::BAD_REQUEST)?
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    let collections = store
        .collections
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let sentences = collections.get(&*name).ok_or(StatusCode::NOT_FOUND)?;
    let mut scored: Vec<_> = sentences
        .iter()
        .map(|(sentence, known)| (cosine(&vector, known), *sentence))
        .collect();
    scored.sort_by(|one, two| two.0.total_cmp(&one.0));
    let best: Vec<_> = scored
        .iter()
        .take(2)
        .map(|(_, sentence)| *sentence)
        .collect();
    Ok(Json(json!({ "passages": best })))
}

async fn drop_collection(
    State(store): State<Store>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    store.service.serve(&caller);
    let mut collections = store
        .collections
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    collections.remove(&*name).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({ "dropped": name })))
}
