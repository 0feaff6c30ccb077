//! Carries out what is due: one task a source.

use core::time::Duration;
use std::sync::{Arc, Weak};

use http::{HeaderValue, StatusCode};
use ztl_authz::trust::{SignalEndpointError, SignalTable, SignalsDue};

use super::FetchedSignals;
use crate::fetch::{Answer, Credentials, FetchError, Question, from_web_with};
use crate::guard::{Guard, Inner};
use crate::refresh::{FileError, LONGEST_SLEEP, off_thread, pause};
use crate::watch::{OF_FETCHES, counts_fetches, fetched};

/// Why nothing new is known.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Endpoint(#[from] SignalEndpointError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the bearer token: {0}")]
    Token(#[from] FileError),
    #[error("the bearer token is none that a header field can hold")]
    TokenText,
    #[error("{0}")]
    Identity(#[from] ztl_mtls::Unpresentable),
    #[error("the source did not answer whole within {0:?}")]
    TimedOut(Duration),
    #[error("the table could not be read: {0}")]
    Reading(#[from] tokio::task::JoinError),
}

/// Begins to count what becomes of each.
pub(crate) fn begin_counts(sources: &[FetchedSignals], guard: &Guard) {
    for source in sources {
        let host = source.endpoint.url().authority();
        counts_fetches(guard, "signals", &host, &OF_FETCHES);
    }
}

/// Begins to poll, for as long as the guard lives.
pub(crate) fn spawn(sources: Vec<FetchedSignals>, guard: &Arc<Inner>) {
    for source in sources {
        tokio::spawn(keep(source, Arc::downgrade(guard)));
    }
}

async fn keep(mut source: FetchedSignals, guard: Weak<Inner>) {
    loop {
        let wait = {
            let Some(guard) = guard.upgrade().map(Guard::from_inner) else {
                return;
            };
            let (same, wait) = source.step(&guard).await;
            let Some(same) = same else { return };
            source = same;
            wait
        };
        tokio::time::sleep(wait).await;
    }
}

impl FetchedSignals {
    /// Does what is due, and says how long nothing is. It is gone where reading a table panicked: its signals are missing then.
    async fn step(mut self, guard: &Guard) -> (Option<Self>, Duration) {
        let now = guard.now();
        let (workload, host) = (guard.name(), self.endpoint.url().authority());
        match self.endpoint.due(now) {
            SignalsDue::At(at) => return (Some(self), pause(at, now)),
            SignalsDue::Withdrawn => {
                guard.evidence_changed();
                fetched(guard, "signals", &host, "withdrawn");
                tracing::error!(target: "ztl", workload, host, "signals were not fetched for longer than they may be used; they are missing now");
            }
            SignalsDue::Fetch => return self.refresh(guard).await,
            // What a later version asks for is not known here.
            _ => return (Some(self), LONGEST_SLEEP),
        }
        (Some(self), Duration::ZERO)
    }

    async fn refresh(mut self, guard: &Guard) -> (Option<Self>, Duration) {
        let (workload, host) = (guard.name(), self.endpoint.url().authority());
        let timeout = self.timeout;
        let answered = tokio::time::timeout(timeout, self.fetch(guard)).await;
        let answered = answered.unwrap_or(Err(Failed::TimedOut(timeout)));
        let now = guard.now();
        let taken = match answered {
            // A table of 16 MiB takes its time.
            Ok(Some((body, etag))) => {
                let held = self.endpoint.signals();
                let taken = off_thread(self, move |it| {
                    it.endpoint.receive(&body, etag.as_deref(), now)
                });
                let (same, taken) = match taken.await {
                    Ok(taken) => taken,
                    Err(error) => {
                        held.swap(SignalTable::default());
                        guard.evidence_changed();
                        fetched(guard, "signals", &host, "withdrawn");
                        tracing::error!(target: "ztl", workload, host, %error, "signals are no longer fetched; they are missing now");
                        return (None, Duration::ZERO);
                    }
                };
                self = same;
                taken.map(Some).map_err(Failed::from)
            }
            Ok(None) => (self.endpoint.not_modified(now).map(|()| None)).map_err(Failed::from),
            Err(error) => Err(error),
        };
        match taken {
            Ok(Some(signals)) => {
                guard.evidence_changed();
                fetched(guard, "signals", &host, "changed");
                tracing::info!(target: "ztl", workload, host, signals, "signals fetched");
            }
            Ok(None) => fetched(guard, "signals", &host, "unchanged"),
            Err(error) => {
                self.endpoint.failed(now);
                fetched(guard, "signals", &host, "failed");
                tracing::error!(target: "ztl", workload, host, %error, "signals not fetched; the last good ones stay for as long as they may");
            }
        }
        (Some(self), Duration::ZERO)
    }

    /// A body and its entity tag; nothing where what is held is the newest.
    async fn fetch(
        &mut self,
        guard: &Guard,
    ) -> Result<Option<(bytes::Bytes, Option<String>)>, Failed> {
        if self.identity {
            guard.svid()?;
        }
        let token = match &mut self.token {
            Some(file) => Some(bearer(&file.load()?)?),
            None => None,
        };
        let url = self.endpoint.url();
        let question = Question {
            most: self.endpoint.max_bytes(),
            authorization: token,
            etag: self.endpoint.etag(),
            ..Question::default()
        };
        let credentials = Credentials {
            roots: self.roots.as_ref(),
            identity: self.identity,
        };
        let (answer, said) = from_web_with(guard, url, credentials, self.address, question).await?;
        match answer {
            Answer::Body(body) => Ok(Some((body, said.etag))),
            Answer::Other { status, .. } if status == StatusCode::NOT_MODIFIED => Ok(None),
            Answer::Other { status, .. } => Err(FetchError::Status {
                host: url.authority(),
                status: status.as_u16(),
            }
            .into()),
        }
    }
}

/// The text of a file as it goes into the field, without the line's end.
fn bearer(text: &[u8]) -> Result<HeaderValue, Failed> {
    let text = text.trim_ascii();
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", text].concat())
        .ok()
        .filter(|_| !text.is_empty())
        .ok_or(Failed::TokenText)?;
    value.set_sensitive(true);
    Ok(value)
}
