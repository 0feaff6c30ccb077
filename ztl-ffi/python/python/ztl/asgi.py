"""ASGI: uvicorn through `ztl.uvicorn`, and every server with the `tls` extension.

    app = guard.asgi(app)

A request whose certificates or raw target the server does not say is denied. `peer_id(scope)` is who called.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import Any, Awaitable, Callable, Dict, FrozenSet, Iterator, Optional, Tuple

from ztl import running, tls
from ztl.bearer import Fields
from ztl.errors import Denied, RawTargetUnavailable
from ztl.forwarded import is_trusted
from ztl.judge import Asked, Permit, answer, is_beneath, wrong_target

PERMIT = "ztl.permit"
#: What `ztl.uvicorn` puts into `scope["extensions"]`.
CONNECTION = "ztl.connection"
#: And what ends the connection at once, with all that was not sent yet.
ABORT = "ztl.abort"
#: An upgrade that no rule can name: a list is no token.
_UNNAMEABLE = b","

Scope = Dict[str, Any]
Receive = Callable[[], Awaitable[Dict[str, Any]]]
Send = Callable[[Dict[str, Any]], Awaitable[None]]


def peer_id(scope: Scope) -> str:
    """The SPIFFE ID of whoever made the request. A `KeyError` outside of a guard."""
    permit: Permit = scope[PERMIT]
    return permit.peer_id


class Guarded:
    """An ASGI application behind a guard. It has to be the outermost one."""

    def __init__(self, app: Any, guard: Any) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        generation = self._guard.generation
        try:
            asked = read(scope)
            wrong = asked.wrong or _two_names(scope, getattr(self._app, "root_path", None))
            if wrong is not asked.wrong:
                asked = dataclasses.replace(asked, wrong=wrong)
            permit = self._guard.judge(asked)
        except Exception as error:
            self._guard.denied(error)
            await refuse(error, scope, receive, send)
            return
        scope = {**_stripped(scope, asked.headers, permit.passes), PERMIT: permit}
        await self._serve(asked, permit, generation, (scope, receive, send))

    async def _serve(self, asked: Asked, permit: Permit, generation: int, call: Tuple[Scope, Receive, Send]) -> None:
        """Serves a request until it ends, or its permit does."""
        scope, receive, send = call
        line = _Line(receive, send, (scope.get("extensions") or {}).get(ABORT))
        serving = asyncio.ensure_future(self._app(scope, line.receive, line.send))
        await running.serve(self._guard, asked, permit, generation, serving, line.cut_and_abort)


#: Most bytes of a response that a server is handed at once: what it has, nobody cuts.
_PART = 65_536


class _Line:
    """What an application hears and says of one request, until it is cut."""

    def __init__(self, receive: Receive, send: Send, abort: Optional[Callable[[], None]]) -> None:
        self._receive, self._send, self._abort = receive, send, abort
        self._is_cut = self._is_begun = False
        #: Whoever sends a message waits for the one before it, all of whose parts go out together.
        self._sends = asyncio.Lock()

    def cut(self) -> None:
        self._is_cut = True

    def cut_and_abort(self) -> None:
        """Ends the connection and what the server holds of the response as well, where one was begun and the server lets us. Where none was
        the server answers 500."""
        self.cut()
        if self._is_begun and self._abort is not None:
            # One that the caller has ended already may say so, and the denial has to be told all the same.
            with contextlib.suppress(Exception):
                self._abort()

    def _check(self) -> None:
        if self._is_cut:
            raise ConnectionAbortedError("what was permitted is no longer")

    async def receive(self) -> Dict[str, Any]:
        self._check()
        message = await self._receive()
        self._check()
        return message

    async def send(self, message: Dict[str, Any]) -> None:
        async with self._sends:
            self._check()
            self._is_begun = True
            for part in _parts(message):
                await self._send(part)
                if part is not message:
                    # Whoever judges it again runs on this loop as well.
                    await asyncio.sleep(0)
                    self._check()


def _parts(message: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """A message, in parts that a server has wait for a caller who reads slowly. Handed over at once, a large body would be read to its end
    by whoever was permitted when it began, long after its application was done with it (T14)."""
    body = (message.get("body") or b"") if message.get("type") == "http.response.body" else b""
    if len(body) <= _PART:
        yield message
        return
    last = (len(body) - 1) // _PART * _PART
    for at in range(0, last, _PART):
        yield {**message, "body": body[at : at + _PART], "more_body": True}
    yield {**message, "body": body[last:]}


async def refuse(error: BaseException, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request that is not permitted."""
    if scope["type"] == "websocket":
        await receive()
        # Before it is accepted: servers answer 403.
        await send({"type": "websocket.close", "code": 1008})
        return
    if scope["type"] != "http":
        raise Denied(f"nothing is known of the protocol {scope['type']!r}") from error
    status, headers, body = answer(error, scope.get("method") == "HEAD")
    fields = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def read(scope: Scope) -> Asked:
    """A request as it stood on the wire, or `Denied`."""
    if scope["type"] not in ("http", "websocket"):
        raise Denied(f"nothing is known of the protocol {scope['type']!r}")
    websocket = scope["type"] == "websocket"
    raw, query = scope.get("raw_path") or b"", scope.get("query_string") or b""
    # A copy: the application has the list, and may change it before the request is judged again.
    headers = tuple((bytes(name), bytes(value)) for name, value in scope["headers"])
    # Of what the server serves as a request nothing becomes: what a rule permits as an upgrade would be answered as another action (T20).
    asks = any(name.lower() == b"upgrade" for name, _ in headers)
    return Asked(
        method=b"GET" if websocket else scope["method"].encode("latin-1"),
        target=raw + b"?" + query if query else raw,
        headers=headers,
        upgrade=b"websocket" if websocket else _UNNAMEABLE if asks else None,
        request=scope,
        wrong=wrong_target(raw, scope.get("path")),
        stripped=lambda passes: _stripped(scope, headers, passes),
        **_connection(scope),
    )


def _stripped(scope: Scope, headers: Fields, passes: FrozenSet[str]) -> Scope:
    """A request with these fields, without those in which its caller is not trusted to say whom it speaks for."""
    return {**scope, "headers": [field for field in headers if is_trusted(field[0], passes)]}


def _two_names(scope: Scope, own: object) -> Optional[Denied]:
    """What is wrong with a request whose path is one of two by which the application serves the same. It takes a root path off where
    that is there: the server's, or, as FastAPI does, its own (T9, T19)."""
    path, said = scope.get("path") or "", scope.get("root_path") or ""
    if said and not is_beneath(path, said):
        return RawTargetUnavailable("the path of the request is not beneath the root_path that the server says")
    # Something else may have that name.
    if isinstance(own, str) and own and own != said and is_beneath(path, own):
        return RawTargetUnavailable(
            "the path of the request is beneath a root_path that the application takes off and the server does not know: say it to the "
            "server, as `ztl.uvicorn.run(.., root_path=..)`"
        )
    return None


def _connection(scope: Scope) -> Dict[str, Any]:
    extensions = scope.get("extensions") or {}
    held = extensions.get(CONNECTION)
    if held is not None:
        return dict(held)
    shown = (extensions.get("tls") or {}).get("client_cert_chain")
    if not shown:
        raise Denied(
            "the server does not say what certificates the caller showed: see `ztl.uvicorn`", reason="identity_unproven",
            stage="identity",
        )
    chain = [der for pem in shown for der in tls.ders(pem.encode("ascii", "replace"))]
    client, server = scope.get("client"), scope.get("server")
    return {"chain": chain, "address": client[0] if client else None, "port": server[1] if server else None}
