//! An axum service behind ztl: every caller proved and every request judged, before the router sees it.

use axum::{Router, routing::get};
use quickstart_axum::dev;
use ztl_tower::{Guard, Peer, core::policy::Policy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (svid, bundle) = dev::identities()?; //        in production: `identity_files` and `bundle_file`
    let guard = Guard::builder("service") //           which workload of the policy this is; its SVID must say so
        .policy(Policy::from_toml(dev::POLICY)?) //    what we permit
        .identity(svid) //                             who we are
        .bundle(bundle) //                             whom we can prove
        .allow_dev_authority() //                      for this throwaway authority; never in production
        .audit_file(dev::AUDIT) //                     why each request was permitted or denied
        .build()
        .await?;
    let app = Router::new()
        .route("/hello", get(hello)) //                permitted to the workload `curl`
        .route("/secret", get(secret)); //             permitted to nobody
    Ok(guard.serve(dev::ADDRESS, app).await?) //       every request is judged before the router sees it
}

async fn hello(peer: Peer) -> String {
    format!("hello, {}\n", peer.id())
}

async fn secret() -> &'static str {
    "nobody hears this\n"
}
