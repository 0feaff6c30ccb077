//! `[redis]` and `[schemas]`: how what permits oblige to is discharged.

use ztl_core::settings::Table;

use super::Here;
use crate::guard::GuardBuilder;

#[cfg(feature = "redis")]
mod redis {
    use core::num::NonZeroU32;

    use super::*;
    use crate::duty::{Away, RedisLimits};

    /// Longest URL.
    const MAX_URL_BYTES: usize = 4096;

    #[derive(Clone, Copy)]
    enum Without {
        Deny,
        Local,
    }

    impl Here<'_> {
        pub(crate) fn shared_limits(
            self,
            table: &mut Table<'_, '_>,
            builder: GuardBuilder,
        ) -> GuardBuilder {
            let read = |inner: &mut Table<'_, '_>| self.redis(inner);
            match table.table("redis", "[redis]", read).flatten() {
                Some(redis) => builder.shared_limits(redis),
                None => builder,
            }
        }

        fn redis(self, table: &mut Table<'_, '_>) -> Option<RedisLimits> {
            table.need("url_file", "write the path of a file that holds the URL");
            // It may hold a password, which an error about this file must not show (law 7).
            let url = table.parsed("url_file", |path| self.line(path, MAX_URL_BYTES));
            let prefix = table.text("prefix");
            let timeout = table.duration("timeout");
            let away = away(table);
            let mut redis = RedisLimits::new(&url?).away(away);
            if let Some(prefix) = prefix {
                redis = redis.prefix(&prefix);
            }
            Some(timeout.map_or(redis.clone(), |timeout| redis.timeout(timeout)))
        }
    }

    fn away(table: &mut Table<'_, '_>) -> Away {
        let without = table.parsed("away", |text| match text {
            "deny" => Ok(Without::Deny),
            "local" => Ok(Without::Local),
            _ => Err("write `deny` or `local`".to_owned()),
        });
        let Without::Local = without.unwrap_or(Without::Deny) else {
            let message = "`replicas` is for `away = \"local\"`";
            table.refuse("replicas", message, "remove it, or write that");
            return Away::Deny;
        };
        let help = "write how many replicas there are at most: each counts with its share";
        table.need("replicas", help);
        let replicas = table.integer("replicas", 1..=i64::from(u32::MAX));
        let replicas = replicas.and_then(|count| u32::try_from(count).ok());
        // Where the count is missing the file is refused.
        let replicas = replicas.and_then(NonZeroU32::new);
        replicas.map_or(Away::Deny, |replicas| Away::Local { replicas })
    }
}

#[cfg(not(feature = "redis"))]
impl Here<'_> {
    pub(super) fn shared_limits(
        self,
        table: &mut Table<'_, '_>,
        builder: GuardBuilder,
    ) -> GuardBuilder {
        super::not_built(table, "redis", "redis");
        builder
    }
}

/// Largest body that may be read whole.
#[cfg(feature = "schema")]
const MOST_BYTES: i64 = 1 << 30;
/// Most that all of them may take up together.
#[cfg(feature = "schema")]
const MOST_TOGETHER: i64 = 1 << 36;

#[cfg(feature = "schema")]
pub(super) fn schemas(table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
    let read = |inner: &mut Table<'_, '_>| {
        let most = inner.integer("max_body", 1..=MOST_BYTES);
        let most = most.and_then(|bytes| usize::try_from(bytes).ok());
        let together = inner.integer("max_waiting", 1..=MOST_TOGETHER);
        let together = together.and_then(|bytes| usize::try_from(bytes).ok());
        (most, together, inner.boolean("allow_unfit") == Some(true))
    };
    let (most, together, unfit) = table
        .table("schemas", "[schemas]", read)
        .unwrap_or_default();
    let builder = match most {
        Some(bytes) => builder.max_schema_body(bytes),
        None => builder,
    };
    let builder = match together {
        Some(bytes) => builder.max_waiting_bodies(bytes),
        None => builder,
    };
    if unfit {
        builder.allow_unfit_bodies()
    } else {
        builder
    }
}

#[cfg(not(feature = "schema"))]
pub(super) fn schemas(table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
    super::not_built(table, "schemas", "schema");
    builder
}
