//! What a module may cost.

use std::time::Duration;

/// The bounds of a module, its data and its evaluations. Beyond any of them is an error, and an error denies (law 1).
///
/// ```
/// use std::time::Duration;
/// use ztl_authz::opa::Limits;
///
/// let limits = Limits::default().with_time(Duration::from_millis(10)).with_instances(2);
/// assert_eq!(limits.instances, 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a module.
    pub module_bytes: usize,
    /// Bytes of the data document as JSON.
    pub data_bytes: usize,
    /// Bytes of an answer as JSON, and of what a builtin is given and gives back.
    pub result_bytes: usize,
    /// Bytes of memory that an instance may have: OPA's own start at some 130 kB, the data take several times their text.
    pub memory_bytes: usize,
    /// How long one evaluation may compute. It is looked at every millisecond.
    pub time: Duration,
    /// How long making an instance may compute, the reading of its data included.
    pub load_time: Duration,
    /// How long an evaluation waits for an instance where all are at work.
    pub wait: Duration,
    /// How many instances are kept, and so how many evaluations run at once. At least one.
    pub instances: usize,
}

impl Limits {
    /// With this time for an evaluation.
    #[must_use]
    pub const fn with_time(self, time: Duration) -> Self {
        Self { time, ..self }
    }

    /// With this wait for an instance.
    #[must_use]
    pub const fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// With this much memory for an instance.
    #[must_use]
    pub const fn with_memory_bytes(self, memory_bytes: usize) -> Self {
        Self {
            memory_bytes,
            ..self
        }
    }

    /// With so many instances.
    #[must_use]
    pub const fn with_instances(self, instances: usize) -> Self {
        Self { instances, ..self }
    }

    /// With answers of at most so many bytes.
    #[must_use]
    pub const fn with_result_bytes(self, result_bytes: usize) -> Self {
        Self {
            result_bytes,
            ..self
        }
    }

    /// With modules of at most so many bytes.
    #[must_use]
    pub const fn with_module_bytes(self, module_bytes: usize) -> Self {
        Self {
            module_bytes,
            ..self
        }
    }

    /// With data of at most so many bytes.
    #[must_use]
    pub const fn with_data_bytes(self, data_bytes: usize) -> Self {
        Self { data_bytes, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            module_bytes: 4 << 20,
            data_bytes: 16 << 20,
            result_bytes: 64 << 10,
            memory_bytes: 128 << 20,
            time: Duration::from_millis(50),
            load_time: Duration::from_secs(5),
            wait: Duration::from_millis(50),
            instances: 4,
        }
    }
}
