//! gRPC behind ztl. The route guide is served and called in one process: `surveyor` may call all four methods, `walker` two of
//! them, and what `walker` tries beyond that is refused before tonic sees it.

mod guide;
mod wire;

use std::net::SocketAddr;

use dev_mesh::{Authority, Failed};
use tokio::net::TcpListener;
use tokio_stream::{StreamExt, iter};
use tonic::service::Routes;
use tonic::{Code, Status};
use ztl_tower::{Client, Guard};

use crate::wire::{Point, Rectangle, RouteNote};

// What `build.rs` made.
#[expect(missing_docs, reason = "it is generated")]
pub mod generated {
    #![allow(
        clippy::allow_attributes_without_reason,
        clippy::as_conversions,
        clippy::disallowed_methods,
        unreachable_pub,
        reason = "it is generated"
    )]
    include!(concat!(env!("OUT_DIR"), "/routeguide.RouteGuide.rs"));
}
pub(crate) use generated::{route_guide_client, route_guide_server};

use route_guide_client::RouteGuideClient;
use route_guide_server::RouteGuideServer;

/// What the route guide permits.
const POLICY: &str = include_str!("../policy.toml");
/// What its callers permit themselves: nobody has to take their word for it.
const TAKEN_OVER: &str = include_str!("../taken-over.toml");
/// Where it listens; the policy names the port.
const ADDRESS: &str = "127.0.0.1:28452";

const MILL: Point = Point {
    latitude: 472_340_000,
    longitude: 113_950_000,
};
const FERRY: Point = Point {
    latitude: 472_400_000,
    longitude: 114_000_000,
};

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let authority = Authority::new("routes.example")?;
    let guard = authority.guard("route-guide", POLICY)?.build().await?;
    let service = RouteGuideServer::new(guide::Guide::default());

    // These lines were `Server::builder().add_service(service).serve(address)` before.
    let listener = TcpListener::bind(ADDRESS).await?;
    let routes = Routes::new(service).into_axum_router();
    let serving = tokio::spawn(guard.serve_listener(listener, routes));

    let mut failed = 0;
    for (name, may_record) in [("surveyor", true), ("walker", false)] {
        let address: SocketAddr = ADDRESS.parse()?;
        let guard = authority
            .guard(name, TAKEN_OVER)?
            .endpoint("route-guide", address);
        failed += walk(name, &guard.build().await?, may_record).await?;
    }
    guard.shutdown();
    serving.await??;
    if failed > 0 {
        return Err(format!("{failed} calls were not answered as they must be").into());
    }
    Ok(())
}

/// Calls all four methods; tells how many answers were wrong.
async fn walk(name: &str, guard: &Guard, may_record: bool) -> Result<usize, Failed> {
    let origin = "https://route-guide".parse()?;
    // `guard.client()` stands where tonic's `Channel` would.
    let mut client: RouteGuideClient<Client> =
        RouteGuideClient::with_origin(guard.client(), origin);
    let want = if may_record {
        Code::Ok
    } else {
        Code::PermissionDenied
    };
    let mut failed = 0;
    let mut tell = |method: &str, want: Code, got: Result<String, Status>| {
        let (code, said) = match got {
            Ok(said) => (Code::Ok, said),
            Err(status) => (status.code(), status.message().to_owned()),
        };
        let verdict = if code == want { "as it must" } else { "WRONG" };
        println!("{name:8} {method:12} {code:?} {verdict}: {said}");
        failed += usize::from(code != want);
    };

    let got = client.get_feature(MILL).await;
    tell("GetFeature", Code::Ok, got.map(|it| it.into_inner().name));

    let area = Rectangle {
        lo: Some(MILL),
        hi: Some(FERRY),
    };
    let got = match client.list_features(area).await {
        Ok(features) => {
            let features: Result<Vec<_>, _> = features.into_inner().collect().await;
            features.map(|it| format!("{} features", it.len()))
        }
        Err(status) => Err(status),
    };
    tell("ListFeatures", Code::Ok, got);

    let got = client.record_route(iter([MILL, FERRY])).await;
    let got = got.map(|it| format!("{} of them named", it.into_inner().feature_count));
    tell("RecordRoute", want, got);

    let note = |message: &str| RouteNote {
        location: Some(MILL),
        message: message.to_owned(),
    };
    let notes = [note("the door is open"), note("and the wheel turns")];
    let got = match client.route_chat(iter(notes)).await {
        Ok(heard) => {
            let heard: Result<Vec<_>, _> = heard.into_inner().collect().await;
            heard.map(|it| it.into_iter().map(|note| note.message).collect())
        }
        Err(status) => Err(status),
    };
    tell("RouteChat", want, got);
    Ok(failed)
}
