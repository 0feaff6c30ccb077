#![doc = include_str!("../README.md")]

mod audit;
mod authorize;
#[cfg(feature = "client")]
mod egress;
#[cfg(feature = "federation")]
mod federation;
mod guard;
#[cfg_attr(
    not(all(feature = "client", feature = "serve")),
    allow(dead_code, reason = "each end of a connection uses another part")
)]
mod live;
mod name;
mod peer;
mod refresh;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "client")]
mod socket;
#[cfg(feature = "jwt")]
mod token;

pub use audit::TracingSink;
pub use authorize::{Authorize, AuthorizeLayer, Refused, ResponseBody, ResponseFuture};
#[cfg(feature = "client")]
pub use egress::{Client, EgressError};
#[cfg(feature = "federation")]
pub use federation::{FederatedBundle, FederationError, Refreshed};
pub use guard::{BuildError, Guard, GuardBuilder, SwapError};
pub use live::{Connection, ConnectionState};
pub use name::Ambiguity;
pub use peer::Peer;
pub use refresh::FileError;
#[cfg(feature = "serve")]
pub use serve::{PublicTls, RequestBody, ServeError};

pub use ztl_core as core;
pub use ztl_mtls as mtls;
