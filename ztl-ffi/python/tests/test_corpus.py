"""The questions that every language is asked."""

import pathlib
import unittest

import ztl

CORPUS = pathlib.Path(__file__).parents[2] / "tests" / "corpus"
NOW = 1_790_000_000


def answer(engine: ztl.Engine, line: str) -> str:
    caller, address, to, port, method, target, score, headers = (None if part == "-" else part for part in line.split("\t"))
    at = {"me": to, "port": int(port), "from_addr": address, "now": NOW}
    fields = [tuple(field.split("=", 1)) for field in headers.split("&")] if headers else []
    try:
        peer = None if caller is None else engine.assert_peer_dangerous(caller, "corpus", NOW + 3600)
        flow = engine.permit_flow(peer, **at)
        said = engine.authorize(flow, method, target, fields, trust_score=None if score is None else int(score), now=NOW)
        verdict = "permit"
    except ztl.Denied as denied:
        said, verdict = denied, "deny"
    return "\t".join((verdict, said.stage, said.reason, said.rule or "-"))


class Corpus(unittest.TestCase):
    def test_the_corpus_has_the_same_answers_here(self) -> None:
        engine = ztl.Engine((CORPUS / "policy.toml").read_bytes())
        requests, answers = ((CORPUS / name).read_text().splitlines() for name in ("requests.tsv", "answers.tsv"))
        self.assertEqual(len(requests), len(answers))
        self.assertGreater(len(requests), 200)
        for number, (request, wanted) in enumerate(zip(requests, answers), 1):
            self.assertEqual(answer(engine, request), wanted, f"line {number}: {request[:100]}")


if __name__ == "__main__":
    unittest.main()
