//! How refusals are answered: what beside the status and the decision's id a caller is told.

use http::Uri;

use super::GuardBuilder;

/// What a caller is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// No problem document, but the status alone.
    pub(crate) without_bodies: bool,
    /// Who is not permitted is answered as if there were no such route.
    pub(crate) uniform: bool,
    /// Where clients learn whose tokens are taken (RFC 9728 §5.1); without quotation marks.
    pub(crate) resource_metadata: Option<Box<str>>,
}

impl GuardBuilder {
    /// Answers refusals with the status and its header fields alone, without a problem document (RFC 9457). The caller is not
    /// told the decision's id then; the audit log and the response's extensions ([`Refused`](crate::Refused)) still have it.
    pub const fn refusals_without_bodies(mut self) -> Self {
        self.answers.without_bodies = true;
        self
    }

    /// Answers who is not permitted as who asks for something that is not there: 404 (gRPC 12), the same body, and no handler run
    /// in either case, and both at the end of a step of 10 ms since the request came, by tokio's timer. So nobody maps the service by
    /// what it refuses, or by how long that took. In the audit log and the response's extensions nothing changes.
    ///
    /// It costs: a client cannot tell a missing right from a mistyped path, a 404 or 405 of the service without content (no
    /// `Content-Type`) loses its header fields, and a gRPC method that is not implemented its message. What a caller can mend is still
    /// said, and says that there is something: 400, 401, 408, 413, 415, 421, 422, 429, 503, and 403 `insufficient_scope` to whoever
    /// shows a good token.
    pub const fn uniform_refusals(mut self) -> Self {
        self.answers.uniform = true;
        self
    }

    /// Names the protected resource metadata of the service (RFC 9728) in every challenge, so that a client that has no token
    /// learns where to get one: `WWW-Authenticate: Bearer resource_metadata="…"`.
    pub fn resource_metadata(mut self, url: &Uri) -> Self {
        // RFC 3986 §2: a quotation mark is no character of a URI, though the parser lets it be.
        let url = url.to_string().replace('"', "%22");
        self.answers.resource_metadata = Some(url.into());
        self
    }
}
