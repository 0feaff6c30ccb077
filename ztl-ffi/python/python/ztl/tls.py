"""TLS of Python's own `ssl`: contexts that prove the other end in the handshake, and the chain that it showed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import tempfile
from ipaddress import ip_address
from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence

from ztl.errors import Denied, ZtlError

_END = "-----END CERTIFICATE-----"


def chain_of(connection: Any) -> List[bytes]:
    """The certificates that the other end showed, in DER, the leaf first. Only TLS has checked that it holds the leaf's key."""
    inner = connection if hasattr(connection, "get_unverified_chain") else getattr(connection, "_sslobj", None)
    chain = None if inner is None else inner.get_unverified_chain()
    if not chain:
        raise Denied("the caller showed no certificate", reason="identity_unproven", stage="identity")
    # 3.13 has bytes; before it is a type of _ssl, whose encoding 2 is DER.
    return [bytes(one) if isinstance(one, (bytes, bytearray)) else one.public_bytes(2) for one in chain]


def ders(pem: bytes) -> List[bytes]:
    """The certificates of a file in PEM."""
    blocks = [block for block in pem.decode("ascii", "replace").split(_END) if "-----BEGIN CERTIFICATE-----" in block]
    return [ssl.PEM_cert_to_DER_cert(block[block.index("-----BEGIN CERTIFICATE-----") :] + _END) for block in blocks]


def authorities(bundle: bytes) -> List[bytes]:
    """The certificates of a bundle, in DER: of one in PEM, or of a SPIFFE bundle document, which begins with `{`. What is wrong with it
    otherwise is for the engine to say, which has the last word on whom they prove."""
    if not bundle.lstrip().startswith(b"{"):
        return ders(bundle)
    try:
        keys = json.loads(bundle)["keys"]
        # SPIFFE Trust Domain and Bundle 4.2.
        shown = [key["x5c"][0] for key in keys if key.get("use") == "x509-svid" and key.get("x5c")]
        return [base64.b64decode(one, validate=True) for one in shown]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def trusts(context: ssl.SSLContext, authorities: Iterable[bytes]) -> None:
    """Has a context look at certificates of these authorities; without any it does so of nobody's."""
    found = b"".join(authorities)
    if found:
        context.load_verify_locations(cadata=found)


def address(given: Optional[str]) -> Optional[str]:
    """Digits without zone; `None` where there are none, which is in no zone of the policy."""
    try:
        found = ip_address((given or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


@contextlib.contextmanager
def as_files(*contents: bytes) -> Iterator[List[str]]:
    """Paths with these contents, for functions that take nothing else: what is loaded is what was checked. In memory where the
    system can do it, for one of them is a key."""
    with contextlib.ExitStack() as stack:
        paths = []
        for content in contents:
            if hasattr(os, "memfd_create"):
                held: Any = stack.enter_context(open(os.memfd_create("ztl", os.MFD_CLOEXEC), "wb"))
                path = f"/proc/self/fd/{held.fileno()}"
            else:
                held = stack.enter_context(tempfile.NamedTemporaryFile())
                path = held.name
            held.write(content)
            held.flush()
            paths.append(path)
        yield paths


class Context(ssl.SSLContext):
    """A context that follows its guard. What was loaded into it stays as it is: other threads may make connections of it just then, and
    OpenSSL has no lock for that. Where that is no longer what counts, connections are made of another, with the ALPN of this one."""

    #: Gives the context of which a connection is made now.
    current: Callable[["Context"], "Context"] = staticmethod(lambda held: held)
    #: Of which state of the guard it was made, and its next one, if there was need of it.
    state = 0
    successor: Optional["Context"] = None
    protocols: Optional[Sequence[str]] = None

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        self.protocols, self.successor = list(alpn_protocols), None
        super().set_alpn_protocols(self.protocols)

    def wrap_socket(self, *args: Any, **named: Any) -> ssl.SSLSocket:
        return ssl.SSLContext.wrap_socket(self.current(self), *args, **named)

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        return ssl.SSLContext.wrap_bio(self.current(self), *args, **named)


Prove = Callable[[Any], None]

#: Longest that a handshake takes on a server's socket that waits for ever, in seconds: whoever is silent in it holds its thread (T35).
_HANDSHAKE = 10.0


def context(server_side: bool, prove: Prove) -> Context:
    """TLS 1.3 and nothing below, a certificate of the other end, no resumption; and `prove` has the last word in each handshake.

    Python's `ssl` takes no verifier of one's own, so OpenSSL checks the chain and the key, and then `prove` is asked; where it
    raises, the handshake failed and nothing was read or written.
    """
    made = Context(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    # A SPIFFE ID is no host name: `prove` looks at it instead.
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    # An authority of a bundle need not be self-signed.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN if hasattr(ssl, "VERIFY_X509_PARTIAL_CHAIN") else 0x80000
    made.options |= ssl.OP_NO_TICKET
    if server_side:
        made.num_tickets = 0

    def proved(connection: Any) -> None:
        try:
            prove(connection)
        except ZtlError as error:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"ztl: {error}") from error
        except Exception as error:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "ztl: the other end could not be proved") from error

    # OpenSSL shakes hands by itself where somebody reads or writes first, so these ask as well.
    class ProvedSocket(ssl.SSLSocket):
        _is_proved = False

        def do_handshake(self, block: bool = False) -> None:
            before = self.gettimeout()
            if server_side and not self._is_proved and (before is None or block and before == 0):
                # Of the whole handshake, however often a byte of it comes (`ssl`, since 3.5).
                self.settimeout(_HANDSHAKE)
                try:
                    super().do_handshake()
                finally:
                    self.settimeout(before)
            else:
                super().do_handshake(block)
            if not self._is_proved:
                try:
                    proved(self)
                except ssl.SSLError:
                    # Whoever goes on regardless has no connection to go on with.
                    with contextlib.suppress(OSError):
                        self.close()
                    raise
                self._is_proved = True

        def read(self, *args: Any, **named: Any) -> Any:
            if not self._is_proved:
                self.do_handshake()
            return super().read(*args, **named)

        def write(self, data: Any) -> int:
            if not self._is_proved:
                self.do_handshake()
            return super().write(data)

        def send(self, data: Any, flags: int = 0) -> int:
            if not self._is_proved:
                self.do_handshake()
            return super().send(data, flags)

    class ProvedObject(ssl.SSLObject):
        _is_proved = False

        def do_handshake(self) -> None:
            super().do_handshake()
            if not self._is_proved:
                proved(self)
                self._is_proved = True

        def read(self, *args: Any, **named: Any) -> Any:
            if not self._is_proved:
                self.do_handshake()
            return super().read(*args, **named)

        def write(self, data: Any) -> int:
            if not self._is_proved:
                self.do_handshake()
            return super().write(data)

    made.sslsocket_class = ProvedSocket
    made.sslobject_class = ProvedObject
    return made
