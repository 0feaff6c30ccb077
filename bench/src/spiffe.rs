//! The crate `spiffe-rustls` as its documentation shows it, and the Workload API that it takes its SVID and bundle from.

use core::convert::Infallible;
use core::net::{Ipv4Addr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use spiffe::X509Source;
use spiffe_rustls::{LocalOnly, authorizer, mtls_server};
use tokio::net::TcpListener;

use crate::mesh::TRUST_DOMAIN;
use crate::service::Hello;
use crate::tls::alpn;
use crate::wire::runtime;

/// A server that proves clients by `spiffe-rustls` and lets in the one caller. What feeds it runs in a thread of its own until the
/// process ends.
///
/// # Panics
/// Where it takes neither SVID nor bundle.
#[must_use]
pub fn server(hello: &Hello) -> ServerConfig {
    // It takes the provider of the process: all do the same cryptography.
    let provider = CryptoProvider::clone(&ztl_mtls::provider());
    let _ = provider.install_default();
    let message = message(hello);
    let caller = hello.caller_svid().id().as_str().to_owned();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        runtime().block_on(async move {
            let address = workload_api(message).await;
            let source = X509Source::builder().endpoint(format!("tcp://{address}"));
            let source = source.build().await.expect("an SVID and its bundle");
            let domain = TRUST_DOMAIN.try_into().expect("a trust domain");
            let config = mtls_server(source)
                .authorize(authorizer::exact([caller]).expect("an ID"))
                .trust_domain_policy(LocalOnly(domain))
                .with_alpn_protocols(alpn())
                .build();
            tell.send(config.expect("a configuration")).expect("heard");
            core::future::pending::<()>().await;
        });
    });
    told.recv().expect("a server")
}

/// A Workload API on loopback that tells everybody the same: gRPC's framing by hand, and nothing of it that is not needed.
async fn workload_api(message: Bytes) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let message = message.clone();
            let answer = move |_: Request<Incoming>| {
                let mut response = Response::new(Once(Some(message.clone())));
                let grpc = HeaderValue::from_static("application/grpc");
                response.headers_mut().insert("content-type", grpc);
                async { Ok::<_, Infallible>(response) }
            };
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    address
}

/// One message of a stream that stays open.
struct Once(Option<Bytes>);

impl Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(message) => Poll::Ready(Some(Ok(Frame::data(message)))),
            None => Poll::Pending,
        }
    }
}

/// An `X509SVIDResponse` of `workload.proto` with the service's SVID, in gRPC's frame.
fn message(hello: &Hello) -> Bytes {
    let issued = hello.service();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).expect("a key");
    let roots = hello.roots();
    let joined = |chain: &[rustls_pki_types::CertificateDer<'_>]| -> Vec<u8> {
        chain.iter().flat_map(|one| one.to_vec()).collect()
    };
    let mut svid = Vec::new();
    field(&mut svid, 1, issued.svid.id().as_str().as_bytes());
    field(&mut svid, 2, &joined(issued.svid.chain()));
    field(&mut svid, 3, key.secret_der());
    field(&mut svid, 4, &joined(&roots));
    let mut message = Vec::new();
    field(&mut message, 1, &svid);
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame.into()
}

/// A length-delimited field of protobuf.
fn field(out: &mut Vec<u8>, number: u8, value: &[u8]) {
    out.push(number << 3 | 2);
    let mut length = value.len();
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(value);
}
