//! What has to be done beside letting an action through: the obligations of the permit that decided.
//!
//! The list is closed. An enforcement point says which kinds it can discharge
//! ([`Engine::with_obligations`](crate::Engine::with_obligations)); a permit with any other kind is denied, so that no
//! obligation can be forgotten (law 1).

use std::sync::Arc;

use crate::authorizer::{AuthorizerError, Demands};
use crate::limit::Limit;
use crate::policy::MAX_FIELD_BYTES;

/// Most header fields that an action is logged with.
pub(crate) const MAX_LOG_FIELDS: usize = 256;

/// Header fields that carry credentials, which no log may hold (law 7).
pub(crate) const CREDENTIALS: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
];

/// Whether a header field's name is made of such bytes (RFC 9110 §5.1).
pub(crate) fn is_field_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The obligations of a permit. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obligations(Option<Arc<Obliged>>);

/// What a permit obliges to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Obliged {
    pub(crate) limit: Option<Arc<Limit>>,
    pub(crate) schema: Option<Arc<str>>,
    pub(crate) max_body: Option<u64>,
    pub(crate) log: Option<Vec<Arc<str>>>,
}

impl Obligations {
    /// No obligation.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    pub(crate) fn new(obliged: Obliged) -> Self {
        if obliged == Obliged::default() {
            Self(None)
        } else {
            Self(Some(Arc::new(obliged)))
        }
    }

    /// These and what an authorizer demands: nothing is taken away or made wider (law 4). `declared` finds a limit.
    ///
    /// # Errors
    /// [`AuthorizerError`] where a demand cannot be added.
    pub(crate) fn and(
        &self,
        demands: &Demands,
        declared: impl Fn(&str) -> Option<Arc<Limit>>,
    ) -> Result<Self, AuthorizerError> {
        let fault = |what: &str| AuthorizerError(format!("the authorizer obliges to {what}"));
        let mut all = self.0.as_deref().cloned().unwrap_or_default();
        if let Some(name) = &demands.limit {
            let limit = declared(name)
                .ok_or_else(|| fault("a limit that the document does not declare"))?;
            if all
                .limit
                .replace(Arc::clone(&limit))
                .is_some_and(|before| before != limit)
            {
                return Err(fault("another limit than there is already"));
            }
        }
        if let Some(schema) = &demands.schema {
            if schema.is_empty() {
                return Err(fault("a schema without a name"));
            }
            let before = all.schema.replace(Arc::clone(schema));
            if before.is_some_and(|before| before != *schema) {
                return Err(fault("another schema than there is already"));
            }
        }
        if let Some(bytes) = demands.max_body {
            all.max_body = Some(all.max_body.map_or(bytes, |before| before.min(bytes)));
        }
        if let Some(fields) = &demands.log {
            let log = all.log.get_or_insert_default();
            for field in fields {
                if field.is_empty() || !field.bytes().all(is_lower_field_byte) {
                    return Err(fault("a header field in the log that has no such name"));
                }
                if field.len() > MAX_FIELD_BYTES {
                    return Err(fault("a header field in the log whose name is too long"));
                }
                if CREDENTIALS.contains(&&**field) {
                    return Err(fault("a credential in the log"));
                }
                if !log.contains(field) {
                    log.push(Arc::clone(field));
                }
                if log.len() > MAX_LOG_FIELDS {
                    return Err(fault("too many header fields in the log"));
                }
            }
        }
        Ok(Self::new(all))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// `limit`: the action counts against this limit, and past it is not let through.
    #[must_use]
    pub fn limit(&self) -> Option<&Limit> {
        self.0.as_ref()?.limit.as_deref()
    }

    /// `schema`: the body has to fit the schema of this file or name.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.0.as_ref()?.schema.as_deref()
    }

    /// `max_body`: the most bytes that the body may have.
    #[must_use]
    pub fn max_body(&self) -> Option<u64> {
        self.0.as_ref()?.max_body
    }

    /// `log`: the action is written to the access log, with these header fields of the request; with none of them where the
    /// list is empty.
    #[must_use]
    pub fn log(&self) -> Option<&[Arc<str>]> {
        self.0.as_ref()?.log.as_deref()
    }

    /// Which kinds there are among them.
    #[must_use]
    pub fn kinds(&self) -> ObligationKinds {
        let Some(obliged) = &self.0 else {
            return ObligationKinds::none();
        };
        let bit = |there: bool, kind: ObligationKinds| if there { kind.0 } else { 0 };
        ObligationKinds(
            bit(obliged.limit.is_some(), ObligationKinds::LIMIT)
                | bit(obliged.schema.is_some(), ObligationKinds::SCHEMA)
                | bit(obliged.max_body.is_some(), ObligationKinds::MAX_BODY)
                | bit(obliged.log.is_some(), ObligationKinds::LOG),
        )
    }
}

/// A header field's name as the log has it.
fn is_lower_field_byte(byte: u8) -> bool {
    is_field_byte(byte) && !byte.is_ascii_uppercase()
}

/// Kinds of obligation, such as those that an enforcement point can discharge. There is no *all*: a later version knows more,
/// and an enforcement point must not promise what it was not written for.
///
/// ```
/// use ztl_core::ObligationKinds;
///
/// let mine = ObligationKinds::none().with_max_body().with_log();
/// assert!(mine.contains(ObligationKinds::LOG));
/// assert!(!mine.contains(ObligationKinds::LIMIT.with_log()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObligationKinds(u8);

impl ObligationKinds {
    /// `limit`
    pub const LIMIT: Self = Self(1);
    /// `schema`
    pub const SCHEMA: Self = Self(1 << 1);
    /// `max_body`
    pub const MAX_BODY: Self = Self(1 << 2);
    /// `log`
    pub const LOG: Self = Self(1 << 3);

    /// No kind.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// These and `limit`.
    #[must_use]
    pub const fn with_limit(self) -> Self {
        Self(self.0 | Self::LIMIT.0)
    }

    /// These and `schema`.
    #[must_use]
    pub const fn with_schema(self) -> Self {
        Self(self.0 | Self::SCHEMA.0)
    }

    /// These and `max_body`.
    #[must_use]
    pub const fn with_max_body(self) -> Self {
        Self(self.0 | Self::MAX_BODY.0)
    }

    /// These and `log`.
    #[must_use]
    pub const fn with_log(self) -> Self {
        Self(self.0 | Self::LOG.0)
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, those: Self) -> Self {
        Self(self.0 | those.0)
    }

    /// Whether all of those are among these.
    #[must_use]
    pub const fn contains(self, those: Self) -> bool {
        self.0 & those.0 == those.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_obliges_to_nothing_is_none() {
        let none = Obligations::new(Obliged::default());
        assert!(none.is_empty() && none == Obligations::none());
        assert_eq!(none.kinds(), ObligationKinds::none());
        let some = Obligations::new(Obliged {
            max_body: Some(0),
            log: Some(Vec::new()),
            ..Obliged::default()
        });
        assert!(!some.is_empty());
        assert_eq!(
            some.kinds(),
            ObligationKinds::none().with_max_body().with_log()
        );
        assert!(!ObligationKinds::LOG.contains(some.kinds()));
    }
}
