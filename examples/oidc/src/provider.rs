//! The provider's process, what a user's client asks of it, and what its operator does.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Failed;

pub(crate) struct Provider {
    command: Vec<String>,
    process: Child,
    issuer: String,
}

impl Provider {
    /// Starts it, and waits until it says where it is.
    pub(crate) fn start(command: Vec<String>) -> Result<Self, Failed> {
        let (process, issuer) = begin(&command)?;
        Ok(Self {
            command,
            process,
            issuer,
        })
    }

    /// Its issuer: `http://127.0.0.1` and a port.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Ends it as a machine that fails does: no connection is closed in order, and nothing more is written.
    pub(crate) fn kill(&mut self) -> Result<(), Failed> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts it again, where and with what it was.
    pub(crate) fn come_back(&mut self) -> Result<(), Failed> {
        let (process, issuer) = begin(&self.command)?;
        self.process = process;
        if issuer == self.issuer {
            Ok(())
        } else {
            Err(format!("the provider came back as `{issuer}`").into())
        }
    }

    /// An access token for the service (RFC 6749 §4.4).
    pub(crate) async fn token(&self) -> Result<String, Failed> {
        let body = "grant_type=client_credentials&scope=infer&client_id=alice&client_secret=for-this-run-only";
        let answer = self.post("/token", body).await?;
        let token = answer.get("access_token").and_then(Value::as_str);
        Ok(token.ok_or("the provider gave no access token")?.to_owned())
    }

    /// One step of a rotation: `publish/ES256`, `publish/RS256`, `sign` or `retire`.
    pub(crate) async fn rotate(&self, step: &str) -> Result<(), Failed> {
        self.post(&format!("/rotate/{step}"), "").await.map(|_| ())
    }

    async fn post(&self, path: &str, body: &'static str) -> Result<Value, Failed> {
        let authority = self.issuer.strip_prefix("http://");
        let authority = authority.ok_or("the provider of this example is at http://127.0.0.1")?;
        let stream = TcpStream::connect(authority).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::post(path)
            .header("host", authority)
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

impl Drop for Provider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

/// The process, and its first line. This thread waits for it: nothing else is to be done meanwhile, or the requests run on others.
fn begin(command: &[String]) -> Result<(Child, String), Failed> {
    let (program, arguments) = command
        .split_first()
        .ok_or("which provider? see examples/oidc/run")?;
    let mut process = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let read = match process.stdout.take() {
        Some(out) => BufReader::new(out).read_line(&mut line),
        None => Ok(0),
    };
    match read {
        Ok(1..) => Ok((process, line.trim_end().to_owned())),
        _ => {
            let _ = process.kill();
            let _ = process.wait();
            Err("the provider did not start".into())
        }
    }
}
