//! `[limits]`: how much a caller may take up, and for how long.

use ztl_core::settings::Table;

use crate::guard::GuardBuilder;

/// The most of anything that is counted.
#[cfg(any(feature = "jwt", feature = "serve"))]
const MOST: i64 = 16_000_000;

pub(super) fn limits(table: &mut Table<'_, '_>, builder: GuardBuilder) -> GuardBuilder {
    let mut limited = builder;
    let _ = table.table("limits", "[limits]", |limits| {
        let all = &mut limited.limits;
        all.drain = limits.duration("drain_timeout").unwrap_or(all.drain);
        all.rotation = limits.duration("rotation_timeout").unwrap_or(all.rotation);
        #[cfg(feature = "client")]
        {
            all.connect = limits.duration("connect_timeout").unwrap_or(all.connect);
        }
        #[cfg(not(feature = "client"))]
        super::not_built(limits, "connect_timeout", "client");
        serve(limits, &mut limited);
        tokens(limits, &mut limited);
    });
    limited
}

/// Those of listeners.
#[cfg(feature = "serve")]
fn serve(limits: &mut Table<'_, '_>, builder: &mut GuardBuilder) {
    let all = &mut builder.limits;
    for (key, limit) in [
        ("handshake_timeout", &mut all.handshake),
        ("header_timeout", &mut all.header),
        ("idle_timeout", &mut all.idle),
    ] {
        *limit = limits.duration(key).unwrap_or(*limit);
    }
    all.age = limits.duration("max_connection_age").or(all.age);
    let mut count = |key| {
        let count = limits.integer(key, 1..=MOST)?;
        usize::try_from(count).ok()
    };
    all.handshakes = count("max_handshakes").unwrap_or(all.handshakes);
    all.connections = count("max_connections").unwrap_or(all.connections);
    all.unproved_per_prefix = count("max_unproved_per_prefix").or(all.unproved_per_prefix);
    all.connections_per_peer = count("max_connections_per_peer").or(all.connections_per_peer);
    all.requests_per_peer = count("max_requests_per_peer").or(all.requests_per_peer);
}

#[cfg(not(feature = "serve"))]
fn serve(limits: &mut Table<'_, '_>, _: &mut GuardBuilder) {
    for key in [
        "handshake_timeout",
        "header_timeout",
        "idle_timeout",
        "max_connection_age",
        "max_handshakes",
        "max_connections",
        "max_unproved_per_prefix",
        "max_connections_per_peer",
        "max_requests_per_peer",
    ] {
        super::not_built(limits, key, "serve");
    }
}

/// `remembered_tokens`, and `bad_tokens = { at_once = .., a_second = .. }`
#[cfg(feature = "jwt")]
fn tokens(limits: &mut Table<'_, '_>, builder: &mut GuardBuilder) {
    let remembered = limits.integer("remembered_tokens", 0..=MOST);
    builder.tokens.remembers = remembered.and_then(|tokens| usize::try_from(tokens).ok());
    let budget = limits.table("bad_tokens", "[limits.bad_tokens]", |inner| {
        let help = "write how many bad tokens, as in `{ at_once = 256, a_second = 64 }`";
        let mut count = |key| {
            inner.need(key, help);
            u32::try_from(inner.integer(key, 1..=MOST)?).ok()
        };
        count("at_once").zip(count("a_second"))
    });
    if let Some((at_once, a_second)) = budget.flatten() {
        builder.bad_tokens = ztl_authz::jwt::BadTokens::new(at_once, a_second);
    }
}

#[cfg(not(feature = "jwt"))]
fn tokens(limits: &mut Table<'_, '_>, _: &mut GuardBuilder) {
    for key in ["remembered_tokens", "bad_tokens"] {
        super::not_built(limits, key, "jwt");
    }
}
