//! Bearer tokens: a JSON Web Token (RFC 7519), verified, becomes [`Claims`](ztl_core::Claims).
//!
//! 1. The token is one compact JWS (RFC 7515 §7.1): three parts, at most [`MAX_TOKEN_BYTES`], base64url without padding.
//!    An encrypted (RFC 7516) or nested one, `crit` and `b64` are refused.
//! 2. JSON has no member name twice at any depth, and is at most 16 deep.
//! 3. `iss` is exactly that of a configured [`Issuer`]; before the signature is checked it does no more than find the keys.
//! 4. `kid` finds the key and the key decides the algorithm (RFC 8725 §3.1): `alg` must say the same. A token without `kid`
//!    is taken only where the issuer has a single key. Keys and addresses inside a token (`jwk`, `jku`, `x5c`, `x5u`) are
//!    never read, and there are no symmetric keys, so neither `none` nor a MAC keyed with a public key can pass (rule 62). A key
//!    set that holds a secret is refused whole.
//! 5. Then `sub`, `aud` and `exp` must be there. `aud` names a configured audience. The token is over the moment `now`
//!    reaches `exp`; `nbf` and `iat` may lie ahead of `now` by the leeway.
//! 6. `typ` and the claims must fit the kind of token that the issuer is configured for (T16).
//! 7. A token with `cnf` (RFC 7800) passes only where its `x5t#S256` (RFC 8705 §3.1) is the peer's certificate. A `cnf` that
//!    cannot be checked refuses the token.
//!
//! 8. A JWT-SVID (SPIFFE) is of the trust domain of its `sub`, verified with the keys of that domain's bundle alone (rule 29).
//! 9. Where an issuer's keys are not at hand, or older than they may be, every token of it is refused (rule 63).
//!
//! 10. A token whose signature was checked before is known by a keyed hash of its whole text, as long as its key is in use. That
//!     proof is all that is remembered: type, time, audience and certificate are judged each time (T17).
//!
//! 11. A caller that sent too many bad tokens has no further one checked ([`BadTokens`], T34).
//!
//! Nothing here reads a clock, a file or a socket: bytes and `now` come in. Key sets are fixed; other keys are another
//! [`TokenVerifier`], which is cheap to put in place of the old.
//!
//! What a rule of the policy asks of the claims (`token = { issuer = "corp", scopes = ["infer"] }`) is judged by `ztl-core`.

mod bad_tokens;
mod bearer;
mod claims;
pub(crate) mod compact;
#[cfg(feature = "dev-issuer")]
mod dev_issuer;
#[cfg(feature = "oidc")]
mod endpoint;
mod error;
mod issuer;
mod jwks;
pub(crate) mod key;
mod rsa;
mod seen;
#[cfg(test)]
mod suites;
mod verifier;

pub use bad_tokens::{BadTokens, Refused};
pub use bearer::{BearerError, bearer_token, bears_token};
pub use compact::MAX_TOKEN_BYTES;
#[cfg(feature = "dev-issuer")]
pub use dev_issuer::{DevIssuer, DevIssuerError};
#[cfg(feature = "oidc")]
pub use endpoint::{
    DEFAULT_COOL_DOWN, DEFAULT_MAX_STALE, DEFAULT_REFRESH, Due, EndpointError, Fetch, JwksEndpoint,
    MAX_METADATA_BYTES, Received,
};
pub use error::{Part, TokenError, TokenErrorKind};
pub use issuer::{DEFAULT_LEEWAY, Issuer, MAX_LEEWAY};
pub use jwks::{Jwks, JwksError, MAX_JWKS_BYTES, MAX_KEYS};
pub use key::{KeyError, KeyFingerprint};
pub use seen::DEFAULT_REMEMBERED;
pub use verifier::{BuildError, TokenVerifier, TokenVerifierBuilder, Unverified, Verified};
#[cfg(feature = "oidc")]
pub use ztl_core::url::{HttpUrl, MAX_URL_BYTES, UrlError};
