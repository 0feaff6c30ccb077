//! Whom a proxy passes on, read from its requests; and such fields taken away from everybody else's (T12).

use crate::said::{Field, Names};
use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};
use ztl_core::{FlowPermit, Forwarding, ForwardingError, SpiffeId, is_same_field};

static XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

fn name(field: Forwarding) -> Option<(&'static HeaderName, Field)> {
    match field {
        Forwarding::Xfcc => Some((&XFCC, Field::Xfcc)),
        Forwarding::Forwarded => Some((&FORWARDED, Field::Forwarded)),
        _ => None,
    }
}

/// Whom the peer of a flow passes on. Nobody, where its workload does not say in which field it does.
pub(crate) fn read(
    flow: &FlowPermit,
    headers: &HeaderMap,
) -> Result<Option<SpiffeId>, ForwardingError> {
    match flow.forwards_in().and_then(name) {
        Some((field, _)) => {
            flow.passed_on(headers.get_all(field).iter().map(HeaderValue::as_bytes))
        }
        None => Ok(None),
    }
}

/// Takes away what claims to be passed on by somebody who does not do so in that field, or in a field that CGI takes for it.
pub(crate) fn strip(headers: &mut HeaderMap, said: Names, trusted: Option<Forwarding>) {
    for field in Forwarding::ALL {
        if trusted != Some(*field)
            && let Some((name, known)) = name(*field)
            && said.has(known)
        {
            headers.remove(name);
        }
    }
    if said.has(Field::OtherXfcc) {
        let is_other = |name: &&HeaderName| {
            *name != XFCC && is_same_field(name.as_str().as_bytes(), XFCC.as_str())
        };
        let others: Vec<HeaderName> = headers.keys().filter(is_other).cloned().collect();
        for name in others {
            headers.remove(name);
        }
    }
}

/// Whether a rule must not see this field.
pub(crate) fn hides(field: &str, trusted: Option<Forwarding>) -> bool {
    (Forwarding::ALL.iter())
        .any(|known| trusted != Some(*known) && known.field().eq_ignore_ascii_case(field))
}
