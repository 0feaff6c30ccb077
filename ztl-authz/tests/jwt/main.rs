//! What a token verifier takes and refuses: rules 29, 62 and 63, T16.

#![cfg(test)]

mod claims;
mod hostile;
mod keys;
mod page;
mod remembered;
mod scenarios;
mod signature;
mod support;
mod svid;
// The tally of the suites of ztl-core: one way to say what is answered otherwise.
#[allow(dead_code, reason = "shared with suites that can leave rows unsaid")]
#[path = "../../../ztl-core/tests/suites/tally.rs"]
mod tally;
