//! The messages of the service, as `prost` would make them of a `.proto` file.

/// A place on the map, in units of 1e-7 degrees.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
#[expect(
    unnameable_types,
    reason = "the messages are public where they are generated"
)]
pub struct Point {
    /// North of the equator.
    #[prost(int32, tag = "1")]
    pub latitude: i32,
    /// East of Greenwich.
    #[prost(int32, tag = "2")]
    pub longitude: i32,
}

/// What lies between two corners.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
#[expect(
    unnameable_types,
    reason = "the messages are public where they are generated"
)]
pub struct Rectangle {
    /// The one.
    #[prost(message, optional, tag = "1")]
    pub lo: Option<Point>,
    /// The other.
    #[prost(message, optional, tag = "2")]
    pub hi: Option<Point>,
}

/// Something that has a name. Nothing is there where the name is empty.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[expect(
    unnameable_types,
    reason = "the messages are public where they are generated"
)]
pub struct Feature {
    /// What it is called.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Where it is.
    #[prost(message, optional, tag = "2")]
    pub location: Option<Point>,
}

/// What somebody noted somewhere.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[expect(
    unnameable_types,
    reason = "the messages are public where they are generated"
)]
pub struct RouteNote {
    /// Where.
    #[prost(message, optional, tag = "1")]
    pub location: Option<Point>,
    /// What.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// What came of a route.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
#[expect(
    unnameable_types,
    reason = "the messages are public where they are generated"
)]
pub struct RouteSummary {
    /// Points that were sent.
    #[prost(int32, tag = "1")]
    pub point_count: i32,
    /// Points of them where something is.
    #[prost(int32, tag = "2")]
    pub feature_count: i32,
}
