"""One request, judged: what every middleware asks, whatever server it runs in."""

from __future__ import annotations

import json
import operator
import time
import weakref
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple
from urllib.parse import unquote_to_bytes

from ztl import forwarded, tls
from ztl._ztl import Decision, Engine, Flow
from ztl.bearer import Fields, Token
from ztl.errors import BudgetError, Denied, RawTargetUnavailable, TokenError

_NOTHING: FrozenSet[str] = frozenset()
#: Of what `Engine.reads` says, what is not in the request or has to be proved first.
_GATHERED = frozenset({"token", "trust_score"})
#: How often a request is judged while the policy changes under the judgement, before it is refused.
_TRIES = 16


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
    #: Why it is denied whoever asks, such as that the server reads another path than stood on the wire: once it is known who does, so
    #: that it is recorded.
    wrong: Optional[Denied] = None
    #: Why no field can be taken away from it, where none can.
    fixed: Optional[str] = None
    #: Given those fields in which its caller is trusted to say whom it speaks for, `request` without the others of that kind, as
    #: `trust_score` sees it: nobody chooses whose score it gets. `None`: nothing is taken away.
    stripped: Optional[Callable[[FrozenSet[str]], Any]] = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Permit:
    """A request that is permitted, and whose it is."""

    peer_id: str
    decision: Decision
    #: Of the fields in which a proxy says whom it speaks for, those that the request has and this caller is trusted with. All others
    #: are to be taken away before anything else sees the request.
    passes: FrozenSet[str] = frozenset()
    #: What its token came to, for when it is judged again.
    token: Optional[Token] = field(default=None, repr=False, compare=False)
    #: From when on a token that nobody looked at is looked at again, since it was bad before or the budget spent: whom it names may be
    #: forbidden.
    looks_again: Optional[float] = field(default=None, repr=False, compare=False)

    @property
    def is_over(self) -> bool:
        """Whether it has to be asked for again, by the clock on the wall (T15)."""
        return _is_over(self.decision.expires_at) or _is_over(self.looks_again)


def _is_over(expires_at: Optional[float]) -> bool:
    return expires_at is not None and time.time() >= expires_at


