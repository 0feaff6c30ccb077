//! Dialling.

use core::net::{IpAddr, SocketAddr};
use std::io;

use tokio::net::{TcpSocket, TcpStream};

/// None of the addresses could be reached.
pub(crate) struct Unreached {
    /// The one that was tried last.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) error: io::Error,
}

/// The first of these addresses that answers, from `source` where one is given.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    source: Option<IpAddr>,
) -> Result<TcpStream, Unreached> {
    let mut last = Unreached {
        address: None,
        error: io::ErrorKind::NotFound.into(),
    };
    for address in addresses {
        match connect_one(*address, source).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => {
                last = Unreached {
                    address: Some(*address),
                    error,
                };
            }
        }
    }
    Err(last)
}

async fn connect_one(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    socket.connect(address).await
}

/// The first address of a host that answers, looked up in the DNS where none is given.
#[cfg(any(
    feature = "bundle",
    feature = "federation",
    feature = "oidc",
    feature = "trust"
))]
pub(crate) async fn reach(
    host: &str,
    port: u16,
    address: Option<SocketAddr>,
    source: Option<IpAddr>,
) -> io::Result<TcpStream> {
    let addresses: Vec<_> = match address {
        Some(address) => vec![address],
        None => tokio::net::lookup_host((host, port)).await?.collect(),
    };
    let reached = connect(&addresses, source).await;
    reached.map_err(|unreached| unreached.error)
}
