//! `schema`: what a body has to fit.
//!
//! 1. It is JSON by its one Content-Type, in UTF-8 and without a content coding; else 415.
//! 2. It is there within 30 seconds (408) and has at most 1 MiB where nothing else is said (413).
//! 3. It is read strictly: one value, no member name twice, at most 64 objects and lists inside one another; else 400.
//! 4. It fits the schema; else 422 with the JSON pointer to what does not.
//! 5. What was read is what the service gets, byte for byte, with its trailers.

mod media;
mod read;

use core::time::Duration;

use http::StatusCode;
use http::request::Parts;
use ztl_core::audit::quoted;
use ztl_core::{Reason, json};

use self::read::{End, Read};
use super::{AnyBody, Asked, Unmet};
use crate::authorize::Answer;
use crate::guard::GuardBuilder;

/// Largest body that is looked at, where nothing else is said.
const MOST: usize = 1024 * 1024;
/// How long it may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Objects and lists inside one another.
const DEPTH: usize = 64;
/// Largest body of which is said where it does not fit: to find that can take much more room than the body has.
const POINTED: usize = 64 * 1024;

/// How bodies are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    most: usize,
    log_only: bool,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            most: MOST,
            log_only: false,
        }
    }
}

impl GuardBuilder {
    /// How large a body may be that has to fit a schema, since it is read whole before the service sees it. 1 MiB where not set;
    /// a permit's `max_body` bounds it as well.
    pub const fn max_schema_body(mut self, bytes: usize) -> Self {
        self.duties.schemas.most = bytes;
        self
    }

    /// Lets bodies through that do not fit their schema, and says so in the log: to find out what a new schema would refuse. It is
    /// for all schemas of this guard, and nothing else that a permit obliges to.
    pub const fn allow_unfit_bodies(mut self) -> Self {
        self.duties.schemas.log_only = true;
        self
    }
}

/// The body again, where it fits.
pub(super) async fn check<B: AnyBody>(
    asked: &Asked,
    name: &str,
    parts: &Parts,
    body: B,
) -> Result<B, Unmet> {
    let policy = asked.guard.engine().policy();
    let Some(schema) = policy.schema(name).cloned() else {
        return Err(Unmet::new(
            Reason::ObligationUnknown,
            "the policy was loaded without this schema",
        ));
    };
    let looks = asked.guard.duties().schemas;
    let media = media::check(&parts.headers);
    let unlooked = media.is_err() && looks.log_only;
    if let Some(misfit) = media.err().map(Misfit::Media) {
        if !looks.log_only {
            return Err(misfit.into());
        }
        say(asked, &misfit);
    }
    if unlooked {
        return Ok(body);
    }
    let mut read = Read::begin(body);
    let end = match tokio::time::timeout(PATIENCE, read.on(looks.most)).await {
        Ok(end) => end,
        Err(_) => End::Slow,
    };
    let fits = match end {
        End::Whole => {
            let bytes = read.bytes();
            match json::value_within(bytes, DEPTH) {
                Err(fault) => Err(Misfit::Fault(fault.kind)),
                Ok(value) if schema.fits(&value) => Ok(()),
                Ok(value) if bytes.len() <= POINTED => Err(Misfit::At(schema.misfit(&value))),
                Ok(_) => Err(Misfit::At(String::new())),
            }
        }
        End::Long => Err(Misfit::Long),
        End::Slow => Err(Misfit::Slow),
        End::Broken => Err(Misfit::Broken),
    };
    match fits {
        Ok(()) => {}
        Err(misfit) if looks.log_only => say(asked, &misfit),
        Err(misfit) => return Err(misfit.into()),
    }
    Ok(read.again())
}

/// In the log alone.
fn say(asked: &Asked, misfit: &Misfit) {
    let mut pointer = String::new();
    quoted(&mut pointer, misfit.pointer());
    let (decision, rule) = (asked.permit.id(), asked.permit.rule());
    tracing::warn!(target: "ztl", %decision, rule, pointer, "a body does not fit its schema and was let through: {}", misfit.what());
}

/// Why a body does not fit.
enum Misfit {
    Media(&'static str),
    Long,
    Slow,
    Broken,
    Fault(json::FaultKind),
    At(String),
}

impl Misfit {
    fn what(&self) -> String {
        match self {
            Self::Media(what) => (*what).to_owned(),
            Self::Long => "is larger than bodies may be that have to fit a schema".to_owned(),
            Self::Slow => "did not come in time".to_owned(),
            Self::Broken => "broke off".to_owned(),
            Self::Fault(kind) => kind_text(*kind).to_owned(),
            Self::At(_) => "does not fit the schema".to_owned(),
        }
    }

    fn pointer(&self) -> &str {
        match self {
            Self::At(pointer) => pointer,
            _ => "",
        }
    }

    /// RFC 9110 §15.5, and gRPC's codes for the same.
    const fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Media(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "3"),
            Self::Long => (StatusCode::PAYLOAD_TOO_LARGE, "8"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "4"),
            Self::Broken | Self::Fault(_) => (StatusCode::BAD_REQUEST, "3"),
            Self::At(_) => (StatusCode::UNPROCESSABLE_ENTITY, "3"),
        }
    }
}

const fn kind_text(kind: json::FaultKind) -> &'static str {
    match kind {
        json::FaultKind::Duplicate => "has a member name twice",
        json::FaultKind::TooDeep => "has objects and lists too deep in one another",
        _ => "is not one JSON value",
    }
}

impl From<Misfit> for Unmet {
    /// What the caller learns is where its own body is wrong, and nothing of a value (law 7).
    fn from(misfit: Misfit) -> Self {
        let (status, grpc_status) = misfit.status();
        let mut answer = Answer::new(status, grpc_status);
        let what = misfit.what();
        answer.members.push_str(",\"errors\":[{\"detail\":");
        quoted(&mut answer.members, &what);
        if let Misfit::At(pointer) = &misfit {
            answer.members.push_str(",\"pointer\":");
            quoted(&mut answer.members, pointer);
        }
        answer.members.push_str("}]");
        let reason = match misfit {
            Misfit::Long => Reason::BodyTooLarge,
            _ => Reason::BodyUnfit,
        };
        Self {
            answer: Some(Box::new(answer)),
            ..Self::new(reason, &format!("the body {what} `{}`", misfit.pointer()))
        }
    }
}
