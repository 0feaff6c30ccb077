"""The questions that every language is asked."""

import json
import os
import pathlib
import unittest
from typing import Any, Dict, List, Optional

import ztl

from test_answers import Issuer

CORPUS = pathlib.Path(__file__).parents[2] / "tests" / "corpus"
NOW = 1_790_000_000


class Asked:
    """An engine that is asked, in a folder with the certificates of those who show one."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.engine = ztl.Engine((CORPUS / "policy.toml").read_bytes())
        self.shown = (folder / "authority.pem").exists()
        if self.shown:
            for domain in ("prod.example", "old.example", "partner.example", "elsewhere.example"):
                self.engine.trust(domain, (folder / "authority.pem").read_bytes())
        self.issuer = Issuer()
        self.engine.issuer("corp", iss="https://login.corp.example", audience="corpus", jwks=self.issuer.jwks)
        self.tokens: Dict[str, bytes] = {}

    def peer(self, caller: str, how: Optional[str], **at: Any) -> ztl.Peer:
        if self.shown and (how == "egress" or caller.endswith("/gateway")):
            name = caller.removeprefix("spiffe://").replace("/", "_") + ".der"
            return self.engine.prove([(self.folder / name).read_bytes()], **at)
        return self.engine.assert_peer_dangerous(caller, "corpus", NOW + 3600)

    def claims(self, flow: ztl.Flow, claims: str) -> ztl.Claims:
        if claims not in self.tokens:
            told = {"scope": "", **json.loads(claims), "iat": NOW - 5, "exp": NOW + 300}
            self.tokens[claims] = self.issuer.sign(**told)
        return self.engine.verify_token(flow, self.tokens[claims], now=NOW)

    def answer(self, line: str) -> str:
        parts = line.split("\t") + ["-", "-"]
        caller, address, to, port, method, target, score, headers, how, claims = (
            None if part == "-" else part for part in parts[:10]
        )
        me, _, called = to.partition(">")
        at = {"me": me, "port": int(port), "from_addr": address, "to": called or None, "now": NOW}
        fields = [tuple(field.split("=", 1)) for field in headers.split("&")] if headers else []
        trust_score = None if score is None else int(score)
        try:
            peer = None if caller is None else self.peer(caller, how, **at)
            flow = self.engine.permit_flow(peer, anonymous=how == "public", **at)
            if how == "connect":
                said: Any = self.engine.authorize_connect(flow, trust_score=trust_score, now=NOW)
            else:
                shown = None if claims is None else self.claims(flow, claims)
                said = self.engine.authorize(flow, method, target, fields, trust_score=trust_score, claims=shown, now=NOW)
            verdict = "permit"
        except ztl.Denied as denied:
            said, verdict = denied, "deny"
        return "\t".join((verdict, said.stage, said.reason, said.rule or "-"))


class Corpus(unittest.TestCase):
    def is_answered(self, folder: pathlib.Path, least: int) -> None:
        asked = Asked(folder)
        requests, answers = ((folder / name).read_text().splitlines() for name in ("requests.tsv", "answers.tsv"))
        self.assertEqual(len(requests), len(answers))
        others: List[str] = []
        for number, (request, wanted) in enumerate(zip(requests, answers), 1):
            parts = request.split("\t")
            # Raw bytes bring no token here.
            if parts[8:9] == ["connect"] and parts[9] != "-":
                continue
            answer = asked.answer(request)
            if answer != wanted:
                others.append(f"line {number}: {request[:200]}\n got {answer}\nwant {wanted}")
            least -= 1
        self.assertFalse(others, "\n".join(others[:10]))
        self.assertLessEqual(least, 0, "fewer were asked")

    def test_the_corpus_has_the_same_answers_here(self) -> None:
        self.is_answered(CORPUS, 200)

    @unittest.skipUnless("ZTL_CORPUS" in os.environ, "ZTL_CORPUS names no folder of questions: see ../../tests/corpus/README.md")
    def test_ten_thousand_questions_have_the_same_answers_here(self) -> None:
        self.is_answered(pathlib.Path(os.environ["ZTL_CORPUS"]), 9500)


if __name__ == "__main__":
    unittest.main()
