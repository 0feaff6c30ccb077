//! `schema`: what a body, or by an OpenAPI document a whole request, has to fit.
//!
//! 1. Where the schema is an OpenAPI document, the request is an operation of it and has the parameters that it asks for; else 422, or 400
//!    where they have more than one reading. It says which body has to follow: none, else 415; any bytes, which are not read; or
//!    JSON or a form as below.
//! 2. It is JSON by its one Content-Type, in UTF-8 and without a content coding, or a form where the document asks for one; else 415.
//! 3. It is there within 30 seconds (408) and has at most 1 MiB where nothing else is said (413).
//! 4. All that wait take up at most 64 MiB together where nothing else is said, a quarter of it for one caller; else 503.
//! 5. It is read strictly: one value, no member name twice, at most 64 objects and lists inside one another; else 400.
//! 6. It fits the schema; else 422 with the JSON pointer to what does not.
//! 7. What was read is what the service gets, byte for byte, with its trailers.

mod media;
mod misfit;
mod read;
mod room;

use core::time::Duration;

use http::HeaderMap;
use http::request::Parts;
use ztl_core::audit::quoted;
use ztl_core::schema::{BodySchema, HeadMisfit, RequestHead, WantedBody};
use ztl_core::{Headers, Reason, is_same_field, json};

use self::misfit::Misfit;
use self::read::{End, Read};
use self::room::{Bounds, Room};
use super::{AnyBody, Asked, Unmet};
use crate::authorize::caller;
use crate::guard::GuardBuilder;
use crate::watch;

/// Largest body that is looked at, where nothing else is said.
const MOST: usize = 1024 * 1024;
/// What all of them that wait may take up together, where nothing else is said.
const TOGETHER: usize = 64 * 1024 * 1024;
/// How long it may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Objects and lists inside one another.
const DEPTH: usize = 64;
/// Largest body of which is said where it does not fit: to find that can take much more room than the body has.
const POINTED: usize = 64 * 1024;

/// How bodies are looked at.
#[derive(Debug)]
pub(super) struct Looks {
    most: usize,
    together: usize,
    log_only: bool,
    room: Room,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            most: MOST,
            together: TOGETHER,
            log_only: false,
            room: Room::default(),
        }
    }
}

#[cfg(feature = "metrics")]
impl Looks {
    /// How many bytes of bodies wait.
    pub(crate) fn waiting(&self) -> usize {
        self.room.taken()
    }
}

impl GuardBuilder {
    /// How large a body may be that has to fit a schema, since it is read whole before the service sees it. 1 MiB where not set;
    /// a permit's `max_body` bounds it as well.
    pub const fn max_schema_body(mut self, bytes: usize) -> Self {
        self.duties.schemas.most = bytes;
        self
    }

    /// How many bytes all bodies may take up together that wait to be looked at, or to be taken by the service afterwards; of them
    /// one caller may hold a quarter. What finds no room is refused with 503. 64 MiB where not set; neither bound is less
    /// than [`max_schema_body`](Self::max_schema_body).
    pub const fn max_waiting_bodies(mut self, bytes: usize) -> Self {
        self.duties.schemas.together = bytes;
        self
    }

    /// Lets bodies and requests through that do not fit their schema, and says so in the log: to find out what a new schema would
    /// refuse. It is for all schemas of this guard, and nothing else that a permit obliges to.
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
    let looks = &asked.guard.duties().schemas;
    let bounds = Bounds::new(looks.together, looks.most);
    let caller = caller(&asked.guard, &asked.flow);
    let place = looks.room.place(&caller, bounds);
    let mut read = Read::begin(body, place);
    let looked = look(asked, &*schema, parts, &mut read, looks.most).await;
    if matches!(looked, Err(Misfit::Full)) {
        watch::body_turned_away(&asked.guard);
    }
    match looked {
        Ok(()) => {}
        Err(misfit) if looks.log_only => say(asked, &misfit),
        Err(misfit) => return Err(misfit.into()),
    }
    Ok(read.again())
}

