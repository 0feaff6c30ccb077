//! Whom a proxy says it speaks for, as its header field has it (T12).
//!
//! A field of a request proves nothing: whoever can send a request can write one. So nothing here is read but from a peer whose
//! workload says `forwards_in`, and what is read is a subject, never a peer. What counts is the **last element**: the one that
//! the peer itself appended, about the client that it saw; what stands before it, others wrote. All of it has to be well formed all
//! the same, so that nobody who wrote an earlier element can move the place where the last one begins.
//!
//! | `forwards_in` | field | names the client by |
//! |---|---|---|
//! | `"xfcc"` | `X-Forwarded-Client-Cert`, as Envoy writes it | `URI`; its `By` has to be the peer |
//! | `"forwarded"` | `Forwarded` (RFC 7239) | the extension parameter `spiffe` (§5.5): `for` is an address, which never says who |

mod scan;

use core::fmt;

use thiserror::Error;

use crate::id::{IdError, SpiffeId};
use scan::Scan;

/// Most bytes of the field, all its lines together.
pub const MAX_FORWARDING_BYTES: usize = 32 * 1024;
/// Most elements of the field, and most pairs of one element.
const MAX_PARTS: usize = 64;

/// The header field in which a proxy passes an id on: `forwards_in` of its workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Forwarding {
    /// `X-Forwarded-Client-Cert`, as Envoy writes it.
    Xfcc,
    /// `Forwarded` (RFC 7239), with the extension parameter `spiffe`.
    Forwarded,
}

impl Forwarding {
    /// Every field that an id could be passed on in.
    pub const ALL: &'static [Self] = &[Self::Xfcc, Self::Forwarded];

    /// As a policy writes it: `xfcc`, `forwarded`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xfcc => "xfcc",
            Self::Forwarded => "forwarded",
        }
    }

    /// The name of the field, in lower case.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Xfcc => "x-forwarded-client-cert",
            Self::Forwarded => "forwarded",
        }
    }

    /// Reads the lines of the field, in their order. None where there is no line: nobody is passed on.
    ///
    /// # Errors
    /// [`ForwardingError`]: the field says something else than one SPIFFE ID of one client. Whoever enforces denies then.
    ///
    /// ```
    /// use ztl_core::Forwarding;
    ///
    /// let field = b"By=spiffe://prod.example/front;Hash=00;URI=spiffe://prod.example/cart";
    /// let passed = Forwarding::Xfcc.read([&field[..]])?.expect("somebody");
    /// assert_eq!(passed.id.as_str(), "spiffe://prod.example/cart");
    /// # Ok::<(), ztl_core::ForwardingError>(())
    /// ```
    pub fn read<'a>(
        self,
        lines: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<PassedOn>, ForwardingError> {
        let (mut bytes, mut elements) = (0_usize, 0_usize);
        let mut last: Option<Element<'a>> = None;
        for line in lines {
            bytes = bytes.saturating_add(line.len());
            if bytes > MAX_FORWARDING_BYTES {
                return Err(ForwardingError::TooLong);
            }
            // Envoy writes one line. RFC 7239 §4: those of `Forwarded` are one list.
            if self == Self::Xfcc && last.is_some() {
                return Err(ForwardingError::Lines);
            }
            let mut scan = Scan::new(line);
            loop {
                elements = elements.saturating_add(1);
                if elements > MAX_PARTS {
                    return Err(ForwardingError::TooMany);
                }
                last = Some(self.element(&mut scan)?);
                if scan.is_done() {
                    break;
                }
                scan.comma()?;
            }
        }
        last.map(|element| element.passed_on(self)).transpose()
    }

    fn element<'a>(self, scan: &mut Scan<'a>) -> Result<Element<'a>, ForwardingError> {
        let mut element = Element::default();
        let mut pairs = 0_usize;
        loop {
            pairs = pairs.saturating_add(1);
            if pairs > MAX_PARTS {
                return Err(ForwardingError::TooMany);
            }
            let name = scan.name()?;
            let value = scan.value(self)?;
            // RFC 7239 §4 forbids to say a parameter twice; in XFCC a second `URI` would be a second client.
            for (known, kept) in [
                (self.names_client(), &mut element.id),
                ("by", &mut element.by),
            ] {
                if name.eq_ignore_ascii_case(known.as_bytes()) && kept.replace(value).is_some() {
                    return Err(ForwardingError::Twice);
                }
            }
            if !scan.semicolon() {
                return Ok(element);
            }
        }
    }

    const fn names_client(self) -> &'static str {
        match self {
            Self::Xfcc => "uri",
            Self::Forwarded => "spiffe",
        }
    }
}

impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who is passed on, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOn {
    /// The client that the proxy saw.
    pub id: SpiffeId,
    /// Who the proxy says that it is itself; in `Forwarded` nobody does.
    pub by: Option<SpiffeId>,
}

/// Why what a proxy passes on is not one SPIFFE ID.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ForwardingError {
    /// More than [`MAX_FORWARDING_BYTES`].
    #[error("the field is longer than {MAX_FORWARDING_BYTES} bytes")]
    TooLong,
    /// Too many elements, or pairs of one.
    #[error(
        "the field has more than {MAX_PARTS} elements, or one of them more than {MAX_PARTS} pairs"
    )]
    TooMany,
    /// `X-Forwarded-Client-Cert` has several lines.
    #[error("the field has several lines; have the proxy write one")]
    Lines,
    /// Neither pair nor separator where one has to be.
    #[error("the field is no list of `name=value` pairs: {0}")]
    Form(&'static str),
    /// A quotation that two readers would end in two places.
    #[error(
        "the field has a quotation mark after an even number of backslashes, which readers end differently"
    )]
    Quotation,
    /// The last element says twice who the client or the proxy is.
    #[error("an element says twice who the client or the proxy is")]
    Twice,
    /// The last element names no client by a SPIFFE ID.
    #[error("the last element does not say by a SPIFFE ID who the client is")]
    Nobody,
    /// What should be a SPIFFE ID with a path is none.
    #[error("what names the client or the proxy is no SPIFFE ID of a workload: it {0}")]
    Id(IdError),
    /// `By` is not the peer: the proxy handed on what somebody else wrote.
    #[error("the last element was not written by the peer: its `By` is somebody else, or missing")]
    By,
    /// The client is a proxy itself, which would speak for another.
    #[error("the client is itself a proxy that passes ids on, and only one of them can be")]
    Chain,
}

impl From<IdError> for ForwardingError {
    fn from(error: IdError) -> Self {
        Self::Id(error)
    }
}

#[derive(Default)]
struct Element<'a> {
    id: Option<&'a [u8]>,
    by: Option<&'a [u8]>,
}

impl Element<'_> {
    fn passed_on(&self, forwarding: Forwarding) -> Result<PassedOn, ForwardingError> {
        let parse = |value: &[u8]| -> Result<SpiffeId, ForwardingError> {
            let text = core::str::from_utf8(value).map_err(|_| ForwardingError::Nobody)?;
            Ok(SpiffeId::parse_workload(text)?)
        };
        let id = self.id.filter(|value| !value.is_empty());
        let id = parse(id.ok_or(ForwardingError::Nobody)?)?;
        // In `Forwarded` it is an address or a made-up name (RFC 7239 §6).
        let by = self.by.filter(|_| forwarding == Forwarding::Xfcc);
        let by = by.map(parse).transpose()?;
        Ok(PassedOn { id, by })
    }
}

#[cfg(test)]
mod tests;
