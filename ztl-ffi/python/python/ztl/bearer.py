"""The bearer token of a request, and what it came to."""

from __future__ import annotations

import hmac
import re
import time
from contextvars import ContextVar
from typing import Iterable, List, Optional, Sequence, Tuple
from urllib.parse import unquote_to_bytes

from ztl._ztl import Claims, Engine, Flow
from ztl.errors import BudgetError, TokenError

Fields = Sequence[Tuple[bytes, bytes]]

#: How long a bad token is taken for bad, in seconds, while no issuer is told: one whose time has not come is good a little later.
_BAD_FOR = 60.0
#: After how long one is looked at that was not, for its caller's budget was spent, in seconds.
_LOOK_AGAIN = 1.0
#: The credentials that the request shows which was judged last in this context: of a handler, the one that it serves.
_SHOWN: "ContextVar[Tuple[bytes, ...]]" = ContextVar("ztl.shown", default=())


class Token:
    """The token of one request, however often that is judged. A good one is verified once: one that ended, or whose key was taken back,
    would else spend the budget of all who come through the same caller, at each change (T34). The engine holds its claims against what is
    in force: they are none once their key is gone, and stale once they have ended, which only denies more, for whom they name stays
    forbidden. A bad one is looked at anew once an issuer was told, and else at most once a minute: a rule may forbid whom it names by now
    (T12). One that nobody looked at, for the budget was spent, is not known, and looked at each time."""

    def __init__(self, headers: Fields, target: bytes) -> None:
        self._headers, self._target = headers, target
        #: How many issuers had been told when it was looked at, and when that was; none before.
        self._looked: Optional[Tuple[int, float]] = None
        self._claims: Optional[Claims] = None
        self._bad: Optional[TokenError] = None

    def is_of(self, headers: Fields, target: bytes) -> bool:
        """Whether a request with these header fields, for this raw target, bears this one."""
        if _in_query(target) != _in_query(self._target):
            return False
        return headers is self._headers or _credentials(headers) == _credentials(self._headers)

    def claims(self, flow: Flow, engine: Engine, issuers: int) -> Tuple[Optional[Claims], Optional[float]]:
        """What it says; `None` where there is none, or a bad one. And when to ask again, where nobody looked at it now: it was bad, or the
        budget is spent. `issuers` is how many were told by now."""
        again = None
        if self._claims is None and self._is_unknown(issuers):
            looked = issuers, time.time()
            try:
                token = bearer(self._headers, self._target)
                self._claims = None if token is None else engine.verify_token(flow, token)
                self._bad = None
            except BudgetError as error:
                # Nothing was found out about it, so that it is not known: whom it names may be forbidden (T12).
                self._bad, self._looked = error, None
                return None, looked[1] + _LOOK_AGAIN
            except TokenError as error:
                self._bad = error
            except ValueError as error:
                self._bad = TokenError(str(error))
            # Last: who has another thread judge the same request meanwhile finds no claims missing that are there.
            self._looked = looked
        elif self._claims is None and self._bad is not None and self._looked is not None:
            again = self._looked[1] + _BAD_FOR
        return self._claims, again

    def _is_unknown(self, issuers: int) -> bool:
        """Whether nobody looked at it since an issuer was told, nor within a minute by the clock on the wall, which may be set back."""
        if self._looked is None:
            return True
        told, then = self._looked
        return told != issuers or not 0 <= time.time() - then < _BAD_FOR

    def refused(self) -> Optional[TokenError]:
        """What was wrong with it, where a rule did not take it; `None` where there was none."""
        if self._bad is not None or self._claims is None:
            return self._bad
        return TokenError("the rule asks for a token of somebody else, or for somebody else, or this one counts no more")


def bearer(headers: Fields, target: bytes) -> Optional[bytes]:
    """The request's token (RFC 6750 section 2.1). Two credentials are refused, and one in the query of the raw target (section 2.3) as
    well (T16)."""
    if _in_query(target):
        raise TokenError("the request has an access_token in its query: send it in the Authorization field, and there alone")
    given = _credentials(headers)
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


def came(headers: Fields) -> None:
    """Keeps in mind, for this context, what a request shows that came in with these fields."""
    _SHOWN.set(tuple(_credential(value) for value in _credentials(headers)))


def is_shown(values: Iterable[bytes]) -> bool:
    """Whether one of these values of `Authorization` shows what the request shows that came in (T27)."""
    # In the same time wherever they differ: what a caller shows must not be a guess at a credential of ours.
    return any(hmac.compare_digest(_credential(value), shown) for value in values for shown in _SHOWN.get())


def _credential(value: bytes) -> bytes:
    """What a value shows without its scheme, which is written in any letter case, and without the blanks around it (RFC 9110 section
    11.4)."""
    value = value.strip(b" \t")
    _, *rest = re.split(b"[ \t]+", value, maxsplit=1)
    return rest[0] if rest else value


def _credentials(headers: Fields) -> List[bytes]:
    return [value for name, value in headers if name.lower() == b"authorization"]


def _in_query(target: bytes) -> bool:
    """Whether there is a parameter `access_token` as any reader of the query may see it: in any letter case, escaped or not, and after a
    semicolon too."""
    names = (parameter.partition(b"=")[0] for parameter in re.split(b"[&;]", target.partition(b"?")[2]))
    return any(unquote_to_bytes(name).lower() == b"access_token" for name in names)
