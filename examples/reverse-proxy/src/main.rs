//! A reverse proxy on hyper with ztl on both sides. A till asks the edge, the edge passes on to the stock; each judges for itself.
//! All three run in one process. Till and edge are then taken over, and get nowhere.

mod proxy;

use std::net::SocketAddr;

use bytes::Bytes;
use dev_mesh::{Authority, Failed};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tower::service_fn;
use ztl_tower::{EgressError, Guard, Peer, RequestBody};

/// What is permitted.
const POLICY: &str = include_str!("../policy.toml");
/// What somebody permits themselves who was taken over: nobody has to take their word for it.
const TAKEN_OVER: &str = include_str!("../taken-over.toml");
/// Where the edge and the stock listen; the policy names the ports.
const EDGE: &str = "127.0.0.1:28453";
const STOCK: &str = "127.0.0.1:28454";

/// Who asks whom for what, and how that is answered; 0 where it is answered by no response.
const WALK: &[(&str, &str, &str, &str, u16)] = &[
    ("till", "edge", "GET", "/v1/items/7?colour=red", 200),
    ("till", "edge", "POST", "/v1/orders", 200),
    // The edge's door is open for it, and the way behind it is not.
    ("till", "edge", "GET", "/v1/prices", 403),
    ("till", "edge", "DELETE", "/v1/items/7", 403),
    ("till", "edge", "GET", "/v1/items/7/../../admin", 0),
    // Past the edge: refused within the handshake.
    ("till", "stock", "GET", "/v1/items/7", 0),
    // The edge's own certificate does not open more than the edge's rules.
    ("edge", "stock", "GET", "/v1/items/7", 200),
    ("edge", "stock", "GET", "/v1/admin", 403),
];

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let authority = Authority::new("shop.example")?;

    // The stock: any tower service of requests will do.
    let stock = authority.guard("stock", POLICY)?.build().await?;
    let listener = TcpListener::bind(STOCK).await?;
    let stocking = tokio::spawn(stock.serve_listener(listener, service_fn(answer)));

    // The edge: what it takes in and what it passes on are judged by the same guard.
    let edge = authority
        .guard("edge", POLICY)?
        .endpoint("stock", STOCK.parse()?)
        .build()
        .await?;
    let listener = TcpListener::bind(EDGE).await?;
    let client = edge.client();
    let service = service_fn(move |request| {
        let client = client.clone();
        async move { proxy::pass(client, "stock", request).await }
    });
    let passing = tokio::spawn(edge.serve_listener(listener, service));

    let failed = walk(&authority).await?;
    edge.shutdown();
    stock.shutdown();
    passing.await??;
    stocking.await??;
    if failed > 0 {
        return Err(format!("{failed} answers were not as they must be").into());
    }
    Ok(())
}

/// The stock tells what it was asked, and by whom.
async fn answer(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Failed> {
    let who = request
        .extensions()
        .get::<Peer>()
        .ok_or("nobody was proved")?;
    let said = format!(
        "{} {} for {}",
        request.method(),
        request.uri().path(),
        who.id()
    );
    Ok(Response::new(Full::from(said)))
}

async fn walk(authority: &Authority) -> Result<usize, Failed> {
    let (edge, stock): (SocketAddr, SocketAddr) = (EDGE.parse()?, STOCK.parse()?);
    let mut guards = Vec::new();
    for name in ["till", "edge"] {
        let guard = authority.guard(name, TAKEN_OVER)?;
        let guard = guard.endpoint("edge", edge).endpoint("stock", stock);
        guards.push((name, guard.build().await?));
    }
    let mut failed = 0;
    for (name, to, method, path, want) in WALK {
        let Some((_, guard)) = guards.iter().find(|(of, _)| of == name) else {
            continue;
        };
        let (status, said) = ask(guard, to, method, path).await?;
        let verdict = if status == *want {
            "as it must"
        } else {
            "WRONG"
        };
        println!("{name} to {to:5} {method:6} {path:24} {status:3} {verdict}: {said}");
        failed += usize::from(status != *want);
    }
    Ok(failed)
}

async fn ask(guard: &Guard, to: &str, method: &str, path: &str) -> Result<(u16, String), Failed> {
    let request = Request::builder()
        .method(method)
        .uri(format!("https://{to}{path}"))
        .body(Full::<Bytes>::default())?;
    match guard.client().request(request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            let said = response.into_body().collect().await?.to_bytes();
            Ok((status, String::from_utf8_lossy(&said).into_owned()))
        }
        Err(error @ (EgressError::FlowRefused { .. } | EgressError::Ambiguous { .. })) => {
            Ok((0, error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
