//! What the peer sent, as the host passes it on: any bytes, of any length.

use ztl_core::{
    FlowPermit, Forwarding, ForwardingError, Headers, METHOD_OVERRIDES, SpiffeId, TARGET_OVERRIDES,
    is_same_field,
};

use crate::action::ztl_action_request;
use crate::boundary::{Fault, array, utf8, ztl_str};
use crate::host::{Elsewhere, Host};

/// Most header fields of a request that are taken.
pub(crate) const MAX_HEADERS: usize = 65_536;
/// An upgrade that no rule can name: a list is no token.
const UNNAMEABLE: &str = ",";
const AUTHORITY: &str = ":authority";
const HOST: &str = "host";
const UPGRADE: &str = "upgrade";
const CONNECTION: &str = "connection";

/// A header field.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ztl_header {
    /// Its name, in any case.
    pub name: ztl_str,
    /// Its value.
    pub value: ztl_str,
}

/// A text of the peer's, or why it is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent<'a> {
    Text(&'a str),
    NotText,
    /// Longer than asked for, and not read.
    TooLong,
}

impl<'a> Sent<'a> {
    /// `None` where absent.
    ///
    /// # Safety
    /// As [`ztl_str::bytes`].
    #[expect(unsafe_code, reason = "reads what C lends")]
    #[inline]
    pub(crate) unsafe fn read(
        text: &ztl_str,
        name: &str,
        max: usize,
    ) -> Result<Option<Self>, Fault> {
        text.check(name)?;
        if text.len > max {
            return Ok(Some(Self::TooLong));
        }
        // SAFETY: checked, and readable as promised to this function.
        let bytes = unsafe { text.checked() };
        Ok(bytes.map(|bytes| utf8(bytes).map_or(Self::NotText, Self::Text)))
    }

    /// The text; one that no rule can name where there is none.
    pub(crate) fn nameable(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::NotText | Self::TooLong => UNNAMEABLE,
        }
    }
}

/// The header fields of a request, lent by the host.
///
/// Each was checked to be absent, or not NULL and of a length that an object can have.
pub(crate) struct Fields<'a> {
    all: &'a [ztl_header],
    /// Found in one walk over all.
    said: Said<'a>,
}

/// What each request is asked, whatever its rules read.
#[derive(Default)]
struct Said<'a> {
    authority: Times<'a>,
    host: Times<'a>,
    upgrade: Times<'a>,
    connection: Times<'a>,
    asks_for_another: bool,
}

/// How often a field came.
#[derive(Clone, Copy, Default)]
enum Times<'a> {
    #[default]
    Never,
    Once(&'a [u8]),
    More,
}

impl<'a> Times<'a> {
    fn come(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Never => Self::Once(value),
            _ => Self::More,
        };
    }
}

/// The lengths of the names that are looked for, a bit each: most fields are not one of them.
const LENGTHS: u32 = {
    let ours = 1 << AUTHORITY.len() | 1 << HOST.len() | 1 << UPGRADE.len() | 1 << CONNECTION.len();
    ours | lengths(&METHOD_OVERRIDES) | lengths(&TARGET_OVERRIDES)
};

const fn lengths(mut names: &[&str]) -> u32 {
    let mut lengths = 0;
    while let [name, rest @ ..] = names {
        lengths |= 1 << name.len();
        names = rest;
    }
    lengths
}

impl<'a> Said<'a> {
    fn take(&mut self, name: &'a [u8], value: &'a [u8]) {
        let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
        if LENGTHS.checked_shr(length).is_none_or(|rest| rest & 1 == 0) {
            return;
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is(HOST) {
            self.host.come(value);
        } else if is(AUTHORITY) {
            self.authority.come(value);
        } else if is(UPGRADE) {
            self.upgrade.come(value);
        } else if is(CONNECTION) {
            self.connection.come(value);
        } else {
            let mut overrides = METHOD_OVERRIDES.into_iter().chain(TARGET_OVERRIDES);
            self.asks_for_another |= overrides.any(|known| is_same_field(name, known));
        }
    }

    /// Whether every server takes the `Upgrade` field for one: where no option of the connection is `upgrade`, it says what the peer
    /// speaks as well (RFC 9110 §7.8), and the request is served as it stands. Of a field that comes twice servers read the first, the
    /// last or both.
    fn upgrades(&self) -> bool {
        let Times::Once(value) = self.connection else {
            return false;
        };
        let mut options = value.split(|byte| *byte == b',').map(without_blanks);
        options.clone().all(is_token)
            && options.any(|option| option.eq_ignore_ascii_case(UPGRADE.as_bytes()))
    }
}

/// RFC 9110 §5.6.3
const fn without_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// RFC 9110 §5.6.2
fn is_token(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_part)
}

