"""The question of src/core.rs, COUNT times: prints what one takes. Runs in the folder with policy and certificates."""

import pathlib
import sys
import time

import ztl

now, count = map(int, sys.argv[1:])
engine = ztl.Engine.from_file("policy.toml")
engine.trust("prod.example", pathlib.Path("root.pem").read_bytes())
connection = {"me": "model-server", "port": 8443, "from_addr": "10.0.0.7", "now": now}
flow = engine.permit_flow(engine.prove([pathlib.Path("leaf.der").read_bytes()], **connection), **connection)
headers = [(b"host", b"model-server"), (b"accept", b"*/*"), (b"x-tenant", b"blue"), (b"x-tenant", b"")]


def ask(authorize=engine.authorize, flow=flow, headers=headers, now=now):
    for _ in range(count):
        authorize(flow, b"POST", b"/v1/models/llama/infer", headers, now=now)


start = time.thread_time_ns()
ask()
print((time.thread_time_ns() - start) / count, "ns/op")
