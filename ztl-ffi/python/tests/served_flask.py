"""The same, as an application of Flask's."""

import os

import ztl.wsgi
from flask import Flask, request

from served import guard

app = Flask(__name__)


@app.post("/v1/models/<model>/infer")
def infer(model):
    return {"model": model, "for": ztl.wsgi.peer_id(request.environ)}


@app.get("/v1/<path:path>")
def who(path):
    if request.query_string == b"worker":
        return str(os.getpid()), {"content-type": "text/plain"}
    seen = "".join(name for name in request.environ if "FORWARDED" in name)
    return ztl.wsgi.peer_id(request.environ) + seen, {"content-type": "text/plain"}


app.wsgi_app = guard.wsgi(app.wsgi_app)
