//! One fetch of a bundle.

use bytes::Bytes;
use http::HeaderValue;
use ztl_authz::bundle::{PullAnswer, PullError, PullFetch};

use super::OpaBundle;
use super::error::OpaBundleError;
use crate::fetch::{Answer, Credentials, Question, from_web_with};
use crate::guard::Guard;

/// What a server may send; OPA's own asks for nothing.
const TYPES: &str = "application/vnd.openpolicyagent.bundles, application/gzip;q=0.9, */*;q=0.1";

/// What came, by itself.
pub(super) struct Came {
    status: u16,
    etag: Option<String>,
    content_type: Option<String>,
    body: Bytes,
}

impl Came {
    pub(super) fn answer(&self) -> PullAnswer<'_> {
        PullAnswer {
            status: self.status,
            etag: self.etag.as_deref(),
            content_type: self.content_type.as_deref(),
            body: &self.body,
        }
    }
}

pub(super) async fn fetch(
    guard: &Guard,
    from: &OpaBundle,
    wanted: &PullFetch,
) -> Result<Came, OpaBundleError> {
    let mut timeout = from.timeout.saturating_add(wanted.wait());
    // Law 1: a server that holds a request open does not keep in force what has become too old.
    if let Some(end) = from.pull.ends_at() {
        timeout = timeout.min(end.since(guard.now()));
    }
    let came = tokio::time::timeout(timeout, ask(guard, from, wanted)).await;
    came.unwrap_or(Err(OpaBundleError::TimedOut(timeout)))
}

async fn ask(guard: &Guard, from: &OpaBundle, wanted: &PullFetch) -> Result<Came, OpaBundleError> {
    let url = wanted.url();
    let credentials = Credentials {
        roots: from.roots.as_ref(),
        identity: false,
    };
    let question = Question {
        most: wanted.max_bytes(),
        authorization: authorization(wanted)?,
        accept: Some(TYPES),
        prefer: Some(wanted.prefer()),
        etag: wanted.if_none_match(),
    };
    let (answer, said) = from_web_with(guard, url, credentials, from.address, question).await?;
    let (status, body) = match answer {
        Answer::Body(body) => (200, body),
        Answer::Other { status, .. } => (status.as_u16(), Bytes::new()),
    };
    Ok(Came {
        status,
        etag: said.etag,
        content_type: said.content_type,
        body,
    })
}

fn authorization(wanted: &PullFetch) -> Result<Option<HeaderValue>, OpaBundleError> {
    let Some(token) = wanted.authorization() else {
        return Ok(None);
    };
    let mut token = HeaderValue::from_str(token).map_err(|_| PullError::Token)?;
    token.set_sensitive(true);
    Ok(Some(token))
}
