//! A page behind the browser layer, and another site that asks for what it must not get.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::response::{Html, Response};
use axum::routing::{get, post};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use ztl_tower::browser::{Browser, CrossSite, Csp, Integrity};

use crate::Failed;

const PAGE: &str = include_str!("../pages/page.html");
const OWN: &str = include_str!("../pages/own.js");
const CHANGED: &str = include_str!("../pages/changed.js");
const ELSEWHERE: &str = include_str!("../pages/elsewhere.html");

/// The page, its assets, and a place for notes. Scripts come from here alone, and one that is not what the page names does not run.
/// What happened is written to the files `notes` and `refused` of `folder`.
pub(crate) fn guarded(folder: &Path) -> Result<Router, Failed> {
    let csp = Csp::none().script("self")?.connect("self")?;
    let page = PAGE.replace("INTEGRITY", &Integrity::of(OWN.as_bytes()).to_string());
    let script =
        |text: &'static str| get(async move || ([(CONTENT_TYPE, "text/javascript")], text));
    let notes = Arc::new(folder.join("notes"));
    let refused = Arc::new(folder.join("refused"));
    let note = async move |headers: HeaderMap| {
        let site = headers.get("sec-fetch-site").cloned();
        append(&notes, &format!("from {site:?}"));
        "noted"
    };
    // Within: nothing gets to the routes but what the layer lets through. Without: why it did not.
    let tell = move |response: Response| {
        if let Some(why) = response.extensions().get::<CrossSite>() {
            append(&refused, &why.to_string());
        }
        core::future::ready(response)
    };
    Ok(Router::new()
        .route("/", get(async move || Html(page)))
        .route("/own.js", script(OWN))
        .route("/changed.js", script(CHANGED))
        .route("/note", post(note))
        .layer(Browser::new(csp))
        .layer(axum::middleware::map_response(tell)))
}

/// Another site, by plain HTTP: its page has a script that sends a note to ours, and shows our page in a frame.
pub(crate) fn elsewhere(service: &str) -> Router {
    let page = ELSEWHERE.replace("SERVICE", service);
    Router::new().route("/", get(async move || Html(page)))
}

fn append(path: &PathBuf, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{line}"));
    if let Err(error) = written {
        eprintln!("{}: {error}", path.display());
    }
}
