//! The user: an ordinary TLS client out there, with a token in hand.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::pki::{PUBLIC_HOST, Pki};
use crate::tls::{self, Trust};
use crate::wire::{Call, Exchange, Protocol, exchange};

/// What the user wants to know.
pub(crate) const QUESTION: &str = "How many days of leave does a new colleague have?";
pub(crate) const METHOD: &str = "POST";
pub(crate) const PATH: &str = "/ask";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A user, and where they stand. Without TLS they are on the flat network.
pub(crate) struct User {
    pub(crate) from: IpAddr,
    pub(crate) to: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl User {
    /// A user who believes the public port's certificate authority, and no other.
    pub(crate) fn new(pki: &Pki, from: IpAddr, to: SocketAddr) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            from,
            to,
            tls: Some(tls::client(
                &pki.provider,
                Trust::Root(&pki.web_root),
                None,
            )?),
        })
    }

    pub(crate) async fn ask(&self, token: Option<&str>, protocol: Protocol) -> Exchange {
        exchange(Call {
            from: self.from,
            to: self.to,
            host: PUBLIC_HOST,
            tls: self.tls.as_ref(),
            protocol,
            method: METHOD,
            path: PATH,
            token,
            body: &json!({ "question": QUESTION }),
        })
        .await
    }
}

/// The answer in a response.
pub(crate) fn answer(exchange: &Exchange) -> Option<&str> {
    exchange.body().get("answer").and_then(Value::as_str)
}

/// A token that does not do: what its step is called, and the token, if there is one.
type BadToken = (&'static str, Option<String>);

/// None, one of another scope, one that has ended.
pub(crate) fn bad_tokens(pki: &Pki) -> Result<[BadToken; 3], Box<dyn Error>> {
    Ok([
        ("asks without a token", None),
        (
            "asks with another scope",
            Some(pki.token("read", Duration::ZERO)?),
        ),
        ("asks with an old token", Some(pki.token("ask", DAY)?)),
    ])
}
