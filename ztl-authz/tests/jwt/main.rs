//! What a token verifier takes and refuses: rules 29, 62 and 63, T16.

#![cfg(test)]

mod claims;
mod hostile;
mod keys;
mod remembered;
mod signature;
mod support;
mod svid;
