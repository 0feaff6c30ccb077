"""One request, judged: what every middleware asks, whatever server it runs in."""

from __future__ import annotations

import json
import time
import weakref
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple
from urllib.parse import unquote_to_bytes

from ztl import forwarded, tls
from ztl._ztl import Claims, Decision, Engine, Flow
from ztl.errors import BudgetError, Denied, RawTargetUnavailable, TokenError

Fields = Sequence[Tuple[bytes, bytes]]

_NOTHING: FrozenSet[str] = frozenset()
#: Of what `Engine.reads` says, what is not in the request or has to be proved first.
_GATHERED = frozenset({"token", "trust_score"})


@dataclass(frozen=True)
class Asked:
    """A request as it stood on the wire, and the connection that it came on."""

    method: bytes
    #: The raw request target: the path with its escapes, and the query. Never one that a framework has decoded.
    target: bytes
    headers: Fields
    #: The connection: an `ssl.SSLObject` or `ssl.SSLSocket`. `None` where the server only knows `chain`.
    connection: Optional[Any] = None
    #: The certificates that the caller showed, in DER, the leaf first; read from `connection` where that is there.
    chain: Sequence[bytes] = ()
    #: The address that the connection came from; `None`: unknown, which is in no zone.
    address: Optional[str] = None
    #: The port that it came to.
    port: Optional[int] = None
    #: The protocol that the connection is to become, where the headers do not say so.
    upgrade: Optional[bytes] = None
    #: What the server hands over, for `trust_score`.
    request: Any = field(default=None, repr=False)


@dataclass(frozen=True)
class Permit:
    """A request that is permitted, and whose it is."""

    peer_id: str
    decision: Decision
    #: Of the fields in which a proxy says whom it speaks for, those that this caller is trusted with. The others are to be taken
    #: away before anything else sees the request.
    passes: FrozenSet[str] = frozenset()

    @property
    def is_over(self) -> bool:
        """Whether it has to be asked for again, by the clock on the wall (T15)."""
        expires = self.decision.expires_at
        return expires is not None and time.time() >= expires


class Judge:
    """Judges requests, and keeps what was proved of each connection."""

    def __init__(
        self, engine: Engine, me: str, port: Optional[int], trust_score: Optional[Callable[[Any, str], Optional[int]]], tokens: bool
    ) -> None:
        self.engine, self.me, self.port, self.trust_score, self.tokens = engine, me, port, trust_score, tokens
        self._flows: "weakref.WeakKeyDictionary[Any, Flow]" = weakref.WeakKeyDictionary()

    def judge(self, asked: Asked) -> Permit:
        """The permit, or an exception: `Denied`, or what went wrong."""
        known = None if asked.connection is None else self._flows.get(asked.connection)
        flow = known or self._prove(asked)
        try:
            return self._authorize(asked, flow)
        except Denied as denied:
            # Proved by what is no longer in force: once more, by what is.
            if known is None or denied.reason != "flow_withdrawn":
                raise
        return self._authorize(asked, self._prove(asked))

    def _prove(self, asked: Asked) -> Flow:
        chain = asked.chain if asked.connection is None else tls.chain_of(asked.connection)
        port = self.port if self.port is not None else asked.port
        if port is None:
            raise Denied("the port of this workload is not known: say `port`", reason="no_flow_permitted", stage="flow")
        at: Dict[str, Any] = {"me": self.me, "port": port, "from_addr": tls.address(asked.address)}
        flow = self.engine.permit_flow(self.engine.prove(chain, **at), **at)
        if asked.connection is not None:
            self._flows[asked.connection] = flow
        return flow

    def _authorize(self, asked: Asked, flow: Flow) -> Permit:
        if flow.peer_id is None:
            raise Denied("nobody is proved", reason="identity_unproven", stage="identity")
        passes = forwarded.are_in(asked.headers)
        # The cheap question before the dear ones (T34).
        looks = passes or self.tokens or self.trust_score is not None
        reads = self._reads(flow) if looks else _NOTHING
        while True:
            decision = self._on(asked, flow, reads)
            # Before and after: the policy may have changed in between, and may forbid by what was not gathered for it (T12).
            after = self._reads(flow) if looks else _NOTHING
            if not (after - reads) & _GATHERED:
                return Permit(flow.peer_id, decision, reads & after & forwarded.FIELDS)
            reads = after | (reads & _GATHERED)

    def _reads(self, flow: Flow) -> FrozenSet[str]:
        """What a rule could read. Nothing where the flow is denied: what is told is the denial of the request, which says what was asked."""
        try:
            return frozenset(self.engine.reads(flow))
        except Denied:
            return _NOTHING

    def _on(self, asked: Asked, flow: Flow, reads: FrozenSet[str]) -> Decision:
        token, score = None, None
        if self.tokens and "token" in reads:
            token = _Token(asked.headers, flow, self.engine)
        if self.trust_score is not None and "trust_score" in reads:
            score = self.trust_score(asked.request, flow.peer_id or "")
        claims = None if token is None else token.claims
        try:
            return self.engine.authorize(
                flow, asked.method, asked.target, asked.headers, upgrade=asked.upgrade, trust_score=score, claims=claims
            )
        except Denied as denied:
            # A bad token is none: what asks for one denies, and that is recorded.
            if token is not None and denied.lack == "token":
                raise denied from token.refused()
            raise


