#![doc = include_str!("../README.md")]

#[cfg(panic = "abort")]
compile_error!("ztl's C ABI turns a panic into a denial; build it with `panic = \"unwind\"`");
#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("ztl's C ABI proves certificates; build it with the feature `ring` or `aws-lc-rs`");

mod action;
mod analysis;
mod audit;
mod boundary;
mod claims;
mod crl;
mod decision;
mod engine;
mod error;
mod explain;
mod file;
mod flow;
mod handle;
mod home;
mod host;
mod peer;
mod reads;
mod refusal;
mod status;
mod svid;
mod text;
mod token;
mod version;
mod wire;

pub use action::{ZTL_ACTION_CONNECT, ztl_action_authorize, ztl_action_request};
pub use analysis::{ztl_diff, ztl_reach};
pub use audit::{ztl_audit_fn, ztl_engine_new_with_audit};
pub use boundary::ztl_str;
pub use claims::{ztl_claims, ztl_claims_assert_dangerous, ztl_claims_free};
pub use crl::ztl_engine_crls;
pub use decision::{ZTL_RULE_SIZE, ztl_decision};
pub use engine::{
    ZTL_FORMAT_JSON, ZTL_FORMAT_TOML, ztl_engine, ztl_engine_free, ztl_engine_new, ztl_engine_swap,
    ztl_engine_trust, ztl_engine_trust_der,
};
pub use error::{
    ztl_error, ztl_error_code, ztl_error_decision, ztl_error_free, ztl_error_lack,
    ztl_error_message, ztl_error_reason,
};
pub use explain::ztl_explain;
pub use file::{ztl_engine_new_from_file, ztl_engine_swap_from_file};
pub use flow::{
    ZTL_FLOW_ANONYMOUS, ZTL_FLOW_EGRESS, ztl_flow, ztl_flow_free, ztl_flow_permit, ztl_flow_request,
};
pub use peer::{ztl_peer, ztl_peer_assert_dangerous, ztl_peer_free, ztl_peer_id, ztl_peer_prove};
pub use reads::{
    ZTL_READS_FORWARDED, ZTL_READS_TOKEN, ZTL_READS_TRUST_SCORE, ZTL_READS_XFCC, ztl_flow_reads,
};
pub use refusal::ztl_action_refuse;
pub use status::*;
pub use svid::ztl_svid_check;
pub use text::{ztl_text, ztl_text_bytes, ztl_text_free};
pub use token::{
    ZTL_TOKEN_ACCESS, ZTL_TOKEN_ID, ZTL_TOKEN_SVID, ztl_engine_issuer, ztl_issuer, ztl_token_verify,
};
pub use version::{ZTL_ABI_VERSION, ztl_abi_version, ztl_version};
pub use wire::ztl_header;