class Judge:
    """Judges requests, and keeps what was proved of each connection."""

    def __init__(
        self, engine: Engine, me: str, port: Optional[int], trust_score: Optional[Callable[[Any, str], Optional[int]]]
    ) -> None:
        self.engine, self.me, self.port, self.trust_score = engine, me, port, trust_score
        self._flows: "weakref.WeakKeyDictionary[Any, Flow]" = weakref.WeakKeyDictionary()

    def judge(self, asked: Asked, served: Optional[Permit] = None) -> Permit:
        """The permit, or an exception: `Denied`, or what went wrong. `served` is that of a request that runs already."""
        kept = None if served is None else served.token
        token = kept if kept is not None and kept.is_of(asked.headers, asked.target) else Token(asked.headers, asked.target)
        try:
            return self._authorize(asked, self._known(asked) or self._prove(asked), served, token, anew=True)
        except Denied as denied:
            # Proved by what is no longer in force, maybe since a moment ago: once more, by what is.
            if denied.reason != "flow_withdrawn":
                raise
        return self._authorize(asked, self._prove(asked), served, token, anew=False)

    def forget(self) -> None:
        """Has every connection proved anew. After a change of what proves somebody the engine would deny, and record, each of the flows
        that are kept, of callers whose next request is permitted (T31)."""
        # Another, and not this one cleared: other threads look into it.
        self._flows = weakref.WeakKeyDictionary()

    def _known(self, asked: Asked) -> Optional[Flow]:
        """The flow of a connection that was proved, where what proved it has not ended by now."""
        flow = None if asked.connection is None else self._flows.get(asked.connection)
        return None if flow is None or _is_over(flow.expires_at) else flow

    def _prove(self, asked: Asked) -> Flow:
        chain = asked.chain if asked.connection is None else tls.chain_of(asked.connection)
        port = self.port if self.port is not None else asked.port
        if port is None:
            raise Denied("the port of this workload is not known: say `port`", reason="no_flow_permitted", stage="flow")
        at: Dict[str, Any] = {"me": self.me, "port": port, "from_addr": tls.address(asked.address)}
        peer = self.engine.prove(chain, **at)
        try:
            flow = self.engine.permit_flow(peer, **at)
        except Denied as denied:
            # What it was proved by changed since: it may be proved by what is in force now.
            if denied.reason not in ("identity_expired", "flow_withdrawn"):
                raise
            flow = self.engine.permit_flow(self.engine.prove(chain, **at), **at)
        if asked.connection is not None:
            self._flows[asked.connection] = flow
        return flow

    def _authorize(self, asked: Asked, flow: Flow, served: Optional[Permit], token: Token, anew: bool) -> Permit:
        """The permit on a flow. `anew` says that one that was withdrawn is proved anew."""
        if flow.peer_id is None:
            raise Denied("nobody is proved", reason="identity_unproven", stage="identity")
        if asked.wrong is not None:
            raise self._refused(asked, flow, "path_ambiguous", asked.wrong)
        said = forwarded.said_in(asked.headers)
        # The cheap question before the dear ones (T34).
        looks = bool(said) or self.engine.told() > 0 or self.trust_score is not None
        reads = self._reads(flow, anew) if looks else _NOTHING
        for _ in range(_TRIES):
            if said and reads is not None:
                self._check_passed(asked, flow, reads & said, served)
            decision, again = self._on(asked, flow, reads or _NOTHING, token)
            # Before and after: a policy that came in between may forbid by what was not gathered for it, or believe the caller in another
            # field (T12).
            after = self._reads(flow, anew) if looks else _NOTHING
            if reads is not None and after is not None and not (after - reads) & _GATHERED and after & said == reads & said:
                return Permit(flow.peer_id, decision, reads & said, token, again)
            reads = after if after is None or reads is None else after | (reads & _GATHERED)
        raise self._refused(asked, flow, "flow_withdrawn", Denied("the policy changed as often as the request was judged"))

    def _check_passed(self, asked: Asked, flow: Flow, passes: FrozenSet[str], served: Optional[Permit]) -> None:
        """Refuses whoever would be judged by another field than what serves the request sees (T12)."""
        if served is not None and served.passes != passes:
            # A forbid of whom it speaks for does not fire where that is read in no field any more, or was read in none.
            why = "whom the request speaks for is read elsewhere by now than when it was served"
        elif asked.fixed is not None and not all(forwarded.is_trusted(name, passes) for name, _ in asked.headers):
            why = asked.fixed
        else:
            return
        raise self._refused(asked, flow, "forwarded_untrusted", Denied(why))

    def _refused(self, asked: Asked, flow: Flow, reason: str, why: Denied) -> Denied:
        """Records that the request is denied here, and not by the engine (law 6); and what is raised for it."""
        try:
            self.engine.refuse(flow, reason, asked.method, asked.target, asked.headers, upgrade=asked.upgrade)
        except Denied as recorded:
            why.decision_id, why.stage = recorded.decision_id, recorded.stage
            if not isinstance(why, RawTargetUnavailable):
                why.reason = recorded.reason
        return why

    def _reads(self, flow: Flow, anew: bool) -> Optional[FrozenSet[str]]:
        """What a rule could read. `None` where the flow is denied: what is told is the denial of the request, which says what was asked.
        Where it was withdrawn, and is proved anew, that is raised: to authorize on it would only record the same twice (T31)."""
        try:
            return frozenset(self.engine.reads(flow))
        except Denied as denied:
            if anew and denied.reason == "flow_withdrawn":
                raise
            return None

    def _on(self, asked: Asked, flow: Flow, reads: FrozenSet[str], token: Token) -> Tuple[Decision, Optional[float]]:
        """The decision, and when the token is to be looked at again."""
        issuers, score = self.engine.told(), None
        takes = issuers > 0 and "token" in reads
        claims, again = token.claims(flow, self.engine, issuers) if takes else (None, None)
        if self.trust_score is not None and "trust_score" in reads:
            score = self._score(self.trust_score, asked, flow, reads)
        try:
            decision = self.engine.authorize(
                flow, asked.method, asked.target, asked.headers, upgrade=asked.upgrade, trust_score=score, claims=claims
            )
            return decision, again
        except Denied as denied:
            # A bad token is none: what asks for one denies, and that is recorded.
            if takes and denied.lack == "token":
                raise denied from token.refused()
            raise

    def _score(
        self, trust_score: Callable[[Any, str], Optional[int]], asked: Asked, flow: Flow, reads: FrozenSet[str]
    ) -> Optional[int]:
        try:
            request = asked.request
            if asked.stripped is not None and not all(forwarded.is_trusted(name, reads) for name, _ in asked.headers):
                request = asked.stripped(reads & forwarded.FIELDS)
            score = trust_score(request, flow.peer_id or "")
            if score is None or 0 <= operator.index(score) <= 100:
                return score
            raise ValueError(f"a score is 0 to 100, or None; `trust_score` gave {score}")
        except Exception as error:
            raise self._refused(asked, flow, "authorizer_failed", Denied("`trust_score` gave no score")) from error


def wrong_target(target: Optional[bytes], path: Optional[str], encoding: str = "utf-8") -> Optional[Denied]:
    """What is wrong with a request whose path, as the framework sees it, is not the one that stood on the wire (T9, T19)."""
    if not target or path is None:
        return RawTargetUnavailable("the server does not say what the raw target of the request was")
    raw = target.partition(b"?")[0]
    # One that is no path the engine refuses.
    if raw.startswith(b"/") and unquote_to_bytes(raw).decode(encoding, "replace") != path:
        return RawTargetUnavailable("the path of the request was changed before it was judged")
    return None


def is_beneath(path: str, root: str) -> bool:
    """Whether a path is a folder's, or one in it: `/api/x` is beneath `/api`, and `/apix` is not (T9, T19)."""
    return path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/")


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
