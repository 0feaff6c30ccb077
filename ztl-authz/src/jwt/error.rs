//! Why a token was refused.

use core::fmt;

use ztl_core::json::MAX_DEPTH;

use super::compact::MAX_TOKEN_BYTES;

/// A part of a compact token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The first part.
    Header,
    /// The second part.
    Payload,
    /// The third part.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why a token was refused. Its text holds nothing of the token, so that it may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The text is empty.
    #[error("there is no token")]
    Missing,
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// One part is longer than such a part may be.
    #[error("the token's {0} is too long")]
    PartTooLong(Part),
    /// Five parts: a JWE (RFC 7516 §3.1).
    #[error("the token is encrypted; only signed tokens are read")]
    Encrypted,
    /// Neither three parts nor five (RFC 7515 §7.1): an opaque token, for one (RFC 6750 says nothing of what is in it).
    #[error("the token does not have three parts; only signed JWTs are read, no opaque tokens")]
    NotThreeParts,
    /// Not base64url without padding (RFC 7515 §2).
    #[error("the token's {0} is not base64url without padding")]
    Encoding(Part),
    /// Not one JSON object.
    #[error("the token's {0} is not a JSON object")]
    Json(Part),
    /// A member name stands twice (RFC 7515 §4, RFC 7519 §4).
    #[error("the token's {0} has a member name twice")]
    Duplicate(Part),
    /// Objects and lists are nested too deep.
    #[error("the token's {0} is nested deeper than {MAX_DEPTH}")]
    TooDeep(Part),
    /// A header parameter is missing or of the wrong type.
    #[error("the header parameter `{0}` is missing or malformed")]
    Header(&'static str),
    /// `crit` asks for an extension; none is known (RFC 7515 §4.1.11).
    #[error("the header has `crit`, and no extension is known")]
    Critical,
    /// `b64` (RFC 7797) is not for a JWT.
    #[error("the header has `b64`, which no token may have")]
    Unencoded,
    /// `cty` says that the payload is another token (RFC 7519 §5.2).
    #[error("the payload is another token; nested tokens are not read")]
    Nested,
    /// A claim that must be there is not.
    #[error("the claim `{0}` is missing")]
    MissingClaim(&'static str),
    /// A claim is of the wrong type or out of range.
    #[error("the claim `{0}` is malformed")]
    MalformedClaim(&'static str),
    /// `iss` is that of no configured issuer.
    #[error("the token is from no configured issuer")]
    WrongIssuer,
    /// `typ` is none that the issuer is configured for (RFC 8725 §3.11).
    #[error("the token's `typ` is not one that its issuer is configured for")]
    WrongType,
    /// The issuer's keys were not fetched yet, or not for longer than they may be used.
    #[error("the keys of the token's issuer are not at hand")]
    NoKeys,
    /// No `kid`, and the issuer has more than one key.
    #[error("the token names no key and its issuer has several")]
    NoKeyId,
    /// The issuer has no key of this `kid`.
    #[error("the token's key is not among those of its issuer")]
    UnknownKey,
    /// `alg` is not the algorithm of the key (RFC 8725 §3.1).
    #[error("the token's `alg` is not the algorithm of its key")]
    WrongAlgorithm,
    /// The signature does not verify.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// `aud` names none of the configured audiences (RFC 7519 §4.1.3).
    #[error("the token is for another audience")]
    WrongAudience,
    /// `now` has reached `exp` (RFC 7519 §4.1.4).
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead of `now` by more than the leeway (RFC 7519 §4.1.5).
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Claims of another kind of token: an ID token where access tokens are configured, or the reverse (T16).
    #[error("the token is of another kind than its issuer is configured for")]
    WrongKind,
    /// `cnf` names another key than the peer's, or one that cannot be checked here (RFC 7800, RFC 8705 §3).
    #[error("the token is bound to a key that the peer was not seen to hold")]
    Unbound,
}

impl TokenError {
    /// A stable name for records and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::TooLong | Self::PartTooLong(_) => "token_too_long",
            Self::Encrypted => "token_encrypted",
            Self::NotThreeParts => "token_not_three_parts",
            Self::Encoding(_) => "token_encoding_malformed",
            Self::Json(_) => "token_json_malformed",
            Self::Duplicate(_) => "token_member_duplicate",
            Self::TooDeep(_) => "token_too_deep",
            Self::Header(_) => "token_header_malformed",
            Self::Critical => "token_critical_extension",
            Self::Unencoded => "token_payload_unencoded",
            Self::Nested => "token_nested",
            Self::MissingClaim(_) => "token_claim_missing",
            Self::MalformedClaim(_) => "token_claim_malformed",
            Self::WrongIssuer => "token_wrong_issuer",
            Self::WrongType => "token_wrong_type",
            Self::NoKeys => "token_keys_unavailable",
            Self::NoKeyId => "token_key_unnamed",
            Self::UnknownKey => "token_key_unknown",
            Self::WrongAlgorithm => "token_wrong_algorithm",
            Self::BadSignature => "token_signature_invalid",
            Self::WrongAudience => "token_wrong_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::WrongKind => "token_wrong_kind",
            Self::Unbound => "token_unbound",
        }
    }

    /// The coarse kind.
    #[must_use]
    pub const fn kind(&self) -> TokenErrorKind {
        match self {
            Self::Missing => TokenErrorKind::Missing,
            Self::TooLong
            | Self::PartTooLong(_)
            | Self::NotThreeParts
            | Self::Encoding(_)
            | Self::Json(_)
            | Self::Duplicate(_)
            | Self::TooDeep(_)
            | Self::Header(_)
            | Self::MissingClaim(_)
            | Self::MalformedClaim(_) => TokenErrorKind::Malformed,
            Self::Encrypted | Self::Critical | Self::Unencoded | Self::Nested => {
                TokenErrorKind::Unsupported
            }
            Self::NoKeys
            | Self::NoKeyId
            | Self::UnknownKey
            | Self::WrongAlgorithm
            | Self::BadSignature => TokenErrorKind::Untrusted,
            Self::WrongIssuer => TokenErrorKind::WrongIssuer,
            Self::WrongAudience => TokenErrorKind::WrongAudience,
            Self::WrongType | Self::WrongKind => TokenErrorKind::WrongKind,
            Self::Expired => TokenErrorKind::Expired,
            Self::NotYetValid => TokenErrorKind::NotYetValid,
            Self::Unbound => TokenErrorKind::Unbound,
        }
    }

    /// The `error` of the challenge to answer with (RFC 6750 §3.1): `invalid_token`, and none where there was no token.
    #[must_use]
    pub const fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            _ => Some("invalid_token"),
        }
    }
}

/// What was wrong with a token, coarsely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenErrorKind {
    /// There was none.
    Missing,
    /// It is not a token as the RFCs write one.
    Malformed,
    /// It asks for something that is not read: encryption, an extension, a token in a token.
    Unsupported,
    /// No key of its issuer signed it.
    Untrusted,
    /// It is from somebody else.
    WrongIssuer,
    /// It is for somebody else.
    WrongAudience,
    /// It is another kind of token.
    WrongKind,
    /// It is over.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// It is bound to a key that the peer was not seen to hold.
    Unbound,
}
