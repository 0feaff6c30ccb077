//! Raw bytes to another workload, or to a host outside the mesh.

use ztl_core::{Action, HTTPS_PORT};

use super::dial::dial_raw;
use super::error::EgressError;
use super::pool::{Key, To};
use super::target::{Named, named};
use crate::guard::Guard;
use crate::live::Revocable;
use crate::raw::{HostStream, RawStream};

impl Guard {
    /// Connects to `workload` or `workload:port` as this one, for raw bytes. What the policy does not permit as the action
    /// `connect` is refused before anything is dialled; whoever answers has to prove that it is the named workload; and the
    /// action is authorized on the proved connection before a byte of it leaves.
    ///
    /// ```no_run
    /// # async fn example(guard: ztl_tower::Guard) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut stream = guard.connect("broker").await?;
    /// stream.write_all(b"hello").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// In TLS 1.3 this returns before the target has judged us: where it refuses, the first read fails.
    ///
    /// # Errors
    /// [`EgressError`]; one that is [`Denied`](EgressError::Denied) has cost no connection where the policy alone could tell.
    pub async fn connect(&self, workload: &str) -> Result<RawStream, EgressError> {
        let (Named::Workload(name), port) = target(workload)? else {
            let why = "it is a host outside the mesh, which `connect_host` connects to";
            return Err(no_target(workload, why));
        };
        let (name, policy) = (&*name, self.engine().policy());
        let declared = policy.workload_by_name(name);
        let port = match (port, declared) {
            (Some(port), _) => port,
            (None, Some(declared)) => {
                let workload = || name.to_owned();
                let port = declared.default_port();
                port.ok_or_else(|| EgressError::Port {
                    workload: workload(),
                })?
            }
            // Not in the policy: denied and recorded below, whatever the port.
            (None, None) => 0,
        };
        let (action, now) = (Action::Connect, self.now());
        self.engine()
            .foresee_egress(self.name(), name, port, &action, now)?;
        let Some(declared) = declared else {
            return Err(no_target(workload, "the policy declares no such workload"));
        };
        let key = Key {
            to: To::Workload {
                name: name.into(),
                id: declared.id().clone(),
            },
            port,
            identity: Some(self.identity().generation()),
        };
        let (stream, registered) = dial_raw(self, &key).await?;
        let stream = Revocable::new(stream.into(), registered);
        Ok(RawStream::authorize(self, stream).await?)
    }

    /// Connects to `host.example` or `host.example:port`, outside the mesh, for raw bytes in TLS 1.3. What no permit lets out as the
    /// action `connect`, to a section `[external.NAME]` with that host, is refused before anything is dialled. The host is dialled
    /// only at an address that the section lets it have, the Web PKI has to prove it for exactly its name by the roots of
    /// [`web_roots`](crate::GuardBuilder::web_roots), and the action is authorized on that connection before a byte of it leaves.
    /// Our SVID has to be in force, and is not shown to it.
    ///
    /// Without a port it is 443.
    ///
    /// ```no_run
    /// # async fn example(guard: ztl_tower::Guard) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let mut stream = guard.connect_host("feed.example.org:8883").await?;
    /// assert_eq!(stream.host().name(), "feed.example.org");
    /// stream.write_all(b"hello").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`EgressError`]; one that is [`Denied`](EgressError::Denied) has cost no connection where the policy alone could tell.
    pub async fn connect_host(&self, host: &str) -> Result<HostStream, EgressError> {
        let (Named::Host(name), port) = target(host)? else {
            let why = "it is the name of a workload, which `connect` connects to";
            return Err(no_target(host, why));
        };
        // As a URL has it, and `ztl decide`.
        let port = port.unwrap_or(HTTPS_PORT);
        let (action, now) = (Action::Connect, self.now());
        self.engine()
            .foresee_external(self.name(), &name, port, &action, now)?;
        let key = Key {
            to: To::Host(name),
            port,
            identity: None,
        };
        let (stream, registered) = dial_raw(self, &key).await?;
        let stream = Revocable::new(stream.into(), registered);
        Ok(HostStream::authorize(self, stream).await?)
    }
}

fn no_target(target: &str, why: &'static str) -> EgressError {
    EgressError::Target {
        uri: target.chars().take(64).collect(),
        why,
    }
}

/// The workload or host, and the port, of `name[:port]`.
fn target(text: &str) -> Result<(Named, Option<u16>), EgressError> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let name = named(name).map_err(|why| no_target(text, why))?;
    let Some(port) = port else {
        return Ok((name, None));
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port > 0 => Ok((name, Some(port))),
        _ => Err(no_target(text, "its port is not a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t27_only_a_workload_or_a_host_by_name_is_connected_to() {
        let of = |text| target(text).ok();
        let broker = || Named::Workload("broker".into());
        let feed = || Named::Host("feed.example.org".into());
        assert_eq!(of("broker"), Some((broker(), None)));
        assert_eq!(of("broker:5671"), Some((broker(), Some(5671))));
        assert_eq!(of("feed.example.org"), Some((feed(), None)));
        assert_eq!(of("feed.example.org:8883"), Some((feed(), Some(8883))));
        for bad in [
            "",
            "broker.",
            ".broker",
            "feed..example",
            "FEED.example.org",
            "feed.example.org.",
            "feed_1.example",
            "127.0.0.1",
            "0x7f.1",
            "BROKER",
            "broker:",
            "broker:0",
            "broker:+1",
            "broker:65536",
            "broker:1:2",
            "https://broker",
            "[::1]",
            "u@broker",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
