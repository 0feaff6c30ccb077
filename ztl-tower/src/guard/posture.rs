//! The posture of callers' devices.

use std::path::PathBuf;
use std::sync::Arc;

use ztl_authz::trust::{MAX_TABLE_BYTES, PostureSource, PostureTable, SharedPostures};
use ztl_core::{Attributes, Claims, FlowPermit, Timestamp};

use super::{Clock, Guard, GuardBuilder};
use crate::refresh::TableFile;

/// What the builder was told of postures.
#[derive(Default)]
pub(super) struct PostureFrom {
    source: Option<Arc<dyn PostureSource>>,
    file: Option<(PathBuf, SharedPostures)>,
}

impl PostureFrom {
    pub(super) fn open(self, clock: &Clock) -> (Option<Arc<dyn PostureSource>>, Option<TableFile>) {
        let file = self.file;
        let file = file.map(|(path, known)| postures_in(path, known, Arc::clone(clock)));
        (self.source, file)
    }
}

fn postures_in(path: PathBuf, known: SharedPostures, clock: Clock) -> TableFile {
    TableFile::of(path, MAX_TABLE_BYTES, "postures", move |bytes| {
        let table = PostureTable::from_json(bytes)?;
        let count = table.len();
        known.follow(table, clock())?;
        Ok(count)
    })
}

impl GuardBuilder {
    /// Where the posture of callers' devices comes from, which conditions and authorizers read. Asked where a rule of the flow could
    /// read it (T34). Where it changes, running requests are judged again within a second (law 8).
    pub fn posture(mut self, source: impl PostureSource + 'static) -> Self {
        self.posture = PostureFrom {
            source: Some(Arc::new(source)),
            file: None,
        };
        self
    }

    /// Takes postures from a file, a [`PostureTable`] in JSON, read again when it changes, in place of any other source.
    ///
    /// A file that group or others may write is refused. A changed one that is broken takes nothing back: the last good one stays
    /// until its entries expire, and an error event says so. So it is with one in which a posture was observed before the one that is
    /// held of the same device (rule 57).
    pub fn posture_file(mut self, path: impl Into<PathBuf>) -> Self {
        let known = SharedPostures::new();
        self.posture = PostureFrom {
            source: Some(Arc::new(known.clone())),
            file: Some((path.into(), known)),
        };
        self
    }
}

impl Guard {
    /// The posture of whoever asks, where a rule of the flow could read it (T34).
    pub(crate) fn posture(
        &self,
        flow: &FlowPermit,
        claims: Option<&Claims>,
        now: Timestamp,
    ) -> Option<Attributes> {
        let source = self.0.posture.as_ref()?;
        if !flow.reads_posture() {
            return None;
        }
        let policy = self.engine().policy();
        let peer = super::signals::one_id(&policy, flow);
        source.posture(super::signals::whom(peer.as_deref(), claims), now)
    }
}
