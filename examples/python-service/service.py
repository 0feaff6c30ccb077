"""The model server of five-workloads, in Python: who may infer and who may swap a model stands in the policy, and not here."""

import math
import re
import sys

import ztl
import ztl.asgi
import ztl.uvicorn
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel

folder, policy, host, port = sys.argv[1:]
guard = ztl.Guard(
    "model-server",
    policy_file=policy,
    certificate_file=f"{folder}/model-server.pem",
    key_file=f"{folder}/model-server.key",
    bundle_files={"prod.example": f"{folder}/bundle.pem"},
    audit_file=f"{folder}/model-server.jsonl",
)
app = FastAPI()
#: What a model says to everything; None says the passage that is most like the question.
models: dict[str, str | None] = {"tiny": None}


class Asked(BaseModel):
    question: str
    passages: list[str] = []


class Model(BaseModel):
    says: str


@app.post("/v1/models/{model}/infer")
async def infer(model: str, asked: Asked, request: Request) -> dict[str, str]:
    served(request)
    if model not in models:
        raise HTTPException(404)
    question = embed(asked.question)
    best = max(asked.passages, key=lambda passage: cosine(question, embed(passage)), default="I do not know.")
    return {"answer": models[model] or best}


@app.put("/v1/models/{model}")
async def swap(model: str, by: Model, request: Request) -> dict[str, str]:
    served(request)
    models[model] = by.says
    return {"swapped": model}


def served(request: Request) -> None:
    """Tells the log who was let in."""
    print("served", ztl.asgi.peer_id(request.scope), flush=True)


def embed(text: str) -> list[int]:
    """Counts each word of four letters or more into one of 64 dimensions."""
    vector = [0] * 64
    for word in re.findall(r"[^\W_]{4,}", text.lower()):
        hash = 0xCBF29CE484222325
        for byte in word.encode():
            hash = (hash ^ byte) * 0x100000001B3 % 2**64
        vector[hash % 64] += 1
    return vector


def cosine(one: list[int], two: list[int]) -> float:
    """How alike two vectors are, 0 where one of them has no length."""
    lengths = math.hypot(*one) * math.hypot(*two)
    return sum(a * b for a, b in zip(one, two)) / lengths if lengths else 0.0


if __name__ == "__main__":
    ztl.uvicorn.run(guard, app, host=host, port=int(port), log_level="warning")
