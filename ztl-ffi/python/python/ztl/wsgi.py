"""WSGI: gunicorn, and what else says the raw target and hands over its TLS connection.

    application = guard.wsgi(application)

A request whose connection or raw target the server does not say is denied. `peer_id(environ)` is who called.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Tuple

from ztl.bearer import came
from ztl.errors import Denied, RawTargetUnavailable
from ztl.forwarded import VARIABLES
from ztl.judge import Asked, Permit, answer, is_beneath, wrong_target

PERMIT = "ztl.permit"
_SOCKETS = ("gunicorn.socket", "werkzeug.socket")
_TARGETS = ("RAW_URI", "REQUEST_URI")
#: gunicorn takes a header field `SCRIPT_NAME` for the folder that the application is in, from callers whom it believes: what is
#: routed would be another path than the one that was judged.
_MOVES = ("HTTP_SCRIPT_NAME", "HTTP_PATH_INFO")


def peer_id(environ: Dict[str, Any]) -> str:
    """The SPIFFE ID of whoever made the request. A `KeyError` outside of a guard."""
    permit: Permit = environ[PERMIT]
    return permit.peer_id


class Guarded:
    """A WSGI application behind a guard. It has to be the outermost one."""

    def __init__(self, app: Any, guard: Any) -> None:
        self._app, self._guard = app, guard

    def __call__(self, environ: Dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        generation = self._guard.generation
        try:
            asked = read(environ)
            permit = self._guard.judge(asked)
        except Exception as error:
            self._guard.denied(error)
            came(())
            status, headers, body = answer(error, environ.get("REQUEST_METHOD") == "HEAD")
            start_response(f"{status} {HTTPStatus(status).phrase}", headers)
            return [body]
        for variable in _untrusted(permit.passes):
            environ.pop(variable, None)
        environ[PERMIT] = permit
        return Judged(self._guard, asked, permit, generation).serve(self._app, environ, start_response)


class Judged:
    """A request that is judged again before each part of its response, where something changed or its permit ended (T15)."""

    def __init__(self, guard: Any, asked: Asked, permit: Permit, generation: int) -> None:
        self._guard, self._asked, self._permit, self._generation = guard, asked, permit, generation
        self._denied: Optional[Exception] = None

    def serve(self, app: Any, environ: Dict[str, Any], start_response: Callable[..., Any]) -> "_Response":
        """The application's response, each part of which goes out only while the request is permitted."""

        def begin(*args: Any, **named: Any) -> Callable[[bytes], Any]:
            write = start_response(*args, **named)

            # PEP 3333 has a second way out.
            def judged(part: bytes) -> Any:
                self.check()
                return write(part)

            return judged

        return _Response(app(environ, begin), self)

    def check(self) -> None:
        """Raises where the request is not permitted any more, and from then on."""
        if self._denied is not None:
            raise self._denied
        self._guard.look()
        if self._generation == self._guard.generation and not self._permit.is_over:
            return
        self._generation = self._guard.generation
        try:
            self._permit = self._guard.judge(self._asked, self._permit)
        except Exception as error:
            self._denied = error
            self._guard.denied(error)
            raise


class _Response:
    def __init__(self, response: Iterable[bytes], judged: Judged) -> None:
        self._response, self._judged = response, judged

    def __iter__(self) -> Iterator[bytes]:
        for part in self._response:
            self._judged.check()
            yield part

    def close(self) -> None:
        close = getattr(self._response, "close", None)
        try:
            if close is not None:
                close()
        finally:
            # The thread serves others next, and what is not a request at all.
            came(())


def read(environ: Dict[str, Any]) -> Asked:
    """A request as it stood on the wire, or `Denied`."""
    connection = next((environ[name] for name in _SOCKETS if environ.get(name) is not None), None)
    if connection is None:
        raise Denied(
            "the server does not hand over its connection, so that nobody is proved", reason="identity_unproven", stage="identity"
        )
    target = next((environ[name].encode("latin-1") for name in _TARGETS if environ.get(name)), None)
    # PEP 3333: bytes as latin-1, decoded.
    folder = environ.get("SCRIPT_NAME", "")
    path = folder + environ.get("PATH_INFO", "")
    wrong = wrong_target(target, path, "latin-1")
    if wrong is None and folder and not is_beneath(path, folder):
        # Servers cut a folder off by its letters alone, and frameworks serve what is left as if a slash began it (T9, T19).
        wrong = RawTargetUnavailable(
            "the path of the request is not beneath SCRIPT_NAME, the folder of the application: that names it without a slash at its end"
        )
    if any(name in environ for name in _MOVES):
        wrong = RawTargetUnavailable("a header field of the request says where its path begins")
    try:
        (address, *_), (_, port, *_) = connection.getpeername(), connection.getsockname()
    except (OSError, ValueError):
        address, port = None, None
    return Asked(
        method=environ["REQUEST_METHOD"].encode("latin-1"), target=target or b"", headers=list(_fields(environ)), connection=connection,
        address=address, port=port, request=environ, wrong=wrong, stripped=lambda passes: _stripped(environ, passes),
    )


def _untrusted(passes: FrozenSet[str]) -> List[str]:
    """The variables in which a caller is not trusted to say whom it speaks for."""
    return [variable for variable, name in VARIABLES.items() if name not in passes]


def _stripped(environ: Dict[str, Any], passes: FrozenSet[str]) -> Dict[str, Any]:
    untrusted = _untrusted(passes)
    return {name: value for name, value in environ.items() if name not in untrusted}


def _fields(environ: Dict[str, Any]) -> Iterator[Tuple[bytes, bytes]]:
    for name, value in environ.items():
        if not isinstance(value, str):
            continue
        if name.startswith("HTTP_"):
            name = name[5:]
        elif name not in ("CONTENT_TYPE", "CONTENT_LENGTH") or not value:
            continue
        yield name.replace("_", "-").lower().encode("latin-1"), value.encode("latin-1")
