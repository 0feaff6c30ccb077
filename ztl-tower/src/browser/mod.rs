//! The boundary towards browsers, for services with pages: what a response may make a browser do, and which requests a browser
//! makes on behalf of another site.
//!
//! **Requests.** Browsers send credentials along whoever asks them to, so what another site asks for is refused:
//!
//! 1. `Sec-Fetch-Site` ([Fetch Metadata]) that is repeated or unknown: refused.
//! 2. A request that changes something, which is every method but `GET`, `HEAD` and `OPTIONS`, and every WebSocket and other
//!    upgrade: let through from the same origin, from the user (`none`), and from an origin that was allowed by name; refused from
//!    any other, another host of the same site among them.
//! 3. The same without `Sec-Fetch-Site`: let through where `Origin` is the request's own host over https; refused with any other
//!    `Origin`, with `null`, and without one, since then nobody can tell. Clients that are no browsers are let in by
//!    [`Browser::allow_other_clients`].
//! 4. `GET` and `HEAD` from another site: let through as the navigation of a whole page, and refused as part of a page, in a frame or
//!    by a script.
//!
//! **Responses.** Each carries a Content-Security-Policy that allows nothing that is not named, and headers that keep other sites
//! from embedding it, from sharing its process and from learning its URLs. A service's own policy stands beside it, and a browser
//! keeps to both.
//!
//! It protects against other sites, not against a page's own holes; and it judges nobody: that is the policy's.
//!
//! ```
//! use ztl_tower::browser::{Browser, Csp, Integrity};
//!
//! let script = Integrity::of(b"console.log('hello')");
//! let boundary = Browser::new(Csp::none().script("self")?.style("self")?.image("self")?.connect("self")?.script_hash(&script));
//! let app: axum::Router = axum::Router::new().layer(boundary);
//! assert_eq!(script.to_string().len(), "sha384-".len() + 64);
//! assert!(Csp::none().script("unsafe-inline").is_err());
//! # let _ = app;
//! # Ok::<(), ztl_tower::browser::SourceError>(())
//! ```
//!
//! [Fetch Metadata]: https://www.w3.org/TR/fetch-metadata/

mod csp;
mod integrity;
mod layer;
mod origin;

pub use csp::{Csp, SourceError};
pub use integrity::{Integrity, Nonce};
pub use layer::{Boundary, BoundaryFuture, Browser, CrossSite};
pub use origin::OriginError;