#[expect(unsafe_code, reason = "reads what C lends")]
impl<'a> Fields<'a> {
    /// # Safety
    /// The request's headers, their names and their values are readable, and nobody changes them for `'a`.
    pub(crate) unsafe fn of(request: &ztl_action_request) -> Result<Self, Fault> {
        // SAFETY: as promised to this function.
        let fields =
            unsafe { array(request.headers, request.headers_len, MAX_HEADERS, "headers") }?;
        let mut said = Said::default();
        for field in fields {
            field.name.check("name of a header")?;
            field.value.check("value of a header")?;
            said.take(Self::bytes(&field.name), Self::bytes(&field.value));
        }
        Ok(Self { all: fields, said })
    }

    /// Whether a peer sent more than are looked at. More than an object can hold, or none where some are said to be, is no peer's doing.
    pub(crate) const fn are_too_many(request: &ztl_action_request) -> bool {
        let possible = isize::MAX.unsigned_abs() / size_of::<ztl_header>();
        request.headers_len > MAX_HEADERS
            && request.headers_len <= possible
            && !request.headers.is_null()
    }

    /// Of a request whose fields are not looked at.
    pub(crate) fn none() -> Self {
        Self {
            all: &[],
            said: Said::default(),
        }
    }

    /// The values of a field, whose name is compared without regard to case (rule 43).
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.all
            .iter()
            .filter(move |field| Self::bytes(&field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| Self::bytes(&field.value))
    }

    fn bytes(text: &ztl_str) -> &'a [u8] {
        // SAFETY: checked and promised when the fields were lent.
        unsafe { text.checked() }.unwrap_or_default()
    }

    /// What the connection is to become: what the host says, and the `Upgrade` field. Where they differ, or the field came twice, or is
    /// none that every server acts on, something that no rule can name: no permit covers it, and every forbid of the path does.
    pub(crate) fn upgrade(&self, told: Option<Sent<'a>>) -> Option<&'a str> {
        let told = told.map(Sent::nameable);
        let sent = match self.said.upgrade {
            Times::Never => None,
            Times::Once(value) if self.said.upgrades() => Some(utf8(value).unwrap_or(UNNAMEABLE)),
            Times::Once(_) | Times::More => Some(UNNAMEABLE),
        };
        told.into_iter().chain(sent).reduce(|one, other| {
            if one.eq_ignore_ascii_case(other) {
                one
            } else {
                UNNAMEABLE
            }
        })
    }

    /// The host that is asked for: `Host`, and `:authority` of HTTP/2 and HTTP/3. An `Err` where they leave a choice (RFC 9112 §3.2,
    /// RFC 9113 §8.3.1).
    pub(crate) fn host(&self) -> Result<Host<'a>, Elsewhere> {
        let one = |times| match times {
            Times::Never => Ok(None),
            Times::Once(value) => Ok(Some(value)),
            Times::More => Err(Elsewhere::Ambiguous),
        };
        Host::new(one(self.said.authority)?, one(self.said.host)?)
    }

    /// Whether a field asks a framework to act under another method, or to serve another target, than those that are judged.
    pub(crate) const fn asks_for_another(&self) -> bool {
        self.said.asks_for_another
    }

    /// Whom the peer of a flow passes on. Nobody, where its workload does not say in which field it does (T12).
    pub(crate) fn passed_on(&self, flow: &FlowPermit) -> Result<Option<SpiffeId>, ForwardingError> {
        match flow.forwards_in() {
            Some(field) => flow.passed_on(self.values(field.field())),
            None => Ok(None),
        }
    }

    /// The fields as a rule sees them, of a caller that passes ids on in `forwards_in` or nowhere.
    pub(crate) fn seen(&self, forwards_in: Option<Forwarding>) -> Seen<'_> {
        Seen {
            fields: self,
            forwards_in,
        }
    }
}

/// The header fields that a rule may see: all but those in which this caller does not pass ids on (T12).
pub(crate) struct Seen<'a> {
    fields: &'a Fields<'a>,
    forwards_in: Option<Forwarding>,
}

impl Headers for Seen<'_> {
    fn for_each(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        let hidden = (Forwarding::ALL.iter()).any(|known| {
            self.forwards_in != Some(*known) && known.field().eq_ignore_ascii_case(name)
        });
        if hidden {
            return;
        }
        for field in self.fields.all {
            let sent = Fields::bytes(&field.name);
            if sent.eq_ignore_ascii_case(name.as_bytes()) {
                each(Fields::bytes(&field.value));
            } else if is_same_field(sent, name) {
                each(&[]);
            }
        }
    }
}
