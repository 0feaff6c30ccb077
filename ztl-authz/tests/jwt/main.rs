//! What a token verifier takes and refuses: rules 62 and 63, T16.

mod claims;
mod hostile;
mod signature;
#[cfg(test)]
mod support;
