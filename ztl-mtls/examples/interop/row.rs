//! A line of the table, and whether it is as it must be.

use core::fmt;

use crate::ours::Ended;
use crate::pki::{Credential, ID};

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    TheyCall,
    TheyServe,
}

/// What one meeting came to.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) way: Way,
    pub(crate) peer: String,
    /// Whether the peer speaks nothing that we do.
    pub(crate) too_old: bool,
    pub(crate) ours: Credential,
    pub(crate) theirs: Credential,
    /// Whether whoever asked something got an answer.
    pub(crate) answered: bool,
    /// The alert that the peer says it was sent.
    pub(crate) told: Option<String>,
    pub(crate) ended: Ended,
}

impl Row {
    pub(crate) const HEADER: &str = "way          peer               ours      theirs        outcome                                                           key exchange";

    pub(crate) fn is_as_it_must_be(&self) -> bool {
        let ended = &self.ended;
        if self.too_old {
            return !self.answered && ended.peer.is_none() && self.told_is("protocol_version");
        }
        if self.ours != Credential::Right {
            // It is for the peer to refuse us, and for us to be told.
            return !self.answered && ended.told.is_some();
        }
        match self.theirs.refusal() {
            None => self.answered && ended.peer.as_deref() == Some(ID),
            Some((code, alert)) => {
                let refused = ended.refused.as_deref() == Some(code);
                !self.answered && ended.peer.is_none() && refused && self.told_is(alert)
            }
        }
    }

    fn told_is(&self, alert: &str) -> bool {
        self.told.as_deref() == Some(alert)
    }

    fn outcome(&self) -> String {
        let ended = &self.ended;
        if let Some(alert) = &ended.told {
            return format!("refused by the peer: {alert}");
        }
        let told = self.told.as_deref().unwrap_or("no alert seen");
        match (&ended.refused, &ended.peer) {
            (Some(code), _) => format!("refused: {code}, told: {told}"),
            (None, Some(id)) if self.answered => format!("proved: {id}"),
            (None, Some(id)) => format!("proved, but not answered: {id}"),
            (None, None) => "neither proved nor refused".to_owned(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            Way::TheyCall => "they call",
            Way::TheyServe => "they serve",
        };
        let mark = if self.is_as_it_must_be() { ' ' } else { '!' };
        write!(
            f,
            "{way:<11}{mark} {:<18} {:<9} {:<13} {:<65} {}",
            self.peer,
            self.ours.name(),
            self.theirs.name(),
            self.outcome(),
            self.ended.group
        )
    }
}
