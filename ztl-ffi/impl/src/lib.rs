#![doc = include_str!("../README.md")]

#[cfg(panic = "abort")]
compile_error!("ztl's C ABI turns a panic into a denial; build it with `panic = \"unwind\"`");
#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!("ztl's C ABI proves certificates; build it with the feature `ring` or `aws-lc-rs`");

mod action;
mod boundary;
mod decision;
mod engine;
mod error;
mod flow;
mod handle;
mod peer;
mod status;
mod version;
mod wire;

pub use action::{ZTL_ACTION_CONNECT, ztl_action_authorize, ztl_action_request};
pub use boundary::ztl_str;
pub use decision::{ZTL_RULE_SIZE, ztl_decision};
pub use engine::{
    ZTL_FORMAT_JSON, ZTL_FORMAT_TOML, ztl_engine, ztl_engine_free, ztl_engine_new, ztl_engine_swap,
    ztl_engine_trust,
};
pub use error::{ztl_error, ztl_error_code, ztl_error_free, ztl_error_message};
pub use flow::{ZTL_FLOW_ANONYMOUS, ztl_flow, ztl_flow_free, ztl_flow_permit, ztl_flow_request};
pub use peer::{ztl_peer, ztl_peer_assert_dangerous, ztl_peer_free, ztl_peer_prove};
pub use status::*;
pub use version::{ZTL_ABI_VERSION, ztl_abi_version, ztl_version};
pub use wire::ztl_header;
