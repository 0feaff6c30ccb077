//! Why a guard could not be built: never at run time, and never with a guard that lets something through.

use std::path::PathBuf;

use thiserror::Error;
use ztl_core::Timestamp;
use ztl_core::policy::LoadError;

/// Why a guard could not be built.
#[derive(Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A required part was not given.
    #[error("the guard has no {part}; call {call} on its builder")]
    Missing {
        /// The part.
        part: &'static str,
        /// What to call.
        call: &'static str,
    },
    /// The guard's own file could not be read, or others may write it.
    #[error(transparent)]
    GuardFile(crate::refresh::FileError),
    /// The guard's own file was refused.
    #[error(transparent)]
    GuardSettings(LoadError),
    /// The policy was refused.
    #[error(transparent)]
    Policy(#[from] LoadError),
    /// An authorizer that the program gives could not be taken.
    #[error("the authorizer `{name}` {why}")]
    Authorizer {
        /// The name that rules would call it by.
        name: String,
        /// Why, and how to mend it.
        why: &'static str,
    },
    /// The policy's file could not be read, or others may write it.
    #[error(transparent)]
    PolicyFile(#[from] crate::refresh::FileError),
    /// What vouches for a policy's file is asked for, and the policy is none.
    #[error(
        "`policy_key_file` and `policy_state_file` are for a policy in a file, and this one comes from memory; give the builder `policy_file`, or leave them out"
    )]
    NotFromFile,
    /// The policy does not declare this workload.
    #[error(
        "the policy declares no workload `{0}`; give the builder a name that stands under [workloads]"
    )]
    UnknownWorkload(String),
    /// The SVID is another workload's (T22).
    #[error(
        "the SVID is that of `{svid}`, but the workload `{workload}` is `{expected}` in the policy"
    )]
    NotMySvid {
        /// This workload.
        workload: String,
        /// Its id in the policy.
        expected: String,
        /// The SVID's id.
        svid: String,
    },
    /// The SVID has ended: it would prove nothing to anybody who looks.
    #[error(
        "the SVID of `{svid}` ended at {not_after}, and it is {now}; give the builder one that is valid"
    )]
    Expired {
        /// Whom it names.
        svid: String,
        /// Its last moment.
        not_after: Timestamp,
        /// When it was looked at.
        now: Timestamp,
    },
    /// Two sources say who we are.
    #[error("{first} and {second} both give an SVID; give the builder one identity")]
    ManyIdentities {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// Certificate and key could not be used.
    #[error("the identity could not be used: {0}")]
    Identity(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// A trust bundle could not be used.
    #[error("the trust bundle could not be used: {0}")]
    Bundle(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// A revocation list or the deny list could not be used.
    #[error("what is revoked could not be read: {0}")]
    Revocation(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// The audit sink could not be opened.
    #[error("`{path}`: {error}")]
    Audit {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ztl_core::audit::AuditError,
    },
    /// The file has masks, and the program a sink of its own, which they do not reach.
    #[error(
        "`[audit_masks]` hold for records that the guard writes itself, and the program gives a sink of its own: mask there, and take the section out"
    )]
    MasksOfAnother,
    /// The access log could not be opened.
    #[error("the access log `{path}` could not be opened: {error}")]
    AccessLog {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The signals that are to end the service cannot be listened for.
    #[cfg(feature = "signal")]
    #[error("the signals that are to end the service cannot be listened for: {0}")]
    ShutdownSignals(#[source] std::io::Error),
    /// The roots of the Web PKI cannot be used.
    #[error("the roots of the Web PKI cannot be used: {0}")]
    WebRoots(#[from] ztl_mtls::WebRootsError),
    /// An endpoint names no workload of the policy, and no host outside the mesh.
    #[error("the endpoint `{0}` names no workload of the policy, and no host of its `external`")]
    UnknownEndpoint(String),
    /// A rule of this workload asks for a token, and no verifier was given.
    #[error(
        "the policy asks for a token from callers of `{0}`, and the guard has no token verifier; write `[[issuers]]` in its file, or call `token_verifier` or `issuer_file`, with the feature `jwt`, or `fetched_issuer`, with `oidc`"
    )]
    NoTokenVerifier(String),
    /// The policy weighs signals, and they come from nowhere; or a table about callers cannot be read.
    #[error("what is to be known of callers cannot be had: {0}")]
    Signals(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// A rule of this workload reads the posture of callers' devices, and no source of it was given.
    #[error(
        "the policy reads the posture of callers of `{0}`, and the guard has no source of it; write `posture` in its file, or call `posture` or `posture_file`, with the feature `trust`"
    )]
    NoPosture(String),
    /// A rule of this workload reads what the service says of a request, and it says nothing.
    #[error(
        "the policy reads the context of requests to `{0}`, and the guard does not know any; call `context_from`"
    )]
    NoContext(String),
    /// A permit of this workload obliges to something that this build does not discharge: it would be denied.
    #[error(
        "a permit for `{0}` obliges to what this guard does not discharge; build with the features `limit` and `schema`, or take the obligation out of the policy"
    )]
    Undischarged(String),
    /// Limits are to be counted in a Redis whose URL cannot be read.
    #[cfg(feature = "redis")]
    #[error(
        "the URL of the Redis that counts limits cannot be read; write `redis://host:port` or `redis+unix:///path`"
    )]
    RedisUrl,
    /// The issuers of tokens do not fit together, or are not what the policy declares (`IssuerMismatch`).
    #[error("the issuers of tokens cannot be used: {0}")]
    Tokens(#[source] Box<dyn core::error::Error + Send + Sync>),
    /// A bundle of policies is not in force: what rests on it could only be denied.
    #[error("the bundle `{name}` is not in force: {error}")]
    OpaBundle {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        error: Box<dyn core::error::Error + Send + Sync>,
    },
    /// The engine could not be made.
    #[error(transparent)]
    Engine(#[from] ztl_core::EngineError),
    /// What changes while the service runs cannot be looked at again.
    #[error("what changes cannot be looked at again: {0}")]
    Refresh(#[source] std::io::Error),
    /// No crypto provider is compiled in and none was given.
    #[error(
        "no crypto provider: enable the feature `aws-lc-rs` or `ring`, or call `crypto_provider`"
    )]
    NoProvider,
}

