//! The service as it was before: an axum router over a list. It knows nothing of certificates or policies; [`Peer`] tells it who
//! is calling.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, patch};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use ztl_tower::Peer;

/// Most todos of the list, so that nobody fills the memory.
const MOST: usize = 1_000;

#[derive(Clone, Debug, Serialize)]
struct Todo {
    id: u64,
    text: String,
    done: bool,
    by: String,
}

#[derive(Debug, Deserialize)]
struct New {
    text: String,
}

#[derive(Debug, Deserialize)]
struct Change {
    text: Option<String>,
    done: Option<bool>,
}

#[derive(Debug, Default)]
struct List {
    todos: BTreeMap<u64, Todo>,
    last: u64,
}

type Shared = Arc<Mutex<List>>;

/// The routes.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/todos", get(all).post(add))
        .route("/todos/{id}", patch(change).delete(remove))
        .with_state(Shared::default())
}

async fn all(State(list): State<Shared>) -> Json<Vec<Todo>> {
    let list = list.lock().unwrap_or_else(PoisonError::into_inner);
    Json(list.todos.values().cloned().collect())
}

async fn add(
    State(list): State<Shared>,
    peer: Peer,
    Json(new): Json<New>,
) -> Result<(StatusCode, Json<Todo>), StatusCode> {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    if list.todos.len() >= MOST {
        return Err(StatusCode::INSUFFICIENT_STORAGE);
    }
    list.last += 1;
    let todo = Todo {
        id: list.last,
        text: new.text,
        done: false,
        by: peer.id().to_string(),
    };
    list.todos.insert(todo.id, todo.clone());
    Ok((StatusCode::CREATED, Json(todo)))
}

async fn change(
    State(list): State<Shared>,
    Path(id): Path<u64>,
    Json(change): Json<Change>,
) -> Result<Json<Todo>, StatusCode> {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    let todo = list.todos.get_mut(&id).ok_or(StatusCode::NOT_FOUND)?;
    if let Some(text) = change.text {
        todo.text = text;
    }
    if let Some(done) = change.done {
        todo.done = done;
    }
    Ok(Json(todo.clone()))
}

async fn remove(State(list): State<Shared>, Path(id): Path<u64>) -> StatusCode {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    match list.todos.remove(&id) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}
