"""The question of src/core.rs, COUNT times, or another call: prints what one takes. Runs in the folder with policy and certificates.

    decide.py NOW COUNT [nothing|decision|wide|proof|threads]

`nothing` is the shortest way there and back, `wide` the question with a field that is not ASCII, `proof` that of a chain that was proved
before, `threads` the wall time of proofs in two threads at once, which give Python's lock up meanwhile.
"""

import pathlib
import sys
import threading
import time

import ztl
from ztl._ztl import lack_name

now, count = map(int, sys.argv[1:3])
what = sys.argv[3] if len(sys.argv) > 3 else "decision"
engine = ztl.Engine.from_file("policy.toml")
engine.trust("prod.example", pathlib.Path("root.pem").read_bytes())
connection = {"me": "model-server", "port": 8443, "from_addr": "10.0.0.7", "now": now}
chain = [pathlib.Path("leaf.der").read_bytes()]
flow = engine.permit_flow(engine.prove(chain, **connection), **connection)
accept = "*/*; q=\u00e9".encode() if what == "wide" else b"*/*"
headers = [(b"host", b"model-server"), (b"accept", accept), (b"x-tenant", b"blue"), (b"x-tenant", b"")]


def ask(authorize=engine.authorize, flow=flow, headers=headers, now=now):
    for _ in range(count):
        authorize(flow, b"POST", b"/v1/models/llama/infer", headers, now=now)


def nothing(lack_name=lack_name):
    for _ in range(count):
        lack_name(0)


def proof(prove=engine.prove, chain=chain, connection=connection):
    for _ in range(count):
        prove(chain, **connection)


def threads():
    both = [threading.Thread(target=proof) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()


call, clock, times = {
    "decision": (ask, time.thread_time_ns, 1), "wide": (ask, time.thread_time_ns, 1), "nothing": (nothing, time.thread_time_ns, 1),
    "proof": (proof, time.thread_time_ns, 1), "threads": (threads, time.perf_counter_ns, 2),
}[what]
start = clock()
call()
print((clock() - start) / count / times, "ns/op")
