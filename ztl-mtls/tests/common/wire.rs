//! Two ends of a connection, in memory.
#![allow(clippy::unreachable, reason = "a client stays a client")]

use std::sync::Arc;

use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, Connection, Error, ServerConfig, ServerConnection};
use rustls_pki_types::{ServerName, UnixTime};

use super::NOW;

/// A clock that stands at [`NOW`].
#[derive(Debug)]
pub(crate) struct Frozen;

impl TimeProvider for Frozen {
    fn current_time(&self) -> Option<UnixTime> {
        let now = std::time::Duration::from_secs(NOW.as_unix_secs());
        Some(UnixTime::since_unix_epoch(now))
    }
}

/// A handshake, and what came of it at each end.
pub(crate) fn connect(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> (
    Result<ClientConnection, Error>,
    Result<ServerConnection, Error>,
) {
    let name = ServerName::try_from("no.such.name").expect("name");
    let mut client = Connection::from(ClientConnection::new(client, name).expect("client"));
    let mut server = Connection::from(ServerConnection::new(server).expect("server"));
    let (mut of_client, mut of_server) = (Ok(()), Ok(()));
    for _ in 0..10 {
        of_server = of_server.and(pass(&mut client, &mut server));
        of_client = of_client.and(pass(&mut server, &mut client));
    }
    let client = match client {
        Connection::Client(client) => of_client.map(|()| client),
        Connection::Server(_) => unreachable!(),
    };
    let server = match server {
        Connection::Server(server) => of_server.map(|()| server),
        Connection::Client(_) => unreachable!(),
    };
    (client, server)
}

/// Carries all that one end has to say to the other; says what the other thinks of it.
fn pass(from: &mut Connection, to: &mut Connection) -> Result<(), Error> {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).expect("write");
    }
    let mut rest = &wire[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("read");
        to.process_new_packets()?;
    }
    Ok(())
}