class _Token:
    """What the token of a request came to."""

    def __init__(self, headers: Fields, flow: Flow, engine: Engine) -> None:
        self.claims: Optional[Claims] = None
        self.bad: Optional[TokenError] = None
        try:
            token = bearer(headers)
            self.claims = None if token is None else engine.verify_token(flow, token)
        except TokenError as error:
            self.bad = error
        except ValueError as error:
            self.bad = TokenError(str(error))

    def refused(self) -> Optional[TokenError]:
        """What was wrong with it, where a rule did not take it; `None` where there was none."""
        return self.bad or (None if self.claims is None else TokenError("the rule asks for a token of somebody else, or for somebody else"))


def bearer(headers: Fields) -> Optional[bytes]:
    """The request's token (RFC 6750 section 2.1). Two credentials are refused (T16)."""
    given = [value for name, value in headers if name.lower() == b"authorization"]
    if not given:
        return None
    if len(given) > 1:
        raise TokenError("the request has more than one Authorization field")
    scheme, _, token = given[0].partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    token = token.lstrip(b" ")
    if not token or any(byte in token for byte in b" ,\t"):
        raise TokenError("the Authorization field does not bear one token")
    return token


def check_target(target: Optional[bytes], path: Optional[str], encoding: str = "utf-8") -> None:
    """Refuses a request whose path, as the framework sees it, is not the one that stood on the wire (T9, T19)."""
    if not target or path is None:
        raise RawTargetUnavailable("the server does not say what the raw target of the request was")
    raw = target.partition(b"?")[0]
    if not raw.startswith(b"/"):
        raise Denied("the target is no path", reason="path_ambiguous", stage="action")
    if unquote_to_bytes(raw).decode(encoding, "replace") != path:
        raise RawTargetUnavailable("the path of the request was changed before it was judged")


def answer(error: BaseException, head: bool = False) -> Tuple[int, List[Tuple[str, str]], bytes]:
    """What a caller is told: that it is denied, and the id to ask the operator about (RFC 9457)."""
    status, more = _status(error)
    headers = [("content-type", "application/problem+json"), ("cache-control", "no-store"), *more]
    told: Dict[str, Any] = {"type": "about:blank", "title": status.phrase, "status": int(status)}
    if isinstance(error, Denied) and error.decision_id:
        told["decision"] = error.decision_id
    body = json.dumps(told, separators=(",", ":")).encode()
    headers.append(("content-length", str(len(body))))
    return int(status), headers, b"" if head else body


def _status(error: BaseException) -> Tuple[HTTPStatus, List[Tuple[str, str]]]:
    """The status, and what would have to be shown (RFC 6750 section 3)."""
    reason, lack = (error.reason, error.lack) if isinstance(error, Denied) else ("", "")
    bad = error if isinstance(error, TokenError) else error.__cause__
    if reason == "path_ambiguous":
        return HTTPStatus.BAD_REQUEST, []
    if reason == "misdirected":
        return HTTPStatus.MISDIRECTED_REQUEST, []
    if lack == "token" and isinstance(bad, BudgetError):
        # Nothing was found out about it (RFC 6585 section 4).
        return HTTPStatus.TOO_MANY_REQUESTS, [("retry-after", "1")]
    if lack == "token" or isinstance(error, TokenError):
        # Without any token no error code.
        return HTTPStatus.UNAUTHORIZED, [_challenge("invalid_token" if isinstance(bad, TokenError) else "")]
    if lack == "scope":
        return HTTPStatus.FORBIDDEN, [_challenge("insufficient_scope")]
    if lack == "mfa":
        # RFC 9470 section 3
        return HTTPStatus.UNAUTHORIZED, [_challenge("insufficient_user_authentication", ', acr_values="phrh phr"')]
    return HTTPStatus.FORBIDDEN, []


def _challenge(error: str, more: str = "") -> Tuple[str, str]:
    return "www-authenticate", f'Bearer error="{error}"{more}' if error else "Bearer"
