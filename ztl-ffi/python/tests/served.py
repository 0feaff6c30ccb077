"""What the servers of the tests serve: whoever gets here was permitted."""

import os
import pathlib

import ztl

folder = pathlib.Path(os.environ["WORLD"])
guard = ztl.Guard(
    "model-server", policy_file=folder / "policy.toml", certificate_file=folder / "model-server.pem",
    key_file=folder / "model-server.key", bundle_files={"prod.example": folder / "bundle.pem"}, port=8443,
    check_every=float(os.environ.get("CHECK_EVERY", "0.05")), on_denial=lambda error: None,
)


@guard.wsgi
def application(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    seen = "".join(name for name in environ if "FORWARDED" in name)
    if environ["QUERY_STRING"] == "worker":
        return [str(os.getpid()).encode()]
    return [(environ["ztl.permit"].peer_id + seen).encode()]


def ssl_context(config, default):
    """gunicorn's hook."""
    return guard.ssl_context()
