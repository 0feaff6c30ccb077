"""ASGI: uvicorn through `ztl.uvicorn`, and every server with the `tls` extension.

    app = guard.asgi(app)

A request whose certificates or raw target the server does not say is denied. `peer_id(scope)` is who called.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Awaitable, Callable, Dict, Optional

from ztl import tls
from ztl.errors import Denied
from ztl.judge import Asked, Permit, answer, check_target

PERMIT = "ztl.permit"
#: What `ztl.uvicorn` puts into `scope["extensions"]`.
CONNECTION = "ztl.connection"

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
            permit = self._guard.judge(asked)
        except Exception as error:
            self._guard.denied(error)
            await refuse(error, scope, receive, send)
            return
        await self._serve(asked, permit, generation, ({**scope, PERMIT: permit}, receive, send))

    async def _serve(self, asked: Asked, permit: Permit, generation: int, call: Any) -> None:
        """Serves a request until it ends, or its permit does."""
        loop, cut = asyncio.get_running_loop(), asyncio.Event()
        serving = asyncio.ensure_future(self._app(*call))

        def again() -> None:
            # A loop that was closed serves nobody.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(cut.set)

        stop = self._guard.watch(again)
        try:
            if self._guard.generation != generation:
                cut.set()
            while not serving.done():
                waiting = asyncio.ensure_future(cut.wait())
                try:
                    await asyncio.wait({serving, waiting}, timeout=_left(permit), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
                if serving.done():
                    break
                cut.clear()
                try:
                    permit = self._guard.judge(asked)
                except Exception as error:
                    self._guard.denied(error)
                    serving.cancel()
                    await asyncio.wait({serving})
                    # The server ends the connection where a response was begun, and answers 500 where none was.
                    raise ConnectionAbortedError("what was permitted is no longer") from error
        finally:
            stop()
            if not serving.done():
                serving.cancel()
        await serving


def _left(permit: Permit) -> Optional[float]:
    expires = permit.decision.expires_at
    return None if expires is None else max(0.1, min(expires - time.time(), 86400.0))


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
    check_target(raw, scope.get("path"))
    return Asked(
        method=b"GET" if websocket else scope["method"].encode("latin-1"),
        target=raw + b"?" + query if query else raw,
        headers=scope["headers"],
        upgrade=b"websocket" if websocket else None,
        request=scope,
        **_connection(scope),
    )


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
