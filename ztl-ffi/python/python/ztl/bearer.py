"""The bearer token of a request, and what it came to."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from ztl._ztl import Claims, Engine, Flow
from ztl.errors import BudgetError, TokenError

Fields = Sequence[Tuple[bytes, bytes]]


class Token:
    """The token of one request, which is found bad at most once, however often the request is judged: one that ended, or whose key
    was taken back, would else spend the budget of all who come through the same caller, at each change (T34). Claims that are kept
    count for nothing more once they have ended or their key is gone: the engine sees to that. A bad one is looked at anew only where
    an issuer was told since, for a rule may forbid whom it names by now (T12)."""

    def __init__(self, headers: Fields) -> None:
        self._headers = headers
        #: How many issuers had been told when it was looked at; none before.
        self._issuers: Optional[int] = None
        self._claims: Optional[Claims] = None
        self._bad: Optional[TokenError] = None

    def is_of(self, headers: Fields) -> bool:
        """Whether a request with these header fields bears this one."""
        return headers is self._headers or _credentials(headers) == _credentials(self._headers)

    def claims(self, flow: Flow, engine: Engine, issuers: int) -> Optional[Claims]:
        """What it says; `None` where there is none, or a bad one. `issuers` is how many were told by now."""
        if self._claims is None and self._issuers != issuers:
            try:
                token = bearer(self._headers)
                self._claims = None if token is None else engine.verify_token(flow, token)
                self._bad = None
            except BudgetError as error:
                # Nothing was found out about it, so that it is not known.
                self._bad = error
                return None
            except TokenError as error:
                self._bad = error
            except ValueError as error:
                self._bad = TokenError(str(error))
            # Last: who has another thread judge the same request meanwhile finds no claims missing that are there.
            self._issuers = issuers
        return self._claims

    def refused(self) -> Optional[TokenError]:
        """What was wrong with it, where a rule did not take it; `None` where there was none."""
        if self._bad is not None or self._claims is None:
            return self._bad
        return TokenError("the rule asks for a token of somebody else, or for somebody else, or this one counts no more")


def bearer(headers: Fields) -> Optional[bytes]:
    """The request's token (RFC 6750 section 2.1). Two credentials are refused (T16)."""
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


def _credentials(headers: Fields) -> List[bytes]:
    return [value for name, value in headers if name.lower() == b"authorization"]
