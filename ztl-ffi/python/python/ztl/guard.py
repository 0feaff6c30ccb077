"""`Guard`: one workload's policy, SVID and bundles, in files that are read again when they change."""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
import weakref
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from ztl import files, tls
from ztl._ztl import Engine
from ztl.bearer import came
from ztl.errors import AuditError, Denied, SvidError, ZtlError
from ztl.judge import Asked, Judge, Permit

_log = logging.getLogger("ztl")

#: Longest that whoever holds a permit goes on before it looks again, in seconds: at the files, and at the clock on the wall, for
#: timers sleep with the machine (T23).
_STEP = 1.0


@dataclass(frozen=True)
class Issuer:
    """An issuer of bearer tokens. `iss` is the exact value of that claim, `audience` what `aud` has to name."""

    name: str
    iss: str
    audience: str
    jwks_file: files.Path
    id_tokens: bool = False
    #: Takes JWT-SVIDs: `iss` is their trust domain, as spiffe://prod.example, and `jwks_file` its SPIFFE bundle document.
    jwt_svids: bool = False


class Guard:
    """Judges the connections and requests of one workload. Any number of threads may use it at once, and forked workers too.

    `trust_score(request, peer_id)` gives a caller's score, 0 to 100, or None, and is asked where a rule could read it, of a request without
    the fields in which its caller is not trusted to say whom it speaks for. In ASGI and aiohttp it is called on the event loop, for each
    running request as well when something changes: one that waits stops the server for as long, so let it look up what is known by then.
    `on_denial(error)` is told of each denial that the guard answers itself, by default the log `ztl`. `crl_files` are revocation lists by
    trust domain: where a domain has them, a certificate of which no list in time says anything proves nothing. Files are looked at again
    every `check_every` seconds, when a request comes and while one runs; None: by `reload` alone. `port` is this workload's in the policy;
    None: that of the connection.
    """

    def __init__(
        self,
        me: str,
        *,
        policy_file: files.Path,
        certificate_file: files.Path,
        key_file: files.Path,
        bundle_files: Mapping[str, files.Path],
        crl_files: Optional[Mapping[str, files.Path]] = None,
        port: Optional[int] = None,
        audit_file: Optional[files.Path] = None,
        issuers: Iterable[Issuer] = (),
        trust_score: Optional[Callable[[Any, str], Optional[int]]] = None,
        on_denial: Optional[Callable[[BaseException], None]] = None,
        check_every: Optional[float] = 5.0,
    ) -> None:
        self.me, self._on_denial, self._check_every = me, on_denial, check_every
        self._policy, self._svid, self._bundles = policy_file, (certificate_file, key_file), dict(bundle_files)
        self._crls, self._issuers = dict(crl_files or {}), tuple(issuers)
        self._format = "json" if os.fspath(policy_file).endswith(".json") else "toml"
        # Taken twice by one thread: a signal handler may ask for what it does already.
        self._lock, self._looking = threading.RLock(), threading.Lock()
        self._reading = self._once_more = self._is_forked = False
        #: The one of its own servers: some ask for it at each connection, before anybody is proved (T34).
        self._serves: Optional[tls.Context] = None
        #: How often what a handshake shows or trusts has changed.
        self._state = 0
        self._running: Dict[object, Callable[[], None]] = {}
        self._contents: Dict[object, bytes] = {}
        self._own: Tuple[bytes, bytes] = (b"", b"")
        self._looked, self._seen, self._taken, self._refused = time.monotonic(), (), (), ""
        policy = files.settled_policy(policy_file)
        self.engine = Engine(policy, format=self._format, audit_file=audit_file)  # type: ignore[arg-type]
        self._contents["policy"] = policy
        self._judge = Judge(self.engine, me, port, trust_score)
        # Before they are read: what changes meanwhile is seen as a change.
        self._taken = self._signature()
        self.reload()
        os.register_at_fork(after_in_child=_afresh(weakref.ref(self))) if hasattr(os, "register_at_fork") else None

    @property
    def generation(self) -> int:
        """How often something changed after which a request may no longer be permitted, in the files or by `engine` itself."""
        return self.engine.changes()

    def judge(self, asked: Asked, served: Optional[Permit] = None) -> Permit:
        """The permit of a request, or an exception; whatever is raised, the answer is no. `served` is the permit under which a request that
        is judged again was begun: one that would be read otherwise by now is not served to its end (T12). What it shows in `Authorization`
        is what `connection` does not send in the same context."""
        came(asked.headers)
        self.look()
        return self._judge.judge(asked, served)

    def denied(self, error: BaseException) -> None:
        """Tells the host of a denial that the guard answers itself."""
        if self._on_denial is not None:
            self._on_denial(error)
        elif isinstance(error, Denied) and (error.__cause__ is None or isinstance(error.__cause__, ZtlError)):
            _log.warning("denied: %s", error)
        else:
            _log.error("denied, as it could not be judged", exc_info=error)

    def reload(self) -> None:
        """Reads all files, and puts in force what changed; running requests that are no longer permitted are ended.

        What is refused leaves what was in force, and is raised once everything else was taken.

        A policy that changed within the last second is read again half a second later, and refused where somebody is writing it.

        A signal handler may call it. Where its own thread reads the files just then, that one reads them once more, and raises what is
        refused; the handler goes on."""
        self._reload(is_settled=False)

    def _reload(self, is_settled: bool) -> None:
        failed: List[Exception] = []
        before = self.generation
        try:
            with self._lock:
                # The same thread, further out: it cannot be waited for.
                if self._reading:
                    self._once_more = True
                    return
                while True:
                    self._reading, self._once_more = True, False
                    try:
                        failed = self._take(is_settled)
                    finally:
                        self._reading = False
                    if not self._once_more:
                        break
                    is_settled = False
        finally:
            # Whatever else went wrong: what is in force is what counts.
            if self.generation != before:
                for again in list(self._running.values()):
                    again()
        if failed:
            # What was refused for a passing reason, such as a certificate that is not yet valid, is tried again.
            self._taken = ()
            raise failed[0]

    def _take(self, is_settled: bool) -> List[Exception]:
        """Takes what changed, and says what of it is refused."""
        failed: List[Exception] = []
        for what, take in self._parts(is_settled):
            try:
                take(what)
            except Exception as error:
                failed.append(error)
        return failed

    def _parts(self, is_settled: bool) -> List[Tuple[Any, Callable[[Any], None]]]:
        # The bundles first: the own SVID is checked by them.
        parts: List[Tuple[Any, Callable[[Any], None]]] = [("policy", lambda what: self._take_policy(what, is_settled))]
        parts += [(domain, self._take_bundle) for domain in self._bundles]
        parts += [(domain, self._take_crls) for domain in self._crls]
        parts += [(issuer, self._take_issuer) for issuer in self._issuers]
        return [*parts, ("svid", self._take_svid)]

    def _take_policy(self, what: str, is_settled: bool) -> None:
        known = self._contents.get(what)
        policy = files.policy(self._policy) if is_settled else files.settled_policy(self._policy, known)
        if known == policy:
            return
        self.engine.swap(policy, format=self._format)  # type: ignore[arg-type]
        self._contents[what] = policy

    def _take_bundle(self, domain: str) -> None:
        bundle = files.read(self._bundles[domain])
        if self._contents.get(("bundle", domain)) == bundle:
            return
        authorities = tls.authorities(bundle)
        # What OpenSSL does not take is refused before any of it is in force.
        tls.trusts(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), authorities)
        self.engine.trust(domain, bundle)
        self._contents["bundle", domain] = bundle
        self._state += 1
        self._judge.forget()

    def _take_crls(self, domain: str) -> None:
        lists = files.read(self._crls[domain], files.MOST_CRLS)
        if self._contents.get(("crls", domain)) == lists:
            return
        self.engine.crls(domain, lists)
        self._contents["crls", domain] = lists
        self._judge.forget()

    def _take_issuer(self, issuer: Issuer) -> None:
        jwks = files.read(issuer.jwks_file)
        if self._contents.get(("issuer", issuer.name)) == jwks:
            return
        self.engine.issuer(issuer.name, iss=issuer.iss, audience=issuer.audience, jwks=jwks, id_tokens=issuer.id_tokens,
                           jwt_svids=issuer.jwt_svids)
        self._contents["issuer", issuer.name] = jwks

    def _take_svid(self, _: str) -> None:
        certificate, key = (files.read(path) for path in self._svid)
        if self._own == (certificate, key):
            return
        self.engine.check_svid(self.me, tls.ders(certificate))
        with tls.as_files(certificate, key) as (one, other):
            # A key that does not fit would leave a context with half of each.
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(one, other, password="")
            except (ssl.SSLError, OSError) as error:
                raise SvidError(f"the own SVID and its key do not fit, or cannot be read: {error}") from error
        # Not among the contents: nothing that was permitted rests on the own certificate, and running requests go on.
        self._own = (certificate, key)
        self._state += 1

    def _signature(self) -> Tuple[Any, ...]:
        paths = [self._policy, *self._svid, *self._bundles.values(), *self._crls.values(), *(issuer.jwks_file for issuer in self._issuers)]
        return tuple(files.signature(path) for path in paths)

    @property
    def step(self) -> float:
        """How long whoever holds a permit may go on before it calls `look`, in seconds."""
        return _STEP if self._check_every is None else min(_STEP, max(self._check_every, 0.05))

    def look(self) -> None:
        """Takes changed files, once two looks agree on them. The middlewares call it at every request and while one runs.

        In a process that was forked the first one takes them, as the making of a guard does, and whoever looks meanwhile waits."""
        if self._is_forked and self._check_every is not None:
            self._begin()
        looking = self._looking
        # Whoever finds another looking has that one look.
        if self._check_every is None or not looking.acquire(blocking=False):
            return
        try:
            now = time.monotonic()
            if now - self._looked < self._check_every:
                return
            self._looked = now
            seen, before = self._signature(), self._seen
            self._seen = seen
            if seen == self._taken or seen != before:
                return
            self._taken = seen
            # Two looks agreed, and none that this thread serves waits.
            self._reload_or_log(is_settled=True)
        finally:
            looking.release()

    def _begin(self) -> None:
        """Takes the files before a forked process judges anything: its parent may have read them long ago, and may never look (T6, T25)."""
        with self._lock:
            if self._is_forked:
                self._looked, self._taken = time.monotonic(), self._signature()
                # Without an engine of its own it judges nothing yet.
                self._is_forked = isinstance(self._reload_or_log(), AuditError)

    def _reload_or_log(self, is_settled: bool = False) -> Optional[Exception]:
        failed, refused = None, ""
        try:
            self._reload(is_settled)
        except Exception as error:
            failed, refused = error, f"{type(error).__name__}: {error}"
            if refused != self._refused:
                _log.error("what changed was refused, and what was in force stays: %s", error)
        self._refused = refused
        return failed

    def ssl_context(self, server_side: bool = True, *, to: Optional[str] = None, port: Optional[int] = None) -> ssl.SSLContext:
        """A context for this workload's own servers, or, with `server_side=False`, for calls to the workload `to` on `port`.

        TLS 1.3, no resumption, and no handshake ends well unless the other end proved itself: on a server as somebody, whom each
        request is then judged by; on a client as the workload that was called, by a flow that the policy permits.

        Keep it as long as you like: each connection that is made of it shows the SVID and trusts the bundles of then. All servers get the
        same one until these change, so change nothing of it. Of what is set on a context all the same only the ALPN outlives a change."""
        if server_side == (to is not None) or server_side == (port is not None):
            raise ValueError("`to` and `port` are said for calls, and only there")
        # Nobody shakes hands where the own SVID has ended, so that nothing would look afterwards.
        self.look()
        with self._lock:
            found = self._serves if to is None else None
            if found is None or found.state != self._state:
                found = self._context(to, port)
                if to is None:
                    self._serves = found
            return found

    def _context(self, to: Optional[str], port: Optional[int]) -> tls.Context:
        def current(held: tls.Context) -> tls.Context:
            # As above, where one context serves all connections: before each handshake.
            self.look()
            now = held.successor or held
            if now.state != self._state:
                with self._lock:
                    now = held.successor or held
                    if now.state != self._state:
                        now = self._context(to, port)
                        if held.protocols is not None:
                            now.set_alpn_protocols(held.protocols)
                        held.successor = now
            return now

        def prove(connection: Any) -> None:
            self.look()
            chain = tls.chain_of(connection)
            if to is not None and port is not None:
                call: Dict[str, Any] = {"me": self.me, "port": port, "to": to}
                connection.ztl_flow = self.engine.permit_flow(self.engine.prove(chain, **call), **call)
            elif isinstance(connection, ssl.SSLSocket):
                own = self._judge.port if self._judge.port is not None else connection.getsockname()[1]
                came: Dict[str, Any] = {"me": self.me, "port": own, "from_addr": tls.address(connection.getpeername()[0])}
                self.engine.permit_flow(self.engine.prove(chain, **came), **came)
            else:
                # Without a socket nobody knows the address: whether the flow is permitted is for the first request to say.
                self.engine.prove(chain, me=self.me, port=self._judge.port or 0)

        while True:
            # A change that a signal handler takes meanwhile makes another, and whole.
            state = self._state
            context = tls.context(to is None, prove)
            context.current, context.state = current, state
            with tls.as_files(*self._own) as (one, other):
                context.load_cert_chain(one, other, password="")
            for domain in self._bundles:
                tls.trusts(context, tls.authorities(self._contents["bundle", domain]))
            if state == self._state:
                return context

    def asgi(self, app: Any) -> Any:
        """An ASGI application that lets a request through to `app` only with a permit; see `ztl.asgi`."""
        from ztl.asgi import Guarded

        return Guarded(app, self)

    def wsgi(self, app: Any) -> Any:
        """A WSGI application that lets a request through to `app` only with a permit; see `ztl.wsgi`."""
        from ztl.wsgi import Guarded

        return Guarded(app, self)

    def watch(self, again: Callable[[], None]) -> Callable[[], None]:
        """Has `again` called after every change, until what this returns is called."""
        key = object()
        self._running[key] = again

        def stop() -> None:
            self._running.pop(key, None)

        return stop

    def connection(
        self, to: str, port: int, *, address: Any = None, timeout: float = 10.0, pass_on_authorization: bool = False
    ) -> Any:
        """A connection to another workload, as of `http.client`; see `ztl.client`."""
        from ztl.client import Connection

        return Connection(self, to, port, address=address, timeout=timeout, pass_on_authorization=pass_on_authorization)


def _afresh(held: "weakref.ref[Guard]") -> Callable[[], None]:
    def child() -> None:
        guard = held()
        if guard is not None:
            # Another thread of the parent may have held it, and no request of the parent runs here.
            guard._lock, guard._looking = threading.RLock(), threading.Lock()
            guard._running, guard._reading, guard._serves = {}, False, None
            # Nor does that thread end here what it began: what it was about to take is taken by the child itself.
            guard._taken, guard._once_more, guard._is_forked = (), False, True

    return child
