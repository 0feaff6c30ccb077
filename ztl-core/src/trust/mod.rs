//! How far a caller is trusted: signals, weighed by the policy document into a score of 0 to 100.
//!
//! The trust algorithm of NIST SP 800-207 §3.3, score-based and without memory: what is known of a caller goes in as
//! [`Signal`]s, each with a source, a value, the time at which it was observed and the time at which it ends; the weights stand
//! in the document (`[trust]`). A score never permits anything: it is one more input that a rule may require
//! (`trust_score = 70`).
//!
//! 1. A score is a pure function of document, signals and time. Without new signals it never rises as time goes on.
//! 2. A signal that is missing, stale or of the future adds nothing. One that could lower the score or take it away gives 0: a
//!    silenced feed is worth no more than its worst answer (T4).
//! 3. Weights are never spread anew over the signals that are there.
//! 4. Every point is explained ([`Scored::contributions`]).

mod scorer;
mod signal;

pub use scorer::{Contribution, Effect, Scored, Scorer, Weighed};
pub use signal::{Of, Signal};
