//! Dialling.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

#[cfg(any(
    feature = "bundle",
    feature = "federation",
    feature = "oidc",
    feature = "trust"
))]
use crate::guard::Guard;

/// None of the addresses could be reached.
pub(crate) struct Unreached {
    /// The one that failed last.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) error: io::Error,
}

/// How long an address has to answer until the next one is dialled beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The first of these addresses that answers, from `source` where one is given. One that says nothing keeps nobody from the next.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    source: Option<IpAddr>,
) -> Result<TcpStream, Unreached> {
    let unreached = |address| {
        move |error| Unreached {
            address: Some(address),
            error,
        }
    };
    if let [address] = addresses {
        // Without a task: nobody else is dialled.
        let answer = connect_one(*address, source).await;
        return answer.map_err(unreached(*address));
    }
    let mut last = Unreached {
        address: None,
        error: io::ErrorKind::NotFound.into(),
    };
    let mut rest = addresses.iter().copied();
    // Whoever is not the first is given up with it.
    let mut dialled = JoinSet::new();
    loop {
        if let Some(address) = rest.next() {
            dialled.spawn(async move {
                let answer = connect_one(address, source).await;
                answer.map_err(unreached(address))
            });
        }
        let answer = if rest.len() > 0 {
            let answer = tokio::time::timeout(HEAD_START, dialled.join_next());
            let Ok(answer) = answer.await else { continue };
            answer
        } else {
            dialled.join_next().await
        };
        match answer {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(unreached))) => last = unreached,
            // Nothing of ours panics there; what the runtime gives up is as good as unreached.
            Some(Err(error)) => last.error = error.into(),
            None => return Err(last),
        }
    }
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
    let stream = socket.connect(address).await?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The first address of a host that answers, looked up in the DNS where none is given.
#[cfg(any(
    feature = "bundle",
    feature = "federation",
    feature = "oidc",
    feature = "trust"
))]
pub(crate) async fn reach(
    guard: &Guard,
    host: &str,
    port: u16,
    address: Option<SocketAddr>,
) -> io::Result<TcpStream> {
    let addresses: Vec<_> = match address {
        Some(address) => vec![address],
        None => guard.look_ups().find(host, port).await?,
    };
    let reached = connect(&addresses, guard.source_addr()).await;
    reached.map_err(|unreached| unreached.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    /// A listener that answers nobody any more, and what fills its queue.
    async fn full() -> (SocketAddr, impl Sized) {
        let socket = TcpSocket::new_v4().expect("socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("bind");
        let listener = socket.listen(1).expect("listen");
        let address = listener.local_addr().expect("address");
        let mut queue = Vec::new();
        while let Ok(stream) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
            queue.push(stream.expect("connected"));
            assert!(queue.len() < 100, "its queue never fills");
        }
        (address, (listener, queue))
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_does_not_take_up_the_time_of_the_next() {
        let (silent, _kept) = full().await;
        let refusing = {
            let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
            gone.local_addr().expect("address")
        };
        let good = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await;
        let good = good.expect("bind");
        let to = good.local_addr().expect("address");
        let within = Duration::from_secs(2);
        for addresses in [
            &[to][..],
            &[silent, to],
            &[refusing, to],
            &[silent, refusing, silent, to],
        ] {
            let stream = tokio::time::timeout(within, connect(addresses, None)).await;
            let stream = stream.expect("in time").ok().expect("connected");
            assert_eq!(stream.peer_addr().expect("peer"), to, "{addresses:?}");
        }
        for addresses in [&[][..], &[refusing], &[refusing, refusing]] {
            let none = tokio::time::timeout(within, connect(addresses, None)).await;
            let unreached = none.expect("in time").expect_err("nobody is there");
            assert_eq!(unreached.address, addresses.last().copied());
        }
        let none = tokio::time::timeout(SHORT, connect(&[silent], None)).await;
        assert!(none.is_err(), "it is waited for");
    }
}
