"""Calls to other workloads, as of `http.client`: nothing is sent before the server is proved and the request permitted.

    connection = guard.connection("retriever", 8443)
    connection.request("GET", "/v1/search?q=rust")
    response = connection.getresponse()
"""

from __future__ import annotations

import http.client
import socket
import time
from typing import Any, FrozenSet, List, Optional, Tuple

from ztl.bearer import is_shown
from ztl.errors import Denied
from ztl.forwarded import is_trusted


class Connection(http.client.HTTPSConnection):
    """A connection to the workload `to`, whoever `address` leads to: it has to prove that it is that one. No proxies.

    The `Authorization` of the request that a handler serves is left out where it was copied into one of its own, unless
    `pass_on_authorization` is said: whoever holds it could show it to others (T27)."""

    def __init__(
        self, guard: Any, to: str, port: int, *, address: Optional[Tuple[str, int]] = None, timeout: float = 10.0,
        pass_on_authorization: bool = False,
    ) -> None:
        self._tls = guard.ssl_context(server_side=False, to=to, port=port)
        super().__init__(to, port, timeout=timeout, context=self._tls)
        self._guard, self._to, self._at = guard, to, address or (to, port)
        self._passes_on = pass_on_authorization
        self._flow: Any = None
        self._generation = -1
        self._asked: Tuple[str, str] = ("", "")
        self._fields: List[Tuple[bytes, bytes]] = []
        self._held: List[Tuple[Any, Tuple[Any, ...]]] = []

    def connect(self) -> None:
        """Connects, and proves who answers."""
        generation = self._guard.generation
        plain = socket.create_connection(self._at, self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._to)
        except BaseException:
            plain.close()
            raise
        self._flow, self._generation = self.sock.ztl_flow, generation

    def set_tunnel(self, *_: Any, **__: Any) -> None:
        """No proxy is used."""
        raise ValueError("a guarded connection goes through no proxy")

    def putrequest(self, method: str, url: str, *args: Any, **named: Any) -> None:
        """Begins a request, on a new connection where something changed since the old one was proved, or what proved it has ended."""
        self._guard.look()
        if self.sock is not None and (self._generation != self._guard.generation or self._is_over()):
            self.close()
        self._asked, self._fields, self._held = (method, url or "/"), [], []
        super().putrequest(method, url, *args, **named)

    def _is_over(self) -> bool:
        # The server has another SVID by now, and shows it in another handshake.
        expires = self._flow.expires_at
        return expires is not None and time.time() >= expires

    def putheader(self, header: Any, *values: Any) -> None:
        """Adds a header field."""
        name = header if isinstance(header, bytes) else str(header).encode("ascii")
        if not is_trusted(name, frozenset()):
            # Whether it may go out is known once it is known who answers.
            self._held.append((header, values))
            return
        if name.lower() == b"authorization" and not self._passes_on and is_shown(_octets(values)):
            return
        super().putheader(header, *values)
        self._note(name, values)

    def _note(self, name: bytes, values: Tuple[Any, ...]) -> None:
        self._fields += [(name, value) for value in _octets(values)]

    def endheaders(self, *args: Any, **named: Any) -> None:
        """Sends the request, if it is permitted."""
        try:
            if self.sock is None:
                self.connect()
            passed = self._pass_on()
            method, url = self._asked
            self._guard.engine.authorize(self._flow, method, url, self._fields)
            self._check_passed(passed)
        except BaseException:
            # What was not permitted must not go out with the next request.
            del self._buffer[:]  # type: ignore[attr-defined]
            self.close()
            raise
        super().endheaders(*args, **named)

    def _pass_on(self) -> FrozenSet[str]:
        """Of the fields in which a proxy says whom it speaks for, keeps those that the policy trusts it with, and says in which it does."""
        passes = self._guard.engine.reads(self._flow) if self._held else frozenset()
        kept = []
        for header, values in self._held:
            name = header if isinstance(header, bytes) else str(header).encode("ascii")
            if is_trusted(name, passes):
                super().putheader(header, *values)
                self._note(name, values)
                kept.append(name.decode().lower())
        return frozenset(kept)

    def _check_passed(self, passed: FrozenSet[str]) -> None:
        """Refuses a request with a field that the policy does not trust us with any more: it came in between, permitted the request
        without it, and nothing of it is sent yet (T12)."""
        engine, (method, url) = self._guard.engine, self._asked
        if not passed or passed <= engine.reads(self._flow):
            return
        try:
            engine.refuse(self._flow, "forwarded_untrusted", method, url, self._fields)
        except Denied as recorded:
            why = "whom the request speaks for is no longer ours to say: the policy changed while it was judged"
            told = {name: getattr(recorded, name) for name in ("reason", "stage", "decision_id")}
            raise Denied(why, **told) from recorded

    def send(self, data: Any) -> None:
        """Sends what belongs to a request that was permitted."""
        if self.sock is None:
            raise http.client.NotConnected("the connection was ended, and what it carried was permitted on that one")
        super().send(data)


def _octets(values: Tuple[Any, ...]) -> List[bytes]:
    return [value if isinstance(value, bytes) else str(value).encode("latin-1") for value in values]
