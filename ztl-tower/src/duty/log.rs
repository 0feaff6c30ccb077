//! The access log: what `log` obliges to.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use ztl_core::audit::{AppendedLines, quoted};
use ztl_core::{ActionPermit, Reason};

use super::{Asked, Unmet, action_text};
use crate::guard::{BuildError, GuardBuilder};

/// Most values of one field that a line holds.
const MAX_VALUES: usize = 8;

/// Takes the lines.
pub(super) type Takes = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// Where lines go if nothing else is said: where audit records go then.
pub(super) fn standard_error() -> Takes {
    Arc::new(|line| {
        io::stderr()
            .lock()
            .write_all(format!("{line}\n").as_bytes())
    })
}

/// Appends lines to a file.
pub(super) fn appended(path: PathBuf) -> Result<Takes, BuildError> {
    let opened = AppendedLines::open(&path);
    let lines = opened.map_err(|error| BuildError::AccessLog { path, error })?;
    let lines = Mutex::new(lines);
    Ok(Arc::new(move |line| {
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.append(|text| text.push_str(line))
    }))
}

impl GuardBuilder {
    /// Where the access log goes that a permit's `log` obliges to: one JSON object a request, without a line end. Without this
    /// they are lines on standard error. Called before the service is, on the path of the request: quick, and never blocking for
    /// long. A line that is not taken is a denial, `audit_unavailable`: an obligation that is not discharged permits nothing.
    ///
    /// A line holds the decision's id, under which the audit says who asked and from where, the time, the rule, the action
    /// without its query, and of the named header fields at most 8 values each, of 256 characters. Credentials are never named.
    ///
    /// ```
    /// let builder = ztl_tower::Guard::builder("ledger").access_log(|line| {
    ///     tracing::info!(target: "access", line);
    ///     Ok(())
    /// });
    /// # let _ = builder;
    /// ```
    pub fn access_log(
        mut self,
        takes: impl Fn(&str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.duties.access_log = Arc::new(takes);
        self.duties.access_log_file = None;
        self
    }

    /// Appends the lines of the access log to a file, which is made with mode 0600 where it does not exist.
    ///
    /// # Errors
    /// [`build`](Self::build) fails where it cannot be opened.
    pub fn access_log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.duties.access_log_file = Some(path.into());
        self
    }
}

/// Writes the line of a request that is let through by this permit.
pub(super) fn write(
    asked: &Asked,
    permit: &ActionPermit,
    fields: &[Arc<str>],
    parts: &Parts,
) -> Result<(), Unmet> {
    let mut line = format!(
        "{{\"decision\":\"{}\",\"time\":{},\"rule\":",
        permit.id(),
        asked.now().as_unix()
    );
    quoted(&mut line, permit.rule());
    line.push_str(",\"action\":");
    quoted(&mut line, &action_text(parts));
    line.push_str(",\"fields\":{");
    for (at, field) in fields.iter().enumerate() {
        line.push_str(if at == 0 { "" } else { "," });
        quoted(&mut line, field);
        line.push_str(":[");
        let values = parts.headers.get_all(&**field).iter().take(MAX_VALUES);
        for (at, value) in values.enumerate() {
            line.push_str(if at == 0 { "" } else { "," });
            quoted(&mut line, &String::from_utf8_lossy(value.as_bytes()));
        }
        line.push(']');
    }
    line.push_str("}}");
    (asked.guard.duties().access_log)(&line).map_err(|error| {
        tracing::error!(target: "ztl", workload = asked.guard.name(), %error, "the access log did not take a line: the request is denied");
        Unmet::new(Reason::AuditUnavailable, "the access log did not take a line")
    })
}
