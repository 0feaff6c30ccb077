//! Figures of one run: read from the files that the measuring programs wrote, shown as tables, and held against the goals.

mod figures;
mod goals;

pub use figures::Figures;
pub use goals::{condition, decide, handshake, request, token, trust};
