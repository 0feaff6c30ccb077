//! Why a request was not answered.

use thiserror::Error;
use ztl_core::Denial;

use crate::name::Ambiguity;

/// Why a request to another workload failed. A refusal of our own policy is an error, never a response.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EgressError {
    /// Our policy does not permit it. Nothing was sent.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The request has more than one reading. Nothing was sent.
    #[error("the request has more than one reading: {ambiguity}")]
    Ambiguous {
        /// Why.
        ambiguity: Ambiguity,
        /// The recorded denial.
        denial: Denial,
    },
    /// The URI names neither a workload nor a host: it is not `https://workload/path` or `https://host.example/path`, or for a raw
    /// stream not `workload` or `host.example`.
    #[error(
        "`{uri}` names no target: {why}; write `https://workload-name/path`, outside the mesh `https://host.example/path`, or for a raw stream the name and no more"
    )]
    Target {
        /// Its scheme and host. The rest may hold what is not for logs (T30).
        uri: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The request asks to turn the connection into another protocol. Nothing was dialled.
    #[error("upgrades are not sent by this client: the request has {what}")]
    Upgrade {
        /// What asks for it.
        what: &'static str,
    },
    /// The workload does not listen on exactly one port, and none is named. A host without a port is called on 443.
    #[error(
        "`{workload}` declares not exactly one port; write `https://{workload}:PORT/path`, or for a raw stream `{workload}:PORT`"
    )]
    Port {
        /// The workload.
        workload: String,
    },
    /// We have no SVID to present: it is withdrawn, or has ended. Nothing was dialled.
    #[error("we cannot prove who we are: {0}")]
    NoIdentity(#[from] ztl_mtls::Unpresentable),
    /// The host outside the mesh has no address that the policy lets it have. Nothing was dialled.
    #[error(
        "`{host}` is at {address}, where the policy does not let it be; where that is meant, name the network in `networks` of its `[external]`"
    )]
    Address {
        /// The host.
        host: String,
        /// Its first address.
        address: core::net::IpAddr,
        /// The recorded denial.
        denial: Box<Denial>,
    },
    /// The target could not be reached.
    #[error("`{workload}` could not be reached at {address}: {error}")]
    Connect {
        /// The workload.
        workload: String,
        /// Its address.
        address: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The target did not answer in time.
    #[error("`{workload}` at {address} did not answer in time")]
    TimedOut {
        /// The workload.
        workload: String,
        /// Its address.
        address: String,
    },
    /// Whoever answered did not prove that it is the named workload.
    #[error("whoever answers at {address} did not prove that it is `{workload}`: {why}")]
    Unproven {
        /// The workload.
        workload: String,
        /// The address.
        address: String,
        /// Why.
        why: String,
    },
    /// The target refused the flow at its own door. Not retried.
    #[error("`{workload}` refused the flow (flow_refused); its audit log says why")]
    FlowRefused {
        /// The workload.
        workload: String,
    },
    /// The connection broke.
    #[error("the connection to `{workload}` broke")]
    Broken {
        /// The workload.
        workload: String,
        /// Why.
        #[source]
        error: Box<dyn core::error::Error + Send + Sync>,
    },
}

impl EgressError {
    /// The denial of our own policy, where that was it.
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Denied(denial) | Self::Ambiguous { denial, .. } => Some(denial),
            Self::Address { denial, .. } => Some(denial),
            _ => None,
        }
    }
}

/// Whether HTTP/2 says that the target goes away without an error and has not taken this request: its stream is beyond the last
/// that the GOAWAY names, or was not opened any more (RFC 9113 §6.8).
pub(super) fn is_going_away(error: &(dyn core::error::Error + 'static)) -> bool {
    // As the h2 crate words a GOAWAY of the other end with NO_ERROR; worded otherwise, the request fails as any other does.
    const WORDS: &str = "connection error received: not a result of an error";
    let mut error = Some(error);
    while let Some(current) = error {
        if current.to_string() == WORDS {
            return true;
        }
        error = current.source();
    }
    false
}

/// Whether a target closed the handshake with the alert `access_denied`: in TLS 1.3 a client learns it at its first read.
pub(super) fn is_access_denied(error: &(dyn core::error::Error + 'static)) -> bool {
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::AccessDenied);
    let mut error = Some(error);
    while let Some(current) = error {
        if let Some(error) = current.downcast_ref::<rustls::Error>() {
            return *error == alert;
        }
        // HTTP/2 keeps of an io::Error only its kind and its text.
        if current.is::<std::io::Error>() && current.to_string() == alert.to_string() {
            return true;
        }
        // An io::Error hides what it holds from `source`.
        let held = current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let held: Option<&(dyn core::error::Error + 'static)> = match held {
            Some(held) => Some(held),
            None => None,
        };
        error = held.or_else(|| current.source());
    }
    false
}
