//! Why a request does not fit, and how the caller is told.

use http::StatusCode;
use http::header::RETRY_AFTER;
use ztl_core::audit::quoted;
use ztl_core::schema::{FormMisfit, HeadMisfit, ParameterPlace};
use ztl_core::{Reason, json};

use crate::authorize::Answer;
use crate::duty::Unmet;

/// Why a request does not fit.
pub(super) enum Misfit {
    Head(HeadMisfit),
    Media(&'static str),
    Absent,
    Long,
    /// There is no room for it.
    Full,
    Slow,
    Broken,
    Fault(json::FaultKind),
    Form(FormMisfit),
    At(String),
}

impl Misfit {
    pub(super) const fn whose(&self) -> &'static str {
        match self {
            Self::Head(_) => "request",
            _ => "body",
        }
    }

    pub(super) fn what(&self) -> String {
        match self {
            Self::Head(misfit) => head_text(misfit),
            Self::Media(what) => (*what).to_owned(),
            Self::Absent => "has to be there".to_owned(),
            Self::Long => "is larger than bodies may be that have to fit a schema".to_owned(),
            Self::Full => "has to wait, and too much waits already".to_owned(),
            Self::Slow => "did not come in time".to_owned(),
            Self::Broken => "broke off".to_owned(),
            Self::Fault(kind) => kind_text(*kind).to_owned(),
            Self::Form(misfit) => form_text(misfit).to_owned(),
            Self::At(_) => "does not fit the schema".to_owned(),
        }
    }

    /// Where in the body.
    pub(super) fn pointer(&self) -> Option<String> {
        match self {
            Self::At(pointer) => Some(pointer.clone()),
            Self::Form(
                FormMisfit::Unknown(name) | FormMisfit::Ambiguous(name) | FormMisfit::Unfit(name),
            ) => {
                // RFC 6901 §3
                let name = name.replace('~', "~0").replace('/', "~1");
                Some(format!("/{name}"))
            }
            _ => None,
        }
    }

    /// The name of the parameter, for those who run the service.
    pub(super) fn parameter(&self) -> &str {
        match self {
            Self::Head(
                HeadMisfit::Missing(_, name)
                | HeadMisfit::Unfit(_, name)
                | HeadMisfit::Unknown(_, name)
                | HeadMisfit::Ambiguous(_, name),
            ) => name,
            _ => "",
        }
    }

    /// The same for the caller, who is told of names that it sent itself.
    fn own_parameter(&self) -> Option<&str> {
        match self {
            Self::Head(
                HeadMisfit::Unfit(place, name)
                | HeadMisfit::Unknown(place, name)
                | HeadMisfit::Ambiguous(place, name),
            ) => (*place != ParameterPlace::Path).then_some(name),
            _ => None,
        }
    }

    /// RFC 9110 §15.5, and gRPC's codes for the same.
    const fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Media(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "3"),
            Self::Long => (StatusCode::PAYLOAD_TOO_LARGE, "8"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "4"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, "14"),
            Self::Form(FormMisfit::Unknown(_) | FormMisfit::Unfit(_)) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "3")
            }
            Self::Absent
            | Self::Broken
            | Self::Fault(_)
            | Self::Form(_)
            | Self::Head(HeadMisfit::Ambiguous(..)) => (StatusCode::BAD_REQUEST, "3"),
            Self::At(_) | Self::Head(_) => (StatusCode::UNPROCESSABLE_ENTITY, "3"),
        }
    }
}

fn head_text(misfit: &HeadMisfit) -> String {
    match misfit {
        HeadMisfit::Missing(place, _) => format!("lacks a {place} parameter"),
        HeadMisfit::Unfit(place, _) => format!("has a {place} parameter that does not fit"),
        HeadMisfit::Unknown(place, _) => format!("has a {place} parameter that nobody asked for"),
        HeadMisfit::Ambiguous(place, _) => {
            format!("has a {place} parameter in more than one reading")
        }
        _ => "is no operation of the document".to_owned(),
    }
}

const fn form_text(misfit: &FormMisfit) -> &'static str {
    match misfit {
        FormMisfit::TooMany => "has more fields or longer names than are read",
        FormMisfit::Unknown(_) => "has a field that nobody asked for",
        FormMisfit::Ambiguous(_) => "has a field in more than one reading",
        FormMisfit::Unfit(_) => "has a field that does not fit",
        _ => "is no form",
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
    /// What the caller learns is where its own request is wrong, and nothing of a value (law 7).
    fn from(misfit: Misfit) -> Self {
        let (status, grpc_status) = misfit.status();
        let mut answer = Answer::new(status, grpc_status);
        let what = misfit.what();
        answer.members.push_str(",\"errors\":[{\"detail\":");
        quoted(&mut answer.members, &what);
        let pointer = misfit.pointer();
        if let Some(pointer) = &pointer {
            answer.members.push_str(",\"pointer\":");
            quoted(&mut answer.members, pointer);
        }
        if let Some(parameter) = misfit.own_parameter() {
            answer.members.push_str(",\"parameter\":");
            quoted(&mut answer.members, parameter);
        }
        answer.members.push_str("}]");
        if matches!(misfit, Misfit::Full) {
            // RFC 9110 §10.2.3: whole seconds.
            answer.fields.push((RETRY_AFTER, 1.into()));
        }
        let place = match &misfit {
            Misfit::Head(_) => misfit.parameter(),
            _ => pointer.as_deref().unwrap_or_default(),
        };
        let place = (!place.is_empty()).then(|| place.escape_debug().to_string());
        let detail = format!("the {} {what}", misfit.whose());
        let reason = match misfit {
            Misfit::Long => Reason::BodyTooLarge,
            _ => Reason::BodyUnfit,
        };
        Self {
            place,
            answer: Some(Box::new(answer)),
            ..Self::new(reason, &detail)
        }
    }
}
