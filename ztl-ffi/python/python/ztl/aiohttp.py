"""aiohttp: a middleware, which has to be the first.

    app = web.Application(middlewares=[ztl.aiohttp.middleware(guard)])
    web.run_app(app, port=8443, ssl_context=guard.ssl_context())

`peer_id(request)` is who called. A running request that is no longer permitted is cancelled, and its connection ends.

A field `Expect` is answered before any middleware, with 100 or 417, or by the `expect_handler` of a route: that is code of the application
which nobody judged, so give no route one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, FrozenSet, Optional

from aiohttp import web
from multidict import CIMultiDict

from ztl import running
from ztl.bearer import Fields
from ztl.errors import Denied
from ztl.forwarded import is_trusted, said_in
from ztl.judge import Asked, Permit, answer, wrong_target

_log = logging.getLogger("ztl")

# Of aiohttp 3.14 and newer.
PERMIT: Any = web.RequestKey("ztl.permit", Permit) if hasattr(web, "RequestKey") else "ztl.permit"


def peer_id(request: web.Request) -> str:
    """The SPIFFE ID of whoever made the request. A `KeyError` outside of a guard."""
    permit: Permit = request[PERMIT]
    return permit.peer_id


def middleware(guard: Any) -> Any:
    """Lets a request through only with a permit."""

    @web.middleware
    async def guarded(request: web.Request, handler: Any) -> web.StreamResponse:
        generation = guard.generation
        try:
            asked = read(request)
            permit = guard.judge(asked)
            if not all(is_trusted(name, permit.passes) for name, _ in request.raw_headers):
                request = _stripped(request, permit.passes)
        except Exception as error:
            guard.denied(error)
            status, headers, body = answer(error, request.method == "HEAD")
            fields = {name: value for name, value in headers if name != "content-length"}
            return web.Response(status=status, headers=fields, body=body)
        request[PERMIT] = permit
        _watch(guard, asked, permit, generation, request)
        response: web.StreamResponse = await handler(request)
        return response

    return guarded


def _watch(guard: Any, asked: Asked, permit: Permit, generation: int, request: web.Request) -> None:
    """Has a request judged again until its response is written: aiohttp writes it after all middlewares, in the task that runs them."""
    transport, serving = request.transport, asyncio.current_task()
    if transport is None or serving is None:
        raise ConnectionResetError("the connection of the request is gone")
    # Nothing more is taken of a response while some of it waits here, so that what is cut has not gone out (T14).
    transport.set_write_buffer_limits(high=1, low=0)

    def cut() -> None:
        # One that the caller has ended already may say so, and the denial has to be told all the same.
        with contextlib.suppress(Exception):
            transport.abort()

    def ended(watching: "asyncio.Future[Any]") -> None:
        error = None if watching.cancelled() else watching.exception()
        own = None if not serving.done() or serving.cancelled() else serving.exception()
        # What was denied was told, and what the handler raises is for aiohttp to say.
        if error is not None and error is not own and not isinstance(error, ConnectionAbortedError):
            _log.error("a running request was ended, as it could not be watched", exc_info=error)

    asyncio.ensure_future(running.serve(guard, asked, permit, generation, serving, cut)).add_done_callback(ended)


def _stripped(request: web.Request, passes: FrozenSet[str]) -> web.Request:
    """A request without the fields in which its caller is not trusted to say whom it speaks for."""
    kept = [field for field in request.headers.items() if is_trusted(field[0].encode("utf-8", "replace"), passes)]
    copy: web.Request = request.clone(headers=CIMultiDict(kept))
    return copy


def _fixed(headers: Fields) -> Optional[str]:
    """Why aiohttp cannot copy a request without one of its fields, where it cannot and may have to."""
    if not said_in(headers):
        return None
    try:
        for part in (part for field in headers for part in field):
            part.decode("utf-8")
    except UnicodeDecodeError:
        return "a header field is not UTF-8, in a request with one in which its caller is not trusted to say whom it speaks for"
    return None


def read(request: web.Request) -> Asked:
    """A request as it stood on the wire, or `Denied`."""
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("ssl_object")
    if transport is None or connection is None:
        raise Denied("the connection has no TLS, so that nobody is proved", reason="identity_unproven", stage="identity")
    target = request.raw_path.encode("utf-8", "surrogateescape")
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return Asked(
        method=request.method.encode("utf-8", "surrogateescape"),
        target=target,
        headers=request.raw_headers,
        connection=connection,
        address=peer[0] if isinstance(peer, tuple) else None,
        port=own[1] if isinstance(own, tuple) else None,
        request=request,
        wrong=wrong_target(target, request.path),
        fixed=_fixed(request.raw_headers),
        stripped=lambda passes: _stripped(request, passes),
    )
