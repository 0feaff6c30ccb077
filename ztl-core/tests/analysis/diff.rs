//! What diff says.
