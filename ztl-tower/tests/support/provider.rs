//! A provider that answers whatever it is told to, path by path.
#![allow(dead_code, reason = "each test file uses another part")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use ztl_mtls::{DevCa, DevWebCa};

use crate::support::{PATIENCE, now};

/// What comes back.
#[derive(Clone)]
pub(crate) enum Reply {
    /// `200` with this body.
    Json(String),
    /// These bytes, then the end.
    Raw(String),
    /// A bundle, or `304` where the one who asks has it; where it may wait, once there is another.
    Bundle(Served),
    /// A head that promises 100 MB, and a body that goes on for as long as it is read.
    Endless,
    /// A head, then nothing more, and the connection stays.
    Stuck,
    /// Nothing at all, and the connection stays.
    Silent,
}

#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) body: Vec<u8>,
    pub(crate) etag: String,
    /// Whether it lets requests wait.
    pub(crate) waits: bool,
}

#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    changed: Arc<Notify>,
}

impl Provider {
    /// Proves itself by the Web PKI, as this host.
    pub(crate) async fn web(authority: &DevWebCa, host: &str) -> Self {
        Self::proving(authority, host, None).await
    }

    /// The same, and asks for a certificate of this authority.
    pub(crate) async fn mutual(authority: &DevWebCa, host: &str, clients: &DevCa) -> Self {
        Self::proving(authority, host, Some(clients)).await
    }

    async fn proving(authority: &DevWebCa, host: &str, clients: Option<&DevCa>) -> Self {
        let hour = Duration::from_secs(3600);
        let issued = authority.issue(&[host], now(), hour).expect("certificate");
        let chain: Vec<_> = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes())
            .collect::<Result<_, _>>()
            .expect("chain");
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("key");
        let verifier: Arc<dyn ClientCertVerifier> = match clients {
            None => Arc::new(NoClientAuth),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                for certificate in clients.bundle().certificates() {
                    roots.add(certificate.clone()).expect("root");
                }
                let provider = ztl_mtls::provider();
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .expect("verifier")
            }
        };
        let config = ServerConfig::builder_with_provider(ztl_mtls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .expect("config");
        Self::start(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    /// Proves nothing: plain HTTP.
    pub(crate) async fn plain() -> Self {
        Self::start(None).await
    }

    async fn start(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let provider = Self {
            address: listener.local_addr().expect("address"),
            replies: Arc::default(),
            asked: Arc::default(),
            open: Arc::default(),
            sent: Arc::default(),
            changed: Arc::default(),
        };
        let this = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, this) = (acceptor.clone(), this.clone());
                tokio::spawn(async move {
                    this.open.fetch_add(1, Ordering::SeqCst);
                    let answered = async {
                        match acceptor {
                            Some(acceptor) => this.answer(acceptor.accept(stream).await?).await,
                            None => this.answer(stream).await,
                        }
                    };
                    let _ = tokio::time::timeout(PATIENCE, answered).await;
                    this.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        provider
    }

    /// What is answered at a path from now on; elsewhere it is 404.
    pub(crate) fn at(&self, path: &str, reply: Reply) {
        let mut replies = self.replies.lock().expect("replies");
        replies.insert(path.to_owned(), reply);
        self.changed.notify_waiters();
    }

    /// The heads of all requests.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("asked").clone()
    }

    /// How often keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.asked_for("/keys")
    }

    /// How often this path was asked for.
    pub(crate) fn asked_for(&self, path: &str) -> usize {
        let start = format!("GET {path} ");
        let asked = self.asked();
        asked.iter().filter(|head| head.starts_with(&start)).count()
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// How many bytes of endless bodies were taken off its hands.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    async fn answer<S>(&self, mut stream: S) -> std::io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).expect("text");
        let path = head.split(' ').nth(1).expect("target").to_owned();
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        let mut reply = self.replies.lock().expect("replies").get(&path).cloned();
        self.asked.lock().expect("asked").push(head.clone());
        if let Some(Reply::Bundle(served)) = &reply
            && served.waits
            && served.is_held(&head)
            && head.contains(";wait=")
        {
            changed.await;
            reply = self.replies.lock().expect("replies").get(&path).cloned();
        }
        let unbounded = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n{\"keys\":[";
        match reply {
            Some(Reply::Json(body)) => {
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
            }
            Some(Reply::Bundle(served)) => stream.write_all(&served.answer(&head)).await?,
            Some(Reply::Raw(bytes)) => stream.write_all(bytes.as_bytes()).await?,
            Some(Reply::Endless) => {
                stream.write_all(unbounded.as_bytes()).await?;
                let chunk = "{},".repeat(10_000);
                loop {
                    stream.write_all(chunk.as_bytes()).await?;
                    self.sent.fetch_add(chunk.len(), Ordering::SeqCst);
                }
            }
            Some(Reply::Stuck) => {
                stream.write_all(unbounded.as_bytes()).await?;
                stream.flush().await?;
                stream.read_u8().await?;
            }
            Some(Reply::Silent) => {
                stream.read_u8().await?;
            }
            None => {
                let nothing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(nothing.as_bytes()).await?;
            }
        }
        stream.shutdown().await
    }
}

impl Served {
    fn is_held(&self, head: &str) -> bool {
        head.contains(&format!("if-none-match: {}\r\n", self.etag))
    }

    fn answer(&self, head: &str) -> Vec<u8> {
        let kind = if self.waits {
            "application/vnd.openpolicyagent.bundles"
        } else {
            "application/gzip"
        };
        let (status, body) = if self.is_held(head) {
            ("304 Not Modified", &[][..])
        } else {
            ("200 OK", self.body.as_slice())
        };
        let head = format!(
            "HTTP/1.1 {status}\r\netag: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.etag,
            body.len(),
        );
        [head.as_bytes(), body].concat()
    }
}
