//! What is known of callers: the sources of the signals that the policy's `[trust]` weighs.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinError;
use ztl_authz::trust::{MAX_TABLE_BYTES, SharedTable, SignalTable, Signals, Whom};
use ztl_core::policy::Policy;
use ztl_core::{Claims, FlowPermit, SpiffeId, Timestamp, TrustScore};

use super::{BuildError, Clock, Guard, GuardBuilder};
use crate::refresh::{TableFile, TableFiles};

/// What the builder was told of signals.
#[derive(Default)]
pub(super) struct SignalsFrom {
    signals: Signals,
    files: Vec<(PathBuf, SharedTable)>,
    #[cfg(feature = "client")]
    fetched: Vec<crate::polled::FetchedSignals>,
}

/// What was read of it.
pub(super) struct Opened {
    pub(super) signals: Signals,
    pub(super) files: TableFiles,
    #[cfg(feature = "client")]
    pub(super) fetched: Vec<crate::polled::FetchedSignals>,
}

impl SignalsFrom {
    /// One more signal.
    pub(super) fn give(
        &mut self,
        name: &str,
        source: impl ztl_authz::trust::SignalSource + 'static,
    ) {
        self.signals = core::mem::take(&mut self.signals).with(name, source);
    }

    pub(super) const fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Reads the files for the first time, that of postures too.
    pub(super) async fn open(
        self,
        postures: Option<TableFile>,
        clock: &Clock,
    ) -> Result<Opened, BuildError> {
        let refused = |error: Box<dyn core::error::Error + Send + Sync>| BuildError::Signals(error);
        let files = self.files.into_iter();
        let files = files.map(|(path, table)| signals_in(path, table, Arc::clone(clock)));
        let files = files.chain(postures).collect();
        let (files, loaded) = crate::refresh::off_thread(TableFiles::new(files), TableFiles::load)
            .await
            .map_err(|error: JoinError| refused(error.into()))?;
        loaded.map_err(refused)?;
        Ok(Opened {
            signals: self.signals,
            files,
            #[cfg(feature = "client")]
            fetched: self.fetched,
        })
    }
}

fn signals_in(path: PathBuf, table: SharedTable, clock: Clock) -> TableFile {
    TableFile::of(path, MAX_TABLE_BYTES, "signals", move |bytes| {
        let read = SignalTable::from_json(bytes)?;
        let count = read.len();
        table.follow(read, clock())?;
        Ok(count)
    })
}

impl GuardBuilder {
    /// Where the signals come from that the policy's `[trust]` weighs. The guard makes the trust score of each request of them;
    /// where one changes, running requests are judged again within a second (law 8).
    pub fn signals(mut self, signals: Signals) -> Self {
        self.signals.signals = signals;
        self.signals.files.clear();
        #[cfg(feature = "client")]
        self.signals.fetched.clear();
        self
    }

    /// Takes the signals of these names from a file, a [`SignalTable`](ztl_authz::trust::SignalTable) in JSON, read again when it
    /// changes. Call it after [`signals`](Self::signals), once a file.
    ///
    /// A file that group or others may write is refused. A changed one that is broken takes nothing back: the last good one stays
    /// until its signals are too old, and an error event says so. So it is with one in which a signal was observed before the one that is
    /// held of the same (rule 57).
    pub fn signal_file<'a>(
        mut self,
        names: impl IntoIterator<Item = &'a str>,
        path: impl Into<PathBuf>,
    ) -> Self {
        let table = SharedTable::new();
        for name in names {
            self.signals.signals = self.signals.signals.with(name, table.clone());
        }
        self.signals.files.push((path.into(), table));
        self
    }

    /// Takes the signals of these names from a source that is polled over HTTP while the service runs. Call it after
    /// [`signals`](Self::signals), once a source. The guard is built without waiting for it: until it answered, the signals are
    /// missing.
    #[cfg(feature = "client")]
    pub fn fetched_signals<'a>(
        mut self,
        names: impl IntoIterator<Item = &'a str>,
        from: crate::polled::FetchedSignals,
    ) -> Self {
        for name in names {
            let table = from.endpoint.signals();
            self.signals.signals = self.signals.signals.with(name, table);
        }
        self.signals.fetched.push(from);
        self
    }
}

impl Guard {
    /// How far whoever asks is trusted now; none where no rule asks or the policy weighs nothing (T34).
    pub(crate) fn trust_score(
        &self,
        flow: &FlowPermit,
        claims: Option<&Claims>,
        now: Timestamp,
    ) -> Option<TrustScore> {
        if !flow.reads_trust_score() {
            return None;
        }
        let policy = self.engine().policy();
        let scorer = policy.scorer()?;
        let peer = one_id(&policy, flow);
        let whom = whom(peer.as_deref(), claims);
        Some(self.0.signals.score(scorer, whom, now))
    }
}

/// What is known speaks of a caller by one id, whichever of its names it comes by (T13).
pub(super) fn one_id<'a>(policy: &Policy, flow: &'a FlowPermit) -> Option<Cow<'a, SpiffeId>> {
    flow.peer().map(|peer| policy.one_id_of(peer.id()))
}

/// Of whom something is to be known.
pub(super) fn whom<'a>(peer: Option<&'a SpiffeId>, claims: Option<&'a Claims>) -> Whom<'a> {
    let whom = peer.map_or_else(Whom::nobody, Whom::peer);
    match claims {
        Some(claims) => whom.with_claims(claims),
        None => whom,
    }
}
