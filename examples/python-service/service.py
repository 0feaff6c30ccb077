"""The model server of five-workloads, in Python: who may infer and who may swap a model stands in the policy, and not here."""

import os
import sys

import ztl
import ztl.asgi
import ztl.uvicorn
from fastapi import FastAPI, Request

folder, policy, host, port = sys.argv[1:]
guard = ztl.Guard(
    "model-server",
    policy_file=policy,
    certificate_file=f"{folder}/model-server.pem",
    key_file=f"{folder}/model-server.key",
    bundle_files={"prod.example": f"{folder}/bundle.pem"},
    audit_file=f"{folder}/audit.jsonl",
)
app = FastAPI()
models = {"llama": "weights of the first release"}


@app.post("/v1/models/{model}/infer")
async def infer(model: str, request: Request) -> dict[str, str]:
    return {"model": models.get(model, "unknown"), "for": ztl.asgi.peer_id(request.scope)}


@app.put("/v1/models/{model}")
async def swap(model: str, request: Request) -> dict[str, str]:
    models[model] = "weights of another release"
    return {"swapped": model, "by": ztl.asgi.peer_id(request.scope)}


if __name__ == "__main__":
    print("serving", os.getpid(), flush=True)
    ztl.uvicorn.run(guard, app, host=host, port=int(port), log_level="warning")
