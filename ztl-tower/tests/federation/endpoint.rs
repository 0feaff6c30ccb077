//! A bundle endpoint that answers whatever it is told to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use ztl_core::SpiffeId;
use ztl_mtls::{DevCa, DevWebCa};

use crate::support::{PATIENCE, now};

/// What comes back.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A bundle document.
    Document(String),
    /// These bytes, then the end.
    Raw(String),
    /// A head, then a body without end.
    Endless,
    /// A head, then nothing more, and the connection stays.
    Stuck,
    /// Nothing at all, and the connection stays.
    Silent,
}

#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    reply: Arc<Mutex<Reply>>,
    asked: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
}

impl Endpoint {
    /// Proves itself by an SVID.
    pub(crate) async fn spiffe(authority: &DevCa, path: &str, reply: Reply) -> Self {
        let id = format!("spiffe://{}{path}", authority.trust_domain());
        let id = SpiffeId::parse(&id).expect("id");
        let issued = authority
            .issue(&id, now(), HOUR, &ztl_mtls::provider())
            .expect("svid");
        Self::start(&issued.cert_pem, &issued.key_pem, reply).await
    }

    /// Proves itself by the Web PKI, as this host.
    pub(crate) async fn web(authority: &DevWebCa, host: &str, reply: Reply) -> Self {
        let issued = authority.issue(&[host], now(), HOUR).expect("certificate");
        Self::start(&issued.cert_pem, &issued.key_pem, reply).await
    }

    async fn start(certificate: &str, key: &str, reply: Reply) -> Self {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<_, _>>()
            .expect("chain");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("key");
        // Federation §5.2.1.3: no client is asked for a certificate.
        let config = ServerConfig::builder_with_provider(ztl_mtls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("config");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let endpoint = Self {
            address: listener.local_addr().expect("address"),
            reply: Arc::new(Mutex::new(reply)),
            asked: Arc::default(),
            open: Arc::default(),
        };
        let (acceptor, this) = (TlsAcceptor::from(Arc::new(config)), endpoint.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, this) = (acceptor.clone(), this.clone());
                tokio::spawn(async move {
                    this.open.fetch_add(1, Ordering::SeqCst);
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = tokio::time::timeout(PATIENCE, this.answer(stream)).await;
                    }
                    this.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        endpoint
    }

    pub(crate) fn reply(&self, reply: Reply) {
        *self.reply.lock().expect("reply") = reply;
    }

    /// The heads of all requests.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("asked").clone()
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    async fn answer(&self, mut stream: TlsStream<tokio::net::TcpStream>) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).expect("text");
        self.asked.lock().expect("asked").push(head);
        let reply = self.reply.lock().expect("reply").clone();
        let unbounded = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"keys\":[";
        match reply {
            Reply::Document(body) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
            }
            Reply::Raw(bytes) => stream.write_all(bytes.as_bytes()).await?,
            Reply::Endless => {
                stream.write_all(unbounded.as_bytes()).await?;
                let chunk = "{},".repeat(10_000);
                loop {
                    stream.write_all(chunk.as_bytes()).await?;
                }
            }
            Reply::Stuck => {
                stream.write_all(unbounded.as_bytes()).await?;
                stream.flush().await?;
                stream.read_u8().await?;
            }
            Reply::Silent => {
                stream.read_u8().await?;
            }
        }
        stream.shutdown().await
    }
}

/// A redirect to there.
pub(crate) fn redirect(status: u16, location: &str) -> Reply {
    Reply::Raw(format!(
        "HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    ))
}

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
