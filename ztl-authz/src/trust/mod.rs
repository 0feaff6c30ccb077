//! Trust: signals about callers, from which the policy document's `[trust]` makes a score (NIST SP 800-207 §3.3).
//!
//! - **Evidence in**: a [`SignalSource`] answers from memory what is known of a caller. Three are here: [`SignalTable`], which
//!   somebody else fills, [`SignalEndpoint`], which polls one over HTTP, and [`Behaviour`], which watches the audit stream of this very
//!   process.
//! - **The authorizer** is the requirement `trust_score` of a rule. It can only object: a score is never a permit, and a signal
//!   that could lower it and is missing makes it 0 (T4).
//! - Beside signals there is the **posture** of a caller's device ([`PostureSource`], [`PostureTable`]): attributes that make no score,
//!   and that conditions read.
//! - **The build error** is [`UnknownSignal`]: a policy that weighs a signal nobody gives.
//! - **The example** is below.
//!
//! ```
//! use ztl_authz::trust::{SignalTable, Signals, Whom};
//! use ztl_core::{Timestamp, policy::Policy};
//!
//! let policy = Policy::from_toml(r#"
//!     schema = 1
//!     trust_domain = "prod.example"
//!     [trust]
//!     base = 20
//!     [trust.signals.device]
//!     weight = 80
//!     max_age = "15m"
//! "#)?;
//! let table = SignalTable::from_json(br#"{"source": "mdm", "signals": [
//!     {"name": "device", "peer": "spiffe://prod.example/laptop", "value": 90, "observed_at": 1790000000}
//! ]}"#)?;
//! let signals = Signals::none().with("device", table);
//! signals.check(&policy)?;
//!
//! let laptop = "spiffe://prod.example/laptop".parse()?;
//! let now = Timestamp::from_unix_secs(1_790_000_060);
//! let scorer = policy.scorer().expect("the policy has [trust]");
//! let scored = signals.explain(scorer, Whom::peer(&laptop), now);
//! assert_eq!(scored.score.value(), 20 + 72);
//! assert_eq!(
//!     scored.contributions[0].to_string(),
//!     "`device` of the peer is 90 by `mdm`, 60 s old: adds 72 of 80",
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod behaviour;
mod endpoint;
mod entry;
mod posture;
mod shared;
mod signals;
mod source;
mod table;

pub use behaviour::{Behaviour, Measure, Watched};
pub use endpoint::{DEFAULT_KEPT, DEFAULT_POLL, SignalEndpoint, SignalEndpointError, SignalsDue};
pub use entry::EntryFault;
pub use posture::{MAX_POSTURES, PostureError, PostureSource, PostureTable};
pub use shared::{Shared, SharedPostures, SharedTable};
pub use signals::{Signals, UnknownSignal};
pub use source::{About, SignalSource, Whom};
pub use table::{MAX_SIGNALS, MAX_TABLE_BYTES, SignalTable, TableError};
