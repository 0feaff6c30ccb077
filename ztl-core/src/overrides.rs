//! Fields by which a request asks for something else than its first line says.

/// Header fields by which a client asks for another method than the request's own, in lower case. A service that obeys
/// one does what was never judged, so whoever judges refuses a request that has one (verb tampering, the class of CVE-2010-0738), with `_` for `-` too
/// ([`is_same_field`](crate::is_same_field)).
pub const METHOD_OVERRIDES: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Header fields by which a client asks for another target, in lower case; to be refused as [`METHOD_OVERRIDES`] are.
/// Frameworks that obeyed them were walked around so (CVE-2018-14773).
pub const TARGET_OVERRIDES: [&str; 2] = ["x-original-url", "x-rewrite-url"];
