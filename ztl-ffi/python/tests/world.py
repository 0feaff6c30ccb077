"""What the tests share: an authority, a policy, servers on loopback."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Callable, Iterator, List, Optional, Tuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import ztl
from ztl import files

# What a world writes is whole before anybody reads it.
files.MOMENT = 0.0

POLICY = """
schema = 1
trust_domain = "prod.example"
[zones.here]
trust = 3
networks = ["127.0.0.0/8"]
[workloads.router]
id = "spiffe://prod.example/router"
zone = "here"
[workloads.stranger]
id = "spiffe://prod.example/stranger"
[workloads.model-server]
id = "spiffe://prod.example/model-server"
ports = [8443]
asserted_by = ["test"]
[[permit]]
name = "router-infers"
from = "router"
to = "model-server"
actions = ["POST /v1/models/{model}/infer", "GET /v1/who", "GET /v1/live", "websocket /v1/socket"]
"""
NO_RULES = POLICY.partition("[[permit]]")[0]
#: The same, where the router speaks for others.
PROXY = POLICY.replace('zone = "here"\n', 'zone = "here"\nforwards = "stranger"\nforwards_in = "xfcc"\n', 1)
#: What it says of the stranger.
FOR_STRANGER = (b"X-Forwarded-Client-Cert", b"By=spiffe://prod.example/router;URI=spiffe://prod.example/stranger")


def spiffe(name: str) -> str:
    return f"spiffe://prod.example/{name}"


class Authority:
    """Issues X.509-SVIDs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        built = _builder(name, name, self.key.public_key())
        built = built.add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
        self.root = built.sign(self.key, hashes.SHA256())
        self.pem = self.root.public_bytes(serialization.Encoding.PEM)

    def issue(self, uri: Optional[str], lasts: datetime.timedelta = datetime.timedelta(hours=1)) -> Tuple[bytes, bytes]:
        """A certificate and its key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        built = _builder(x509.Name([]), self.root.subject, key.public_key(), lasts)
        built = built.add_extension(x509.BasicConstraints(False, None), True).add_extension(usage, True)
        built = built.add_extension(both, False)
        if uri is not None:
            built = built.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), True)
        certificate = built.sign(self.key, hashes.SHA256())
        plain = serialization.NoEncryption()
        return (
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
        )


    def document(self) -> bytes:
        """Its certificate in a SPIFFE bundle document."""
        def number(of: int) -> str:
            return base64.urlsafe_b64encode(of.to_bytes(32, "big")).rstrip(b"=").decode()

        at = self.key.public_key().public_numbers()
        shown = base64.b64encode(self.root.public_bytes(serialization.Encoding.DER)).decode()
        key = {"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": number(at.x), "y": number(at.y), "x5c": [shown]}
        return json.dumps({"spiffe_sequence": 1, "keys": [key]}).encode()

    def revokes(self, *pems: bytes, lasts: datetime.timedelta = datetime.timedelta(hours=1)) -> bytes:
        """A revocation list that names these certificates, in PEM."""
        now = datetime.datetime.now(datetime.timezone.utc)
        built = x509.CertificateRevocationListBuilder().issuer_name(self.root.subject).last_update(now - datetime.timedelta(minutes=1))
        built = built.next_update(now + lasts).add_extension(x509.CRLNumber(1), False)
        for pem in pems:
            serial = x509.load_pem_x509_certificate(pem).serial_number
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - datetime.timedelta(minutes=1))
            built = built.add_revoked_certificate(revoked.build())
        return built.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Any, lasts: datetime.timedelta = datetime.timedelta(hours=1)
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + lasts)
    )


class World:
    """A folder with the files of each workload."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.authority = Authority()
        self.write("policy.toml", POLICY.encode())
        self.write("bundle.pem", self.authority.pem)
        for name in ("router", "stranger", "model-server"):
            self.svid(name, self.authority.issue(spiffe(name)))
        self.svid("nobody", self.authority.issue(None))
        self.svid("forged", Authority().issue(spiffe("router")))

    def close(self) -> None:
        self.folder.cleanup()

    def write(self, name: str, content: bytes) -> None:
        (self.path / name).write_bytes(content)
        # Whatever mask this runs under: what others may write is refused.
        (self.path / name).chmod(0o600)

    def svid(self, name: str, pair: Tuple[bytes, bytes]) -> None:
        self.write(f"{name}.pem", pair[0])
        self.write(f"{name}.key", pair[1])

    def settings(self, me: str) -> Any:
        return dict(
            policy_file=self.path / "policy.toml", certificate_file=self.path / f"{me}.pem", key_file=self.path / f"{me}.key",
            bundle_files={"prod.example": self.path / "bundle.pem"}, port=8443, check_every=None, on_denial=lambda error: None,
        )

    def guard(self, me: str = "model-server", **more: Any) -> ztl.Guard:
        return ztl.Guard(me, **{**self.settings(me), **more})

    def chain(self, name: str) -> List[bytes]:
        return [ssl.PEM_cert_to_DER_cert((self.path / f"{name}.pem").read_text())]

    def scope(self, path: str = "/v1/live", **change: Any) -> Any:
        """A request of the router, as a server with the `tls` extension of ASGI hands it over."""
        pem = (self.path / "router.pem").read_text()
        return {
            "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [(b"host", b"x")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8443), "extensions": {"tls": {"client_cert_chain": [pem]}}, **change,
        }

    def records(self, name: str, stage: str = "action") -> List[Any]:
        """What an audit file of this folder says of what came to a stage."""
        lines = (json.loads(line) for line in (self.path / name).read_text().splitlines())
        return [line for line in lines if line["stage"] == stage]

    def asked(self, *headers: Tuple[bytes, bytes]) -> ztl.Asked:
        """The same, from whatever server."""
        return ztl.Asked(b"GET", b"/v1/live", headers, chain=self.chain("router"), address="127.0.0.1")

    def client(self, name: Optional[str]) -> ssl.SSLContext:
        """A client that checks nothing, as an attacker's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if name is not None:
            context.load_cert_chain(self.path / f"{name}.pem", self.path / f"{name}.key")
        return context

    def ask(self, port: int, name: Optional[str], method: str, target: str, **fields: str) -> Tuple[int, bytes]:
        """The status and body; (0, b"") where there was no connection to ask on."""
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=self.client(name))
        try:
            connection.request(method, target, headers=fields)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()


def until(is_so: Callable[[], bool], within: float = 20.0) -> bool:
    """Whether it comes to be so."""
    end = time.monotonic() + within
    while not is_so():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.02)
    return True


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextlib.contextmanager
def program(*arguments: str, folder: pathlib.Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A program that says a line when it is ready."""
    tests = str(pathlib.Path(__file__).parent)
    env = {**os.environ, "PYTHONPATH": tests, "WORLD": str(folder), **environment}
    running = subprocess.Popen([sys.executable, *arguments], env=env, cwd=tests, stdout=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        assert running.stdout is not None
        running.stdout.close()


@contextlib.contextmanager
def gunicorn(world: World, application: str, *arguments: str, **environment: str) -> Iterator[int]:
    """gunicorn behind the guard of `served`, once it serves the router; its port."""
    port = free_port()
    world.write("gunicorn.conf.py", b"from served import ssl_context\n")
    settings = (
        "-m", "gunicorn", "-c", str(world.path / "gunicorn.conf.py"), "-b", f"127.0.0.1:{port}", "--certfile",
        str(world.path / "model-server.pem"), "--keyfile", str(world.path / "model-server.key"), "--log-level", "critical",
        "--no-control-socket",
    )
    with program(*settings, *arguments, application, folder=world.path, **environment):
        if not until(lambda: world.ask(port, "router", "GET", "/v1/who")[0] == 200):
            raise AssertionError("gunicorn does not serve")
        yield port


class Serving(threading.Thread):
    """An event loop in a thread; `start_server` is awaited in it, and its result is `port`."""

    def __init__(self, start_server: Any) -> None:
        super().__init__(daemon=True)
        import asyncio

        self.loop = asyncio.new_event_loop()
        self.start()
        self.port, self.stop = asyncio.run_coroutine_threadsafe(start_server(), self.loop).result(20)

    def run(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def close(self) -> None:
        import asyncio

        asyncio.run_coroutine_threadsafe(self.stop(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(20)
