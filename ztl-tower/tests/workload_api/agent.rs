//! A Workload API over a Unix socket, as far as X.509-SVIDs go: HTTP/2, gRPC's framing and the few protobuf fields of
//! `workload.proto`, written out by hand so that it shares nothing with the client it is tried with.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use ztl_mtls::{IssuedSvid, TrustBundle};

/// What the agent says to whoever asks, and again whenever it changes.
#[derive(Clone)]
enum Answer {
    /// A message of the stream.
    Message(Bytes),
    /// The end of the stream: PERMISSION_DENIED, as SPIRE says it of a workload without an entry.
    Denied,
    /// Bytes that are no gRPC.
    Garbage(Bytes),
}

pub(crate) struct Agent {
    path: PathBuf,
    answer: watch::Sender<Answer>,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Agent {
    /// Begins at a path, denying everybody.
    pub(crate) fn start(path: &Path) -> Self {
        let mut agent = Self {
            path: path.to_owned(),
            answer: watch::Sender::new(Answer::Denied),
            running: None,
        };
        agent.start_again();
        agent
    }

    pub(crate) fn start_again(&mut self) {
        let listener = UnixListener::bind(&self.path).expect("bind");
        self.running = Some(tokio::spawn(accept(listener, self.answer.clone())));
    }

    /// Ends as a process that is killed does: every stream breaks. The socket's file is removed.
    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
            std::fs::remove_file(&self.path).expect("remove");
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Gives these SVIDs, each with its own domain's bundle, and bundles of other domains.
    pub(crate) fn give(&self, svids: &[IssuedSvid], own: &TrustBundle, federated: &[TrustBundle]) {
        let federated = federated.iter().map(|bundle| {
            let certificates = bundle.certificates().concat_der();
            (bundle.trust_domain().as_str(), certificates)
        });
        self.give_beside(svids, own, &federated.collect::<Vec<_>>());
    }

    /// The same, with bundles of other domains that may be none.
    pub(crate) fn give_beside(
        &self,
        svids: &[IssuedSvid],
        own: &TrustBundle,
        federated: &[(&str, Vec<u8>)],
    ) {
        let mut message = Vec::new();
        for issued in svids {
            let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("key");
            let mut svid = Vec::new();
            field(&mut svid, 1, issued.svid.id().as_str().as_bytes());
            field(&mut svid, 2, &issued.svid.chain().concat_der());
            field(&mut svid, 3, key.secret_der());
            field(&mut svid, 4, &own.certificates().concat_der());
            field(&mut message, 1, &svid);
        }
        for (domain, certificates) in federated {
            let mut entry = Vec::new();
            field(&mut entry, 1, domain.as_bytes());
            field(&mut entry, 2, certificates);
            field(&mut message, 3, &entry);
        }
        self.answer.send_replace(Answer::Message(message.into()));
    }

    pub(crate) fn deny(&self) {
        self.answer.send_replace(Answer::Denied);
    }

    /// A message that is no X509SVIDResponse.
    pub(crate) fn give_nonsense(&self) {
        let mut message = Vec::new();
        field(&mut message, 1, b"\xff\xff\xff not an SVID");
        self.answer.send_replace(Answer::Message(message.into()));
    }

    /// An answer without an SVID.
    pub(crate) fn give_nothing(&self) {
        self.answer.send_replace(Answer::Message(Bytes::new()));
    }

    /// An SVID of which every mandatory field is empty (Workload API section 4.5).
    pub(crate) fn give_hollow(&self) {
        let mut message = Vec::new();
        field(&mut message, 1, b"");
        self.answer.send_replace(Answer::Message(message.into()));
    }

    /// Bytes that are no gRPC message.
    pub(crate) fn give_garbage(&self) {
        let bytes = Bytes::from_static(b"\xff\xff\xff\xff\xff\xff\xff\xff garbage");
        self.answer.send_replace(Answer::Garbage(bytes));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

trait ConcatDer {
    fn concat_der(&self) -> Vec<u8>;
}

impl ConcatDer for [rustls_pki_types::CertificateDer<'static>] {
    fn concat_der(&self) -> Vec<u8> {
        self.iter().flat_map(|der| der.to_vec()).collect()
    }
}

/// A length-delimited field of protobuf.
fn field(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = value.len();
    while length > 0x7f {
        out.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).expect("seven bits"));
    out.extend(value);
}

async fn accept(listener: UnixListener, answer: watch::Sender<Answer>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let told = answer.subscribe();
                async move { Ok::<_, Infallible>(respond(&request, told)) }
            });
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

fn respond(request: &Request<Incoming>, mut told: watch::Receiver<Answer>) -> Response<Stream> {
    let (send, receive) = mpsc::channel(8);
    let mut response = Response::new(Stream(receive));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let asked: HashMap<_, _> = request.headers().iter().collect();
    if request.uri().path() != "/SpiffeWorkloadAPI/FetchX509SVID" {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    // SPIFFE Workload Endpoint §3: without this header a request is refused.
    if !asked
        .iter()
        .any(|(name, value)| *name == "workload.spiffe.io" && *value == "true")
    {
        headers.insert("grpc-status", HeaderValue::from_static("3"));
        return response;
    }
    if matches!(*told.borrow(), Answer::Denied) {
        headers.extend(denied());
        return response;
    }
    tokio::spawn(async move {
        loop {
            let answer = told.borrow_and_update().clone();
            let (frame, over) = match answer {
                Answer::Message(message) => (Frame::data(framed(&message)), false),
                Answer::Garbage(bytes) => (Frame::data(bytes), true),
                Answer::Denied => (Frame::trailers(denied()), true),
            };
            if send.send(frame).await.is_err() || over {
                return;
            }
            tokio::select! {
                changed = told.changed() => if changed.is_err() { return },
                () = send.closed() => return,
            }
        }
    });
    response
}

fn denied() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("7"));
    trailers.insert(
        "grpc-message",
        HeaderValue::from_static("no identity issued"),
    );
    trailers
}

/// A gRPC message: not compressed, and its length in four bytes.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("small").to_be_bytes());
    frame.extend(message);
    frame.into()
}

struct Stream(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}
