// Says beside each item which feature it is of.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("../README.md")]

/// Networks in a [`policy::Document`] are of this crate.
pub use ipnet;
/// Claims, attributes and settings are JSON as this crate has it.
pub use serde_json;

mod action;
pub mod analysis;
pub mod audit;
mod authority;
pub mod authorizer;
mod clause;
mod decision;
mod engine;
mod evidence;
mod flow;
mod forwarding;
mod headers;
mod hex;
mod id;
#[cfg(feature = "json")]
pub mod json;
mod leaf_digest;
mod limit;
mod obligation;
mod opinion;
mod overrides;
mod path;
mod peer;
pub mod policy;
mod prefix;
mod reason;
pub mod schema;
mod spoken;
mod texts;
mod time;
pub mod trust;
#[cfg(feature = "url")]
pub mod url;
mod web_host;
mod word;
mod zone;

pub use action::{Action, Method, Methods, Resource, Upgrade};
pub use authority::{HTTPS_PORT, is_host};
pub use clause::{Clause, Near};
pub use decision::{Decision, DecisionId, Denial, Lack, ShadowOutcome};
pub use engine::{CLOCK_LEAP, CLOCK_SKEW, Engine, EngineError};
pub use evidence::{Attributes, Claims, ClaimsError, Evidence, TrustScore};
pub use flow::{ActionPermit, Direction, Flow, FlowPermit};
pub use forwarding::{Forwarding, ForwardingError, MAX_FORWARDING_BYTES, PassedOn};
pub use headers::{HeaderPairs, Headers, is_same_field};
pub use id::{IdError, IdPattern, MAX_ID_BYTES, MAX_TRUST_DOMAIN_BYTES, SpiffeId, TrustDomain};
pub use leaf_digest::LeafDigest;
pub use limit::{Limit, LimitBy, Rate};
pub use obligation::{ObligationKinds, Obligations};
pub use overrides::{METHOD_OVERRIDES, TARGET_OVERRIDES};
pub use path::{CanonicalPath, MAX_TARGET_BYTES, PathError, Segment};
pub use peer::{Peer, Proof};
pub use policy::settings;
pub use prefix::Prefix;
pub use reason::{Reason, Stage, Verdict};
pub use time::{Timestamp, TimestampError, UnixTime};
pub use web_host::WebHost;
pub use word::WordError;
pub use zone::{Arrival, Zone, ZoneMap};
