//! Our end of a meeting: a server for one caller, or a client for one server, as a service would configure it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, Connection, Error, ServerConfig, ServerConnection};
use rustls_pki_types::ServerName;
use ztl_core::TrustDomain;
use ztl_mtls::{
    BundleSet, Bundles, ClientVerifier, CrlSet, IdentitySource, PeerHook, ProveError, Prover,
    Revocation, ServerVerifier, TrustBundle, X509Svid, client_config, provider, server_config,
};

use crate::Result;
use crate::pki::{Credential, Pki};

/// Longest wait for anything a peer sends.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who we are, and whom we can prove: `a.test` by one authority and its revocation list, `b.test` by the other.
pub(crate) struct Ours {
    pub(crate) credential: Credential,
    identity: Arc<IdentitySource>,
    prover: Prover,
    speaks: Speaks,
}

/// Which versions we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Tls13,
    #[cfg(feature = "tls12")]
    Tls12Too,
}

/// What a meeting came to at our end.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Who was proved.
    pub(crate) peer: Option<String>,
    /// Our code, where we refused.
    pub(crate) refused: Option<String>,
    /// The alert we were sent, where we were refused.
    pub(crate) told: Option<String>,
    /// The key exchange, and `-` where there was none.
    pub(crate) group: String,
    /// What the peer answered, where we asked.
    pub(crate) answer: String,
}

impl Ours {
    pub(crate) fn new(pki: &Pki, credential: Credential) -> Result<Self> {
        let file = |kind: &str| pki.folder.join(format!("{}.{kind}", credential.name()));
        let svid = X509Svid::from_pem_files(file("pem"), file("key"), &provider())?;
        let bundle = |domain: &str, file: &str| -> Result<TrustBundle> {
            let path = pki.folder.join(file);
            Ok(TrustBundle::from_pem_file(
                TrustDomain::parse(domain)?,
                path,
            )?)
        };
        let bundles = [
            bundle("a.test", "ca.pem")?,
            bundle("b.test", "other-ca.pem")?,
        ];
        let revocation = Revocation::new();
        let lists = pki.folder.join("ca.crl");
        revocation.replace_crls(CrlSet::from_file(TrustDomain::parse("a.test")?, lists)?);
        let prover = Prover::new(Bundles::new(BundleSet::new(bundles)?), &provider());
        Ok(Self {
            credential,
            identity: Arc::new(IdentitySource::new(svid)),
            prover: prover.with_revocation(revocation),
            speaks: Speaks::Tls13,
        })
    }

    /// The same, asked to speak TLS 1.2 too.
    #[cfg(feature = "tls12")]
    pub(crate) fn speaking_tls12(mut self) -> Self {
        self.speaks = Speaks::Tls12Too;
        self.prover = self.prover.allow_tls12();
        self
    }

    pub(crate) fn speaks_tls12(&self) -> bool {
        self.speaks != Speaks::Tls13
    }

    fn server_config(&self, verifier: Arc<ClientVerifier>) -> Result<ServerConfig> {
        let make = match self.speaks {
            Speaks::Tls13 => server_config,
            #[cfg(feature = "tls12")]
            Speaks::Tls12Too => ztl_mtls::server_config_allowing_tls12,
        };
        let alpn: &[&[u8]] = &[b"http/1.1"];
        Ok(make(provider(), self.identity.clone(), verifier, alpn)?)
    }

    fn client_config(&self, verifier: Arc<ServerVerifier>) -> Result<ClientConfig> {
        let make = match self.speaks {
            Speaks::Tls13 => client_config,
            #[cfg(feature = "tls12")]
            Speaks::Tls12Too => ztl_mtls::client_config_allowing_tls12,
        };
        Ok(make(provider(), self.identity.clone(), verifier, &[])?)
    }

    /// Takes one caller and answers it.
    pub(crate) fn serve_one(&self, listener: &TcpListener) -> Result<Ended> {
        let mut socket = accept(listener)?;
        patient(&socket)?;
        let verifier = ClientVerifier::new(self.prover.clone(), anyone());
        let config = self.server_config(verifier.clone())?;
        let mut tls = Connection::from(ServerConnection::new(Arc::new(config))?);
        let outcome = talk(&mut tls, &mut socket, |tls, socket| {
            let request = until(tls, socket, b"\r\n\r\n")?;
            tls.writer().write_all(ANSWER)?;
            Ok(request)
        });
        let peer = verifier.peer().map(|peer| peer.id().to_string());
        Ok(ended(&tls, outcome, peer, verifier.error()))
    }

