"""What is raised. Nothing that is raised here ever means yes."""

from __future__ import annotations

import os

__all__ = [
    "ArgumentError", "AuditError", "BudgetError", "BundleError", "CrlError", "Denied", "InternalError", "KeysError", "PolicyError",
    "RawTargetUnavailable", "SvidError", "SystemFailure", "TokenError", "Unsupported", "ZtlError",
]


class ZtlError(Exception):
    """A call did not do what it says. `status` is the number that `ztl.h` gives it."""

    status: int = -2


class Denied(ZtlError):
    """A decision that says no. For the host's own log: nothing but `decision_id` may be told to the peer."""

    status = -1
    #: Why, as the audit calls it, but for `RawTargetUnavailable`.
    reason: str
    #: The last stage that was reached.
    stage: str
    #: The rule that decided; empty where none came near.
    rule: str
    #: The record in the audit, as 32 hexadecimal digits; empty where none is known.
    decision_id: str
    #: Which requirement of the rule that came nearest did not hold, as `token` or `scope`; empty where that was not why.
    lack: str

    def __init__(
        self, message: str = "denied", *, reason: str = "not_judged", stage: str = "none", rule: str = "", decision_id: str = "",
        lack: str = "",
    ) -> None:
        super().__init__(message)
        self.reason, self.stage, self.rule, self.decision_id, self.lack = reason, stage, rule, decision_id, lack


class RawTargetUnavailable(Denied):
    """The server does not say what stood on the wire, or something changed it since: what was judged would not be what is
    served (T9, T19). `reason` is `raw_target_unavailable`; the audit calls it `path_ambiguous`."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="raw_target_unavailable", stage="action")


class ArgumentError(ZtlError, ValueError):
    """An argument cannot be meant."""


class PolicyError(ZtlError):
    """The policy was refused; the one in force stays."""

    status = -4


class AuditError(ZtlError):
    """The audit file cannot be opened."""

    status = -5


class SystemFailure(ZtlError):
    """The operating system did not give what was needed."""

    status = -6


class InternalError(ZtlError):
    """A bug in ztl. The call was refused."""

    status = -7


class BundleError(ZtlError):
    """The bundle of a trust domain was refused; the one in force stays."""

    status = -8


class SvidError(ZtlError):
    """The own SVID was refused; the one in use stays."""

    status = -9


class KeysError(ZtlError):
    """An issuer of tokens, or its keys, were refused; what was in force stays."""

    status = -10


class TokenError(ZtlError):
    """A token was refused. Nothing is decided by that."""

    status = -11


class BudgetError(TokenError):
    """Too many bad tokens came from this caller, so that this one was not looked at (T34). Nothing is decided by that."""

    status = -14


class Unsupported(ZtlError):
    """This build of ztl does not have it."""

    status = -12


class CrlError(ZtlError):
    """The revocation lists of a trust domain were refused; those in force stay."""

    status = -13


_KINDS: tuple[type[ZtlError], ...] = (
    Denied, ArgumentError, PolicyError, AuditError, SystemFailure, InternalError, BundleError, SvidError, KeysError, TokenError,
    Unsupported, CrlError, BudgetError,
)
_BY_STATUS: dict[int, type[ZtlError]] = {-3: ArgumentError, **{kind.status: kind for kind in _KINDS}}


def raised(status: int, message: str, **told: str) -> ZtlError:
    """The exception of a status; the native half calls it."""
    kind = _BY_STATUS.get(status, InternalError)
    if kind is AuditError and hasattr(os, "geteuid"):
        # A forked worker that gave up its rights opens the file once more, and as somebody else.
        message += f"; this process is the user {os.geteuid()}, who has to be able to write it"
    error = kind(message or f"ztl status {status}", **told)
    error.status = status
    return error
