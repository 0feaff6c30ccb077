"""uvicorn, which shows an application nothing of TLS: protocols that do.

    ztl.uvicorn.run(guard, app, host="0.0.0.0", port=8443)

or, where uvicorn is started otherwise, `http=ztl.uvicorn.Http`, `ws=ztl.uvicorn.WebSocket`, `proxy_headers=False` and
`ssl_context_factory=lambda config, default: guard.ssl_context()` of `uvicorn.Config`, with `guard.asgi(app)` as the application.
"""

from __future__ import annotations

import inspect
from typing import Any, Dict

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ztl.asgi import ABORT, CONNECTION

if "ssl_context_factory" not in inspect.signature(uvicorn.Config).parameters:
    raise ImportError(f"ztl.uvicorn needs uvicorn 0.47 or newer, and this is {uvicorn.__version__}: `pip install 'uvicorn>=0.47'`")


class _Shown:
    """What the connection is, in the scope of each of its requests."""

    app: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        connection: Dict[str, Any] = {
            "connection": transport.get_extra_info("ssl_object"),
            "address": peer[0] if isinstance(peer, tuple) else None,
            "port": own[1] if isinstance(own, tuple) else None,
        }
        if connection["connection"] is None:
            return
        # Nothing more is taken of a response while some of it waits here, so that what is cut has not gone out (T14).
        transport.set_write_buffer_limits(high=1, low=0)
        app = self.app

        async def shown(scope: Any, receive: Any, send: Any) -> Any:
            extensions = {**(scope.get("extensions") or {}), CONNECTION: connection, ABORT: transport.abort}
            return await app({**scope, "extensions": extensions}, receive, send)

        self.app = shown


class Http(_Shown, H11Protocol):
    """HTTP/1.1, with its connection in the scope."""


try:
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
except ImportError:
    # Without the package `websockets` there are none.
    WebSocket: Any = "none"
else:

    class WebSocket(_Shown, WebSocketsSansIOProtocol):  # type: ignore[no-redef]
        """WebSocket, with its connection in the scope."""


def config(guard: Any, app: Any, **settings: Any) -> uvicorn.Config:
    """The configuration of a server behind a guard. A `ValueError` where a setting could have no effect."""
    fixed = {
        "http": Http,
        "ws": WebSocket,
        # Who called is whom the connection is from, whatever its headers say.
        "proxy_headers": False,
        "ssl_context_factory": lambda *_: guard.ssl_context(),
    }
    wrong = sorted(name for name in settings if name in fixed or name.startswith("ssl_"))
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: the guard says that itself")
    if settings.get("factory") or settings.get("interface", "auto") not in ("auto", "asgi3"):
        raise ValueError("factory and interface: what is served is the guard, which is ASGI 3; give it an application of that")
    one = ValueError("reload and workers (or WEB_CONCURRENCY): this serves in one process, so start as many of them as are wanted")
    if settings.get("reload") or (settings.get("workers") or 1) > 1:
        raise one
    made = uvicorn.Config(guard.asgi(app), **settings, **fixed)
    # By the environment.
    if made.workers > 1:
        raise one
    return made


def run(guard: Any, app: Any, **settings: Any) -> None:
    """Serves an application behind a guard, in this process."""
    uvicorn.Server(config(guard, app, **settings)).run()
