//! nginx before the service, as who does not build security in runs it: nginx ends mutual TLS, checks who asks for what, and asks
//! the service over loopback.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::fs::{self, DirBuilder};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::service::Hello;
use crate::wire::{Server, pin};

/// An nginx of its own, ended with this.
#[derive(Debug)]
pub struct Sidecar {
    /// nginx and the service behind it.
    pub server: Server,
    process: Child,
    folder: PathBuf,
}

impl Sidecar {
    /// Starts both on the first core, nginx by this thread, which stays there. Or says why there is no nginx.
    ///
    /// # Errors
    /// Where a program is not installed, or nginx does not start.
    pub fn start(hello: &Hello) -> Result<Self, String> {
        let nginx = ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"]
            .into_iter()
            .find(|name| runs(name, "-v"))
            .ok_or("nginx is not installed")?;
        if !runs("setpriv", "--version") {
            return Err(
                "setpriv, which ends nginx together with this, is not installed".to_owned(),
            );
        }
        let folder = std::env::temp_dir().join(format!("ztl-bench-nginx-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let plain = Server::plain(hello);
        let address = free_address();
        write(&folder, hello, plain.address, address).map_err(|error| error.to_string())?;
        pin(0);
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", nginx, "-e", "errors", "-c", "conf"])
            .arg("-p")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut sidecar = Self {
            server: plain.behind(address, process.id()),
            process,
            folder,
        };
        sidecar.wait()?;
        Ok(sidecar)
    }

    /// Until it listens.
    fn wait(&mut self) -> Result<(), String> {
        let since = Instant::now();
        while TcpStream::connect(self.server.address).is_err() {
            let ended = self.process.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || since.elapsed() > Duration::from_secs(5) {
                let errors = fs::read_to_string(self.folder.join("errors")).unwrap_or_default();
                return Err(format!("nginx does not start: {}", errors.trim()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn runs(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// One that is free: nginx binds its own port.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// What nginx reads: the chain, key and authority that the other servers have too, and its configuration.
fn write(
    folder: &Path,
    hello: &Hello,
    service: SocketAddr,
    address: SocketAddr,
) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)?;
    let own = hello.service();
    fs::write(folder.join("chain"), own.cert_pem)?;
    fs::write(folder.join("key"), own.key_pem)?;
    fs::write(folder.join("authority"), hello.authority().bundle_pem())?;
    fs::write(folder.join("conf"), configuration(hello, service, address))
}

/// One look into a table for method, path and caller, no log of requests, connections to the service that are kept. nginx shows the
/// URIs of a certificate to no directive, so the caller is told by the subject, which the same authority signed.
fn configuration(hello: &Hello, service: SocketAddr, address: SocketAddr) -> String {
    let (path, caller) = (hello.path(), hello.caller_name());
    format!(
        r#"
daemon off;
master_process off;
pid pid;
error_log errors;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path t1;
    proxy_temp_path t2;
    fastcgi_temp_path t3;
    uwsgi_temp_path t4;
    scgi_temp_path t5;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    map_hash_bucket_size 256;
    map "$request_method $uri $ssl_client_s_dn" $permitted {{
        default 0;
        "GET {path} CN={caller}" 1;
    }}
    upstream service {{
        server {service};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address} ssl http2;
        ssl_protocols TLSv1.3;
        ssl_certificate chain;
        ssl_certificate_key key;
        ssl_client_certificate authority;
        ssl_verify_client on;
        ssl_session_cache off;
        ssl_session_tickets off;
        location / {{
            if ($permitted = 0) {{ return 403; }}
            proxy_pass http://service;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"#
    )
}