/// Whether the request fits.
async fn look<B: AnyBody>(
    asked: &Asked,
    schema: &dyn BodySchema,
    parts: &Parts,
    read: &mut Read<B>,
    most: usize,
) -> Result<(), Misfit> {
    let (schema, form, required) = match head(asked, schema, parts)? {
        None => (schema, None, true),
        Some(WantedBody::Json { schema, required }) => (schema, None, required),
        Some(WantedBody::Form {
            form,
            schema,
            required,
        }) => (schema, Some(form), required),
        Some(WantedBody::Bytes { required: false }) => return Ok(()),
        Some(WantedBody::Bytes { required: true }) => {
            let is_there = !is_whole(read, 0).await?;
            return is_there.then_some(()).ok_or(Misfit::Absent);
        }
        Some(WantedBody::Nothing { required }) => {
            return match is_whole(read, 0).await? {
                false => Err(Misfit::Media("is of no media type that is taken here")),
                true if required => Err(Misfit::Absent),
                true => Ok(()),
            };
        }
        Some(_) => return Err(Misfit::Media("cannot be looked at")),
    };
    let checked = match form {
        Some(_) => media::check_form(&parts.headers),
        None => media::check(&parts.headers),
    };
    checked.map_err(Misfit::Media)?;
    if !is_whole(read, most).await? {
        return Err(Misfit::Long);
    }
    let bytes = read.bytes();
    let value = match form {
        None if bytes.is_empty() && !required => return Ok(()),
        None => json::value_within(bytes, DEPTH).map_err(|fault| Misfit::Fault(fault.kind))?,
        Some(_) if bytes.is_empty() && required => return Err(Misfit::Absent),
        // One without fields has to fit as well: whether it is there nobody can tell.
        Some(form) => form.read(bytes).map_err(Misfit::Form)?,
    };
    if schema.fits(&value) {
        return Ok(());
    }
    let is_pointed = bytes.len() <= POINTED;
    let pointer = if is_pointed {
        schema.misfit(&value)
    } else {
        String::new()
    };
    Err(Misfit::At(match form {
        Some(form) => form.sent(&pointer).to_owned(),
        None => pointer,
    }))
}

/// What the schema says of all before the body.
fn head<'a>(
    asked: &Asked,
    schema: &'a dyn BodySchema,
    parts: &Parts,
) -> Result<Option<WantedBody<'a>>, Misfit> {
    let action = asked.wire.action().ok();
    let resource = action.as_ref().and_then(|action| action.resource());
    // What has no path was never permitted as a request.
    let resource = resource.ok_or(Misfit::Head(HeadMisfit::Operation))?;
    let fields = Sent(&parts.headers);
    let head = RequestHead::new(resource.method(), resource.path(), &fields);
    let head = head.with_query(parts.uri.query());
    schema.head(&head).map_err(Misfit::Head)
}

/// The header fields as the service sees them.
struct Sent<'a>(&'a HeaderMap);

impl Headers for Sent<'_> {
    fn for_each(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (sent, value) in self.0 {
            if sent == name {
                each(value.as_bytes());
            } else if is_same_field(sent.as_str().as_bytes(), name) {
                each(&[]);
            }
        }
    }
}

/// Reads on, and says whether that is all or there are more bytes than these.
async fn is_whole<B: AnyBody>(read: &mut Read<B>, most: usize) -> Result<bool, Misfit> {
    match tokio::time::timeout(PATIENCE, read.on(most)).await {
        Ok(End::Whole) => Ok(true),
        Ok(End::Long) => Ok(false),
        Ok(End::Full) => Err(Misfit::Full),
        Ok(End::Broken) => Err(Misfit::Broken),
        Err(_) => Err(Misfit::Slow),
    }
}

/// In the log alone.
fn say(asked: &Asked, misfit: &Misfit) {
    let (mut pointer, mut parameter) = (String::new(), String::new());
    quoted(&mut pointer, &misfit.pointer().unwrap_or_default());
    quoted(&mut parameter, misfit.parameter());
    let (decision, rule) = (asked.permit.id(), asked.permit.rule());
    tracing::warn!(target: "ztl", %decision, rule, pointer, parameter, "a {} does not fit its schema and was let through: {}", misfit.whose(), misfit.what());
}
