"""ztl, an embeddable zero-trust library: prove each end, permit each flow, authorize each action, deny everything left unnamed.

    guard = ztl.Guard(
        "model-server",
        policy_file="policy.toml",
        certificate_file="svid.pem",
        key_file="svid.key",
        bundle_files={"prod.example": "prod.example.bundle.pem"},
        audit_file="audit.jsonl",
    )
    app = guard.asgi(app)    # or guard.wsgi(app): no request reaches the app without a permit
"""

from ztl._ztl import Claims, Decision, Engine, Flow, Peer, __version__
from ztl.errors import (
    ArgumentError, AuditError, BudgetError, BundleError, CrlError, Denied, InternalError, KeysError, PolicyError, RawTargetUnavailable,
    SvidError, SystemFailure, TokenError, Unsupported, ZtlError,
)
from ztl.guard import Guard, Issuer
from ztl.judge import Asked, Permit

__all__ = [
    "ArgumentError", "Asked", "AuditError", "BudgetError", "BundleError", "Claims", "CrlError", "Decision", "Denied", "Engine", "Flow",
    "Guard", "InternalError", "Issuer", "KeysError", "Peer", "Permit", "PolicyError", "RawTargetUnavailable", "SvidError", "SystemFailure",
    "TokenError", "Unsupported", "ZtlError", "__version__",
]
