//! Makes server and client from the names below, so that nobody has to install `protoc`. With it, `tonic-prost-build` makes the
//! same from a `.proto` file.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str, input: &str, output: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::wire::{input}"))
            .output_type(format!("crate::wire::{output}"))
            .codec_path("tonic_prost::ProstCodec")
    };
    let service = Service::builder()
        .name("RouteGuide")
        .package("routeguide")
        .method(method("get_feature", "GetFeature", "Point", "Feature").build())
        .method(
            method("list_features", "ListFeatures", "Rectangle", "Feature")
                .server_streaming()
                .build(),
        )
        .method(
            method("record_route", "RecordRoute", "Point", "RouteSummary")
                .client_streaming()
                .build(),
        )
        .method(
            method("route_chat", "RouteChat", "RouteNote", "RouteNote")
                .client_streaming()
                .server_streaming()
                .build(),
        )
        .build();
    Builder::new().compile(&[service]);
}
