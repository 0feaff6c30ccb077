//! What a user's client asks of the provider, and what its operator does.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Failed;

pub(crate) struct Provider {
    authority: String,
}

impl Provider {
    pub(crate) fn at(iss: &str) -> Result<Self, Failed> {
        let authority = iss
            .strip_prefix("http://")
            .ok_or("the provider of this example is at http://127.0.0.1")?;
        Ok(Self {
            authority: authority.to_owned(),
        })
    }

    /// An access token for the service (RFC 6749 §4.4).
    pub(crate) async fn token(&self) -> Result<String, Failed> {
        let body = "grant_type=client_credentials&scope=infer&client_id=alice&client_secret=for-this-run-only";
        let answer = self.post("/token", body).await?;
        let token = answer.get("access_token").and_then(Value::as_str);
        Ok(token.ok_or("the provider gave no access token")?.to_owned())
    }

    /// One step of a rotation: `publish`, `sign` or `retire`.
    pub(crate) async fn rotate(&self, step: &str) -> Result<(), Failed> {
        self.post(&format!("/rotate/{step}"), "").await.map(|_| ())
    }

    async fn post(&self, path: &str, body: &'static str) -> Result<Value, Failed> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::post(path)
            .header("host", &self.authority)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from_static(body.as_bytes())))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            return Err(format!("{path} of the provider answered {status}").into());
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
