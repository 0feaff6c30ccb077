//! Counts in a Redis that all replicas of a service ask, so that a limit is a limit of the service.
//!
//! One round trip a request: a script that Redis runs as one step looks at the caller's count and at the total, by the time of the
//! Redis server, and spends one of each only where both have one left (GCRA, the generic cell rate algorithm).

mod settings;

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use ztl_core::{Limit, Prefix, Rate};

pub use settings::{Away, RedisLimits};

use super::fields::period;
use super::local::at_once;
use super::{Left, Over, Principal, Whose};

/// How long it is not asked again after it did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// What is asked about counts.
pub(in crate::duty) struct Shared {
    client: Client,
    script: Script,
    prefix: Box<str>,
    timeout: Duration,
    away: Away,
    /// Held while a connection is made, so that one request makes it.
    connection: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    /// It did not answer, and is not asked before then.
    pause: Mutex<Option<Instant>>,
}

/// What came of asking.
pub(super) enum Answered {
    Told(Result<Left, Over>),
    /// Nobody answered, and then nothing is let through.
    Deny(Duration),
    /// Nobody answered, and then one of so many replicas counts by itself.
    Local(NonZeroU32),
}

impl Shared {
    fn new(client: Client, settings: &RedisLimits) -> Self {
        Self {
            client,
            script: Script::new(include_str!("gcra.lua")),
            prefix: settings.prefix.clone(),
            timeout: settings.timeout,
            away: settings.away,
            connection: tokio::sync::Mutex::default(),
            pause: Mutex::default(),
        }
    }

    /// Spends one of each count, in at most the time that is set.
    pub(super) async fn spend(&self, limit: &Limit, principal: &Principal, rate: Rate) -> Answered {
        if self.is_paused() {
            return self.away();
        }
        let asked = self.ask(limit, principal, rate);
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(told)) => {
                self.came_back();
                Answered::Told(told)
            }
            Ok(Err(error)) => self.failed(error.category()).await,
            Err(_) => self.failed("it did not answer in time").await,
        }
    }

    async fn ask(
        &self,
        limit: &Limit,
        principal: &Principal,
        rate: Rate,
    ) -> Result<Result<Left, Over>, RedisError> {
        let mut connection = self.connected().await?;
        let mut call = self.script.prepare_invoke();
        call.key(self.key(limit, Some(principal), rate));
        self.count(&mut call, rate);
        if let Some(total) = limit.total {
            call.key(self.key(limit, None, total));
            self.count(&mut call, total);
        }
        let (over, value): (u32, u64) = call.invoke_async(&mut connection).await?;
        let wait = Duration::from_micros(value);
        Ok(match over {
            0 => Ok(Left {
                rate,
                left: u32::try_from(value).unwrap_or(u32::MAX),
            }),
            1 => Err(Over {
                whose: Whose::Own,
                rate,
                wait,
            }),
            _ => Err(Over {
                whose: Whose::All,
                rate: limit.total.unwrap_or(rate),
                wait,
            }),
        })
    }

    fn count(&self, call: &mut redis::ScriptInvocation<'_>, rate: Rate) {
        let nanos = u64::try_from(period(rate).as_nanos()).unwrap_or(u64::MAX);
        call.arg(nanos).arg(at_once(rate));
    }

    /// The name of a count: of one rate of one limit, so that a change of it begins anew. All counts of a limit are in one slot
    /// of a cluster. Who is counted stands there as a hash alone (law 7).
    fn key(&self, limit: &Limit, principal: Option<&Principal>, rate: Rate) -> String {
        let mut hash = Sha256::new();
        hash.update(b"ztl limit\n");
        hash.update(rate.requests.to_be_bytes());
        hash.update(rate.per.as_secs().to_be_bytes());
        hash.update(rate.at_once().to_be_bytes());
        let mut text = |kind: u8, text: &str| {
            hash.update([kind]);
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(text);
        };
        match principal {
            None => text(0, ""),
            Some(Principal::Anonymous) => text(1, ""),
            Some(Principal::Workload(name)) => text(2, name),
            Some(Principal::Peer(id)) => text(3, id),
            Some(Principal::Subject(issuer, subject)) => {
                text(4, issuer);
                text(4, subject);
            }
            Some(Principal::Prefix(Prefix::V4(addr))) => text(5, &addr.to_string()),
            Some(Principal::Prefix(Prefix::V6(prefix))) => text(6, &prefix.to_string()),
        }
        let mut key = format!("{}:{{{}}}:", self.prefix, limit.name);
        for byte in hash.finalize().iter().take(16) {
            key.push_str(&format!("{byte:02x}"));
        }
        key
    }

    async fn connected(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let client = &self.client;
        let made = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(connection.insert(made).clone())
    }

    /// It is asked again after a pause, over another connection.
    async fn failed(&self, why: &str) -> Answered {
        let until = Instant::now() + PAUSE;
        let before = self.pause().replace(until);
        if before.is_none() {
            tracing::error!(target: "ztl", why, away = ?self.away, "the Redis that counts requests does not answer");
        }
        // Whoever holds it makes another one just now.
        if let Ok(mut connection) = self.connection.try_lock() {
            *connection = None;
        }
        self.away()
    }

    fn away(&self) -> Answered {
        match self.away {
            Away::Deny => Answered::Deny(PAUSE),
            Away::Local { replicas } => Answered::Local(replicas),
        }
    }

    fn came_back(&self) {
        if self.pause().take().is_some() {
            tracing::info!(target: "ztl", "the Redis that counts requests answers again");
        }
    }

    fn is_paused(&self) -> bool {
        self.pause().is_some_and(|until| Instant::now() < until)
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