    /// Calls a server and asks it something.
    pub(crate) fn call(&self, server: SocketAddr) -> Result<Ended> {
        let mut socket = TcpStream::connect_timeout(&server, PATIENCE)?;
        patient(&socket)?;
        let verifier = ServerVerifier::new(self.prover.clone(), anyone());
        let config = self.client_config(verifier.clone())?;
        let name = ServerName::try_from("localhost")?;
        let mut tls = Connection::from(ClientConnection::new(Arc::new(config), name)?);
        let outcome = talk(&mut tls, &mut socket, |tls, socket| {
            tls.writer().write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            until(tls, socket, b"\r\n")
        });
        let peer = verifier.peer().map(|peer| peer.id().to_string());
        Ok(ended(&tls, outcome, peer, verifier.error()))
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n";

fn anyone() -> PeerHook {
    Arc::new(|_| Ok(()))
}

/// The next caller, if one comes in time: a peer may end before it calls.
fn accept(listener: &TcpListener) -> Result<TcpStream> {
    const PAUSE: Duration = Duration::from_millis(5);
    listener.set_nonblocking(true)?;
    let mut left = PATIENCE;
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false)?;
                return Ok(socket);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                left = left.checked_sub(PAUSE).ok_or("nobody called")?;
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn patient(socket: &TcpStream) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))
}

/// Shakes hands, says what is to be said, and takes leave so that the last alert arrives.
fn talk(
    tls: &mut Connection,
    socket: &mut TcpStream,
    say: impl FnOnce(&mut Connection, &mut TcpStream) -> io::Result<String>,
) -> io::Result<String> {
    let mut outcome = Ok(String::new());
    while outcome.is_ok() && tls.is_handshaking() {
        outcome = tls.complete_io(socket).map(|_| String::new());
    }
    if outcome.is_ok() {
        outcome = say(tls, socket);
    }
    tls.send_close_notify();
    while tls.wants_write() && tls.write_tls(socket).is_ok() {}
    // A socket that is closed with bytes unread takes back what was sent.
    if socket.shutdown(Shutdown::Write).is_ok() {
        let mut rest = [0; 4096];
        while matches!(socket.read(&mut rest), Ok(read) if read > 0) {}
    }
    outcome
}

/// What the peer sends, up to and with these bytes.
fn until(tls: &mut Connection, socket: &mut TcpStream, end: &[u8]) -> io::Result<String> {
    let mut got = Vec::new();
    loop {
        let mut part = [0; 1024];
        match tls.reader().read(&mut part) {
            Ok(0) => break,
            Ok(read) => got.extend(part.iter().take(read)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tls.complete_io(socket)?;
            }
            Err(error) => return Err(error),
        }
        if got.windows(end.len()).any(|window| window == end) || got.len() > 1 << 16 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&got).into_owned())
}

fn ended(
    tls: &Connection,
    outcome: io::Result<String>,
    peer: Option<String>,
    refused: Option<ProveError>,
) -> Ended {
    let group = tls.negotiated_key_exchange_group();
    let mut ended = Ended {
        peer,
        refused: refused.map(|error| error.code().to_owned()),
        group: group.map_or_else(|| "-".to_owned(), |group| format!("{:?}", group.name())),
        ..Ended::default()
    };
    match outcome {
        Ok(answer) => ended.answer = answer,
        Err(error) => match error
            .get_ref()
            .and_then(|error| error.downcast_ref::<Error>())
        {
            Some(Error::AlertReceived(alert)) => ended.told = Some(format!("{alert:?}")),
            Some(Error::NoCertificatesPresented) => {
                ended.refused = Some("no_certificate".to_owned());
            }
            Some(Error::PeerIncompatible(why)) => ended.refused = Some(format!("{why:?}")),
            _ if ended.refused.is_none() => ended.refused = Some(error.to_string()),
            _ => {}
        },
    }
    ended
}