/// As it is displayed: what a `main` returns is printed this way, and whoever reads it has to mend a file.
impl core::fmt::Debug for BuildError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let text = self.to_string();
        f.write_str(text.strip_prefix("error: ").unwrap_or(&text))
    }
}

impl From<PolicySwapError> for BuildError {
    fn from(error: PolicySwapError) -> Self {
        match error {
            PolicySwapError::Engine(error) => Self::Engine(error),
            #[cfg(feature = "jwt")]
            PolicySwapError::Issuer(error) => Self::Tokens(error.into()),
        }
    }
}

/// Why another policy was not taken. The one in force stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicySwapError {
    /// It is older than the one in force (T6).
    #[error(transparent)]
    Engine(#[from] ztl_core::EngineError),
    /// It declares an issuer otherwise than this guard verifies its tokens (T16).
    #[cfg(feature = "jwt")]
    #[error(transparent)]
    Issuer(#[from] super::IssuerMismatch),
}

/// Why another SVID was not taken. The one in use stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SwapError {
    /// It names another workload (T22).
    #[error(transparent)]
    Identity(#[from] ztl_mtls::IdentityError),
    /// It has ended.
    #[error("the new SVID ended at {not_after}, and it is {now}; the one in use stays")]
    Expired {
        /// Its last moment.
        not_after: Timestamp,
        /// When it was looked at.
        now: Timestamp,
    },
    /// It is not valid yet.
    #[error("the new SVID begins at {not_before}, and it is {now}; the one in use stays")]
    NotYetValid {
        /// Its first moment.
        not_before: Timestamp,
        /// When it was looked at.
        now: Timestamp,
    },
}
