"""What a request brings beside its target: tokens, forwarded ids, a host. And what is answered where it is denied."""

import asyncio
import base64
import json
import time
import unittest
from typing import Any, Dict, List, Tuple
from unittest import mock
from urllib.parse import unquote

import ztl
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from ztl.judge import Judge

from world import POLICY, Authority, World, spiffe

TOKENS = """
[issuers.sso]
issuer = "https://sso.example"
audience = "model-server"
[[permit]]
name = "readers-read"
from = "router"
to = "model-server"
actions = ["GET /v1/secrets"]
[permit.require]
token = { issuer = "sso", scopes = ["read"] }
"""
#: The front passes anybody on, and a stranger is forbidden, whoever brings it.
PROXIES = """
[workloads.front]
id = "spiffe://prod.example/front"
forwards = "any"
forwards_in = "xfcc"
[[permit]]
name = "front-passes-on"
from = ["front", "router"]
to = "model-server"
actions = ["GET /v1/open"]
[[permit]]
name = "by-field"
from = ["front", "router"]
to = "model-server"
actions = ["GET /v1/field"]
require = { headers = { x-forwarded-client-cert = ["x"] } }
[[forbid]]
name = "no-stranger"
from = "stranger"
to = "model-server"
"""


def text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class Issuer:
    """Signs tokens with a key of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        x, y = (text(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        key = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": x, "y": y}
        self.jwks = json.dumps({"keys": [key]}).encode()

    def sign(self, **claims: Any) -> bytes:
        told = {
            "iss": "https://sso.example", "aud": "model-server", "sub": "ada", "client_id": "web", "iat": int(time.time()) - 5,
            "exp": int(time.time()) + 300, "jti": "1", "scope": "read", **claims,
        }
        parts = ({"alg": "ES256", "kid": "one", "typ": "at+jwt"}, told)
        signed = ".".join(text(json.dumps(part).encode()) for part in parts)
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}".encode()


async def shows(scope: Any, receive: Any, send: Any) -> None:
    """An application that says what headers it sees."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b" ".join(name for name, _ in scope["headers"])})


class Answers(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.svid("front", self.world.authority.issue(spiffe("front")))

    def ask(
        self, guard: ztl.Guard, path: str, *headers: Tuple[bytes, bytes], name: str = "router"
    ) -> Tuple[int, Dict[bytes, bytes], bytes]:
        """Status, fields and body, over ASGI."""
        sent: List[Any] = []

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        pem = (self.world.path / f"{name}.pem").read_text()
        shown = {"tls": {"client_cert_chain": [pem]}}
        raw, _, query = path.encode().partition(b"?")
        scope = self.world.scope(
            unquote(raw.decode()), raw_path=raw, query_string=query, headers=list(headers), extensions=shown
        )
        asyncio.run(guard.asgi(shows)(scope, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    def tokens(self, **more: Any) -> Tuple[ztl.Guard, Issuer]:
        issuer = Issuer()
        self.world.write("policy.toml", (POLICY + TOKENS).encode())
        self.world.write("sso.jwks", issuer.jwks)
        told = ztl.Issuer("sso", iss="https://sso.example", audience="model-server", jwks_file=self.world.path / "sso.jwks")
        return self.world.guard(issuers=[told], **more), issuer

    def test_who_lacks_a_token_is_told_to_bring_one(self) -> None:
        guard, issuer = self.tokens()
        bearer = lambda token: (b"authorization", b"Bearer " + token)
        good, bad = bearer(issuer.sign()), b'Bearer error="invalid_token"'
        for path, headers, status, challenge in (
            ("/v1/secrets", [good], 200, None),
            ("/v1/secrets", [], 401, b"Bearer"),
            ("/v1/secrets", [(b"authorization", b"Basic eDp5")], 401, b"Bearer"),
            ("/v1/secrets", [bearer(Issuer().sign())], 401, bad),
            ("/v1/secrets", [bearer(issuer.sign(exp=int(time.time()) - 3600))], 401, bad),
            ("/v1/secrets", [bearer(b"x")], 401, bad),
            ("/v1/secrets", [good, good], 401, bad),
            ("/v1/secrets?access_token=x", [good], 401, bad),
            ("/v1/secrets?page=2;Access%5fToken", [], 401, bad),
            ("/v1/secrets?page=access_token", [good], 200, None),
            ("/v1/secrets", [bearer(issuer.sign(scope="write"))], 403, b'Bearer error="insufficient_scope"'),
            # No token would mend these, and none is asked for.
            ("/v1/elsewhere", [bearer(Issuer().sign())], 403, None),
            ("/v1/elsewhere", [], 403, None),
            ("/v1/%2e%2e/x", [], 400, None),
        ):
            got, fields, _ = self.ask(guard, path, *headers)
            self.assertEqual((got, fields.get(b"www-authenticate")), (status, challenge), (path, headers))

    def test_t34_tokens_are_verified_where_a_rule_could_read_them_and_within_a_budget(self) -> None:
        guard, issuer = self.tokens()
        engine = mock.Mock(wraps=guard.engine)
        with mock.patch.object(guard._judge, "engine", engine):
            bad = (b"authorization", b"Bearer " + Issuer().sign())
            statuses = {self.ask(guard, "/v1/secrets", bad)[0] for _ in range(8)}
            self.assertEqual((statuses, engine.verify_token.call_count), ({401}, 8))
            self.world.write("policy.toml", POLICY.encode())
            guard.reload()
            self.assertEqual(self.ask(guard, "/v1/who", bad)[0], 200)
            self.assertEqual(engine.verify_token.call_count, 8)
        self.world.write("policy.toml", (POLICY + TOKENS).encode())
        guard.reload()
        good = (b"authorization", b"Bearer " + issuer.sign())
        self.assertEqual(self.ask(guard, "/v1/secrets", good)[0], 200)
        at = {"me": "model-server", "port": 8443, "from_addr": "127.0.0.1"}
        flow = guard.engine.permit_flow(guard.engine.prove(self.world.chain("router"), **at), **at)
        token, end = bad[1].partition(b" ")[2], time.monotonic() + 30
        with self.assertRaises(ztl.BudgetError):
            while time.monotonic() < end:
                try:
                    guard.engine.verify_token(flow, token)
                except ztl.BudgetError:
                    raise
                except ztl.TokenError:
                    pass
        status, fields, _ = self.ask(guard, "/v1/secrets", bad)
        self.assertEqual((status, fields.get(b"retry-after")), (429, b"1"))
        # Who spends it keeps no token out that was good before, and no other caller.
        self.assertEqual(self.ask(guard, "/v1/secrets", good)[0], 200)

    def test_t34_a_running_request_that_is_judged_again_spends_nothing_of_the_budget(self) -> None:
        guard, issuer = self.tokens()
        chain = {"chain": self.world.chain("router"), "address": "127.0.0.1"}
        bearer = lambda token: [(b"authorization", b"Bearer " + token)]
        good = ztl.Asked(b"GET", b"/v1/secrets", bearer(issuer.sign()), **chain)
        bad = ztl.Asked(b"GET", b"/v1/who", bearer(Issuer().sign()), **chain)
        engine = mock.Mock(wraps=guard.engine)
        with mock.patch.object(guard._judge, "engine", engine):
            permits = guard.judge(good), guard.judge(bad)
            self.assertEqual(engine.verify_token.call_count, 2)
            self.world.write("policy.toml", (POLICY + TOKENS + "\n").encode())
            guard.reload()
            permits = guard.judge(good, permits[0]), guard.judge(bad, permits[1])
            self.assertNotIn("laims", repr(permits[0]))
            # The issuer takes its key back: claims that are kept count no more, and nobody pays for that.
            other = Issuer()
            self.world.write("sso.jwks", other.jwks)
            guard.reload()
            for _ in range(300):
                with self.assertRaises(ztl.Denied) as caught:
                    guard.judge(good, permits[0])
                self.assertEqual((caught.exception.lack, type(caught.exception.__cause__)), ("token", ztl.TokenError))
                guard.judge(bad, permits[1])
            # Once more for each that is bad, since an issuer was told: it could be good by now.
            self.assertEqual(engine.verify_token.call_count, 3)
            # One that comes with another token than the permit was given for is looked at, and so is a token that nobody looked at yet.
            new = ztl.Asked(b"GET", b"/v1/secrets", bearer(other.sign()), **chain)
            self.assertEqual(guard.judge(new, permits[0]).peer_id, spiffe("router"))
            self.assertEqual(engine.verify_token.call_count, 4)
        self.assertEqual(self.ask(guard, "/v1/secrets", *bearer(other.sign(jti="2")))[0], 200)
        self.world.write("policy.toml", POLICY.encode())
        guard.reload()
        running = ztl.Asked(b"GET", b"/v1/who", bearer(other.sign(scope="read")), **chain)
        permit = guard.judge(running)
        asks = POLICY + 'require = { token = { issuer = "sso" } }\n' + TOKENS
        self.world.write("policy.toml", asks.encode())
        guard.reload()
        self.assertEqual(guard.judge(running, permit).decision.rule, "router-infers")

    def test_t12_a_token_is_looked_at_anew_once_its_issuer_is_told(self) -> None:
        guard, _ = self.tokens()
        evil = '[workloads.evil]\nid = "spiffe://prod.example/evil"\n[[forbid]]\nfrom = "evil"\nto = "model-server"\n'
        self.world.write("policy.toml", (POLICY + TOKENS + evil).encode())
        guard.reload()
        other = Issuer()
        bearer = [(b"authorization", b"Bearer " + other.sign(sub=spiffe("evil")))]
        running = ztl.Asked(b"GET", b"/v1/who", bearer, chain=self.world.chain("router"), address="127.0.0.1")
        permit = guard.judge(running)
        self.world.write("sso.jwks", other.jwks)
        guard.reload()
        with self.assertRaises(ztl.Denied) as caught:
            guard.judge(running, permit)
        self.assertEqual(caught.exception.reason, "forbidden")

    def test_t12_a_token_of_an_issuer_that_the_engine_was_told_itself_is_read(self) -> None:
        evil = '[workloads.evil]\nid = "spiffe://prod.example/evil"\n[[forbid]]\nfrom = "evil"\nto = "model-server"\n'
        self.world.write("policy.toml", (POLICY + TOKENS + evil).encode())
        guard, issuer = self.world.guard(), Issuer()
        bearer = [(b"authorization", b"Bearer " + issuer.sign(sub=spiffe("evil")))]
        running = ztl.Asked(b"GET", b"/v1/who", bearer, chain=self.world.chain("router"), address="127.0.0.1")
        permit = guard.judge(running)
        told = {"iss": "https://sso.example", "audience": "model-server"}
        for jwks in (Issuer().jwks, issuer.jwks):
            self.assertEqual(guard.judge(running, permit).peer_id, spiffe("router"))
            generation = guard.generation
            guard.engine.issuer("sso", jwks=jwks, **told)
            self.assertNotEqual(guard.generation, generation)
        for served in (permit, None):
            with self.assertRaises(ztl.Denied) as caught:
                guard.judge(running, served)
            self.assertEqual(caught.exception.reason, "forbidden")

    def test_t12_a_token_whose_time_has_come_is_looked_at_anew_within_a_minute(self) -> None:
        guard, issuer = self.tokens()
        # Accepted half a minute ahead, so in a moment.
        soon = int(time.time()) + 33
        bearer = [(b"authorization", b"Bearer " + issuer.sign(sub=spiffe("evil"), nbf=soon))]
        running = ztl.Asked(b"GET", b"/v1/who", bearer, chain=self.world.chain("router"), address="127.0.0.1")
        engine = mock.Mock(wraps=guard.engine)
        with mock.patch.object(guard._judge, "engine", engine):
            permit = guard.judge(running)
            evil = '[workloads.evil]\nid = "spiffe://prod.example/evil"\n[[forbid]]\nfrom = "evil"\nto = "model-server"\n'
            self.world.write("policy.toml", (POLICY + TOKENS + evil).encode())
            guard.reload()
            for _ in range(8):
                permit = guard.judge(running, permit)
            self.assertEqual(engine.verify_token.call_count, 1)
            # Nothing else may have it judged again.
            self.assertFalse(permit.is_over)
            with mock.patch("time.time", return_value=time.time() + 61):
                self.assertTrue(permit.is_over)
            time.sleep(max(0.0, soon - 30 - time.time()) + 0.1)
            with mock.patch("time.time", return_value=time.time() + 61), self.assertRaises(ztl.Denied) as caught:
                guard.judge(running, permit)
            self.assertEqual((caught.exception.reason, engine.verify_token.call_count), ("forbidden", 2))

    def test_t12_a_token_that_was_not_looked_at_for_the_budget_is_looked_at_later(self) -> None:
        evil = '[workloads.evil]\nid = "spiffe://prod.example/evil"\n[[forbid]]\nfrom = "evil"\nto = "model-server"\n'
        spent = ztl.BudgetError("spent")
        for bad_before in (False, True):
            guard, issuer = self.tokens()
            self.world.write("policy.toml", (POLICY + TOKENS + evil).encode())
            guard.reload()
            other = Issuer() if bad_before else issuer
            bearer = [(b"authorization", b"Bearer " + other.sign(sub=spiffe("evil")))]
            running = ztl.Asked(b"GET", b"/v1/who", bearer, chain=self.world.chain("router"), address="127.0.0.1")
            engine, now = mock.Mock(wraps=guard.engine), time.time()
            engine.verify_token.side_effect = [mock.DEFAULT, spent, spent, mock.DEFAULT] if bad_before else [spent, spent, mock.DEFAULT]
            with mock.patch.object(guard._judge, "engine", engine), mock.patch("time.time", return_value=now) as clock:
                permit = guard.judge(running)
                if bad_before:
                    # Its issuer is told: it would be looked at.
                    self.assertFalse(permit.is_over)
                    self.world.write("sso.jwks", other.jwks)
                    guard.reload()
                    permit = guard.judge(running, permit)
                for later in (1, 2):
                    self.assertFalse(permit.is_over)
                    clock.return_value = now + later
                    self.assertTrue(permit.is_over)
                    if later == 1:
                        permit = guard.judge(running, permit)
                with self.assertRaises(ztl.Denied) as caught:
                    guard.judge(running, permit)
            self.assertEqual((caught.exception.reason, engine.verify_token.call_count), ("forbidden", 4 if bad_before else 3))

    def test_t34_a_running_request_with_a_bad_token_is_counted_once_a_minute(self) -> None:
        guard, _ = self.tokens()
        bearer = [(b"authorization", b"Bearer " + Issuer().sign())]
        running = ztl.Asked(b"GET", b"/v1/who", bearer, chain=self.world.chain("router"), address="127.0.0.1")
        engine, now = mock.Mock(wraps=guard.engine), time.time()
        with mock.patch.object(guard._judge, "engine", engine):
            permit = guard.judge(running)
            # The last as if the clock on the wall was set back.
            for later, looks in ((59, 1), (61, 2), (62, 2), (120, 2), (122, 3), (100, 4), (101, 4)):
                with mock.patch("time.time", return_value=now + later):
                    permit = guard.judge(running, permit)
                self.assertEqual(engine.verify_token.call_count, looks, later)

    def test_law_8_who_is_proved_while_that_changes_is_proved_once_more(self) -> None:
        guard, _ = self.tokens()
        running = ztl.Asked(b"GET", b"/v1/who", [], chain=self.world.chain("router"), address="127.0.0.1")
        changed = ztl.Denied("proved by what is no longer in force", reason="identity_expired", stage="identity")
        for met, proofs in (([mock.DEFAULT], 1), ([changed, mock.DEFAULT], 2), ([changed, changed], 2)):
            engine = mock.Mock(wraps=guard.engine)
            engine.permit_flow.side_effect = met
            with mock.patch.object(guard._judge, "engine", engine):
                if met[-1] is changed:
                    self.assertRaises(ztl.Denied, guard.judge, running)
                else:
                    self.assertEqual(guard.judge(running).peer_id, spiffe("router"))
            self.assertEqual(engine.prove.call_count, proofs)

    def test_t31_what_proves_is_changed_and_no_permitted_caller_is_recorded_as_denied(self) -> None:
        class Connection:
            get_unverified_chain = staticmethod(lambda: self.world.chain("router"))

        path = self.world.path
        self.world.write("crl.pem", self.world.authority.revokes())
        guard, issuer = self.tokens(audit_file=str(path / "audit.jsonl"), crl_files={"prod.example": path / "crl.pem"})
        headers = [(b"authorization", b"Bearer " + issuer.sign())]
        asked = ztl.Asked(b"GET", b"/v1/secrets", headers, connection=Connection(), address="127.0.0.1")

        def denied() -> List[str]:
            self.assertEqual(guard.judge(asked).peer_id, spiffe("router"))
            lines = map(json.loads, (path / "audit.jsonl").read_text().splitlines())
            return [line["reason"] for line in lines if line["reason"] != "permitted"]

        self.assertEqual(denied(), [])
        self.world.write("crl.pem", self.world.authority.revokes() * 2)
        guard.reload()
        self.assertEqual(denied(), [])
        bundle = self.world.authority.pem
        self.world.write("bundle.pem", bundle + Authority().pem)
        guard.reload()
        self.assertEqual(denied(), [])
        # What proved the connection is over by the clock: it is not asked whether that still counts.
        engine = mock.Mock(wraps=guard.engine)
        with mock.patch.object(guard._judge, "engine", engine), mock.patch("ztl.judge.time.time", return_value=time.time() + 7200):
            self.assertEqual(denied(), [])
        self.assertEqual(engine.prove.call_count, 1)
        # A request that was on its way while they changed: one record, not two, and it is proved anew.
        self.world.write("bundle.pem", bundle + Authority().pem)
        with mock.patch.object(guard._judge, "forget"):
            guard.reload()
        self.assertEqual(denied(), ["flow_withdrawn"])
        self.assertEqual(denied(), ["flow_withdrawn"])

    def test_law_8_a_kept_connection_is_proved_anew_by_the_bundles_in_force(self) -> None:
        class Connection:
            get_unverified_chain = staticmethod(lambda: self.world.chain("router"))

        guard, issuer = self.tokens()
        headers = [(b"authorization", b"Bearer " + issuer.sign()), (b"forwarded", b"for=_x")]
        asked = ztl.Asked(b"GET", b"/v1/secrets", headers, connection=Connection(), address="127.0.0.1")
        self.assertEqual(guard.judge(asked).peer_id, spiffe("router"))
        self.world.write("bundle.pem", self.world.authority.pem + Authority().pem)
        guard.reload()
        self.assertEqual(guard.judge(asked).peer_id, spiffe("router"))
        self.world.write("bundle.pem", Authority().pem)
        with self.assertRaises(ztl.SvidError):
            guard.reload()
            # The own SVID did not change, and is looked at again when it does.
            self.world.svid("model-server", self.world.authority.issue(spiffe("model-server")))
            guard.reload()
        with self.assertRaises(ztl.Denied):
            guard.judge(asked)

    def test_t12_a_forwarded_id_is_judged_and_only_trusted_callers_pass_one_on(self) -> None:
        self.world.write("policy.toml", (POLICY + PROXIES).encode())
        guard = self.world.guard()
        xfcc = b"x-forwarded-client-cert"
        passed = lambda who, by="front": (xfcc, f"By={spiffe(by)};URI={spiffe(who)}".encode())
        router, stranger = passed("router"), passed("stranger")
        for name, headers, status, seen in (
            ("front", [router], 200, xfcc),
            ("front", [stranger], 403, None),
            ("front", [passed("router", by="router")], 403, None),
            ("front", [(xfcc, b"\xff")], 403, None),
            ("front", [(b"forwarded", b"for=_x"), (b"a", b"b")], 200, b"a"),
            ("front", [router, (b"X_Forwarded_Client_Cert", b"x")], 200, xfcc),
            ("router", [stranger, (b"a", b"b")], 200, b"a"),
            ("router", [(b"X-Forwarded_Client-Cert", b"x"), (b"FORWARDED", b"x")], 200, b""),
        ):
            got, _, body = self.ask(guard, "/v1/open", *headers, name=name)
            self.assertEqual((got, body if got == 200 else None), (status, seen), (name, headers))
        # Nor does a rule see what is hidden.
        self.assertEqual(self.ask(guard, "/v1/field", (xfcc, b"x"))[0], 403)

    def test_law_6_what_the_guard_denies_itself_is_recorded(self) -> None:
        scores: List[Any] = [lambda: 1 // 0, lambda: 101, lambda: 70.5, lambda: "70", lambda: 70]
        self.world.write("policy.toml", POLICY.encode() + b"require = { trust_score = 70 }\n")
        guard = self.world.guard(audit_file=str(self.world.path / "audit.jsonl"), trust_score=lambda *_: scores[0]())
        chain = {"chain": self.world.chain("router"), "address": "127.0.0.1"}
        good = ztl.Asked(b"GET", b"/v1/who", [], **chain)
        wrong = ztl.RawTargetUnavailable("changed")
        asked = [(good, "authorizer_failed")] * 4 + [
            (good, "permitted"),
            (ztl.Asked(b"GET", b"/v1/who", [(b"x", b"")] * 65_537, **chain), "path_ambiguous"),
            (ztl.Asked(b"GET", b"/v1/who", [], wrong=wrong, **chain), "path_ambiguous"),
            (ztl.Asked(b"GET", b"*", [], **chain), "path_ambiguous"),
            (ztl.Asked(b"GET", b"http://h/v1/who", [], **chain), "path_ambiguous"),
            (ztl.Asked(b"GET", b"/v1/who", [(b"forwarded", b"x")], fixed="it cannot be copied", **chain), "forwarded_untrusted"),
        ]
        for at, (one, reason) in enumerate(asked):
            scores = scores[at > 0 and len(scores) > 1:]
            try:
                got = guard.judge(one).decision.decision_id
            except ztl.Denied as denied:
                got = denied.decision_id
            recorded = self.world.records("audit.jsonl")
            self.assertEqual(len(recorded), at + 1)
            self.assertEqual((recorded[-1]["reason"], recorded[-1]["id"], recorded[-1]["peer"]), (reason, got, spiffe("router")), at)
        self.assertEqual((wrong.reason, wrong.stage), ("raw_target_unavailable", "action"))
        # Who is proved by nothing is no caller that a record could name.
        with self.assertRaises(ztl.Denied):
            guard.judge(ztl.Asked(b"GET", b"/v1/who", [], wrong=wrong))
        self.assertEqual(len(self.world.records("audit.jsonl")), len(asked))

    def test_t21_a_request_for_another_host_is_misdirected(self) -> None:
        self.world.write("policy.toml", POLICY.replace("ports = [8443]", 'ports = [8443]\nhosts = ["models.example"]').encode())
        guard = self.world.guard()
        for host, status in ((b"models.example:8443", 200), (b"model-server", 200), (b"other.example", 421), (None, 421)):
            got, _, _ = self.ask(guard, "/v1/who", *([] if host is None else [(b"host", host)]))
            self.assertEqual(got, status, host)


class WhatIsGathered(unittest.TestCase):
    """A policy that comes in while a request is judged reads what the one before it did not (T12)."""

    def judged(self, *reads: Any) -> Tuple[Any, List[Any]]:
        engine, flow, scores = mock.Mock(), mock.Mock(peer_id=spiffe("router")), []
        engine.reads.side_effect, engine.told.return_value = reads, 0
        engine.authorize.side_effect = lambda *_, trust_score, **__: scores.append(trust_score) or mock.Mock(expires_at=None)
        judge = Judge(engine, "model-server", 8443, lambda *_: 70)
        with mock.patch.object(judge, "_prove", return_value=flow):
            permit = judge.judge(ztl.Asked(b"GET", b"/", [(b"forwarded", b"for=a")]))
        return permit, scores

    def test_t12_what_a_new_policy_reads_is_gathered_and_judged(self) -> None:
        self.assertEqual(self.judged((), ())[1], [None])
        permit, scores = self.judged({"forwarded"}, {"trust_score", "forwarded"}, {"trust_score", "forwarded"})
        self.assertEqual((scores, permit.passes), ([None, 70], {"forwarded"}))
        # What was read before and no longer is makes no new judgement; a field that was and no longer is does.
        self.assertEqual(self.judged({"trust_score"}, ())[1], [70])
        permit, scores = self.judged({"trust_score", "forwarded"}, (), ())
        self.assertEqual((scores, permit.passes), ([70, 70], set()))
        permit, scores = self.judged((), {"forwarded"}, {"forwarded"})
        self.assertEqual((scores, permit.passes), ([None, None], {"forwarded"}))

    def test_a_denial_of_the_flow_is_left_to_the_request(self) -> None:
        denied = ztl.Denied("no", reason="no_flow_permitted", stage="flow")
        self.assertEqual(self.judged(denied, {"trust_score"}, {"trust_score"})[1], [None, 70])
        # A policy that never stays as it is permits nothing.
        with self.assertRaisesRegex(ztl.Denied, "as often as"):
            self.judged(*[{"forwarded"}, ()] * 20)
        with self.assertRaisesRegex(ztl.Denied, "as often as"):
            self.judged(*[denied] * 40)

    def test_law_8_a_caller_whose_proof_is_withdrawn_under_the_judgement_is_proved_once_more(self) -> None:
        gone = ztl.Denied("gone", reason="flow_withdrawn", stage="flow")
        told = ztl.Denied("told", reason="flow_withdrawn", stage="flow", decision_id="1" * 32)
        flow, permit = mock.Mock(peer_id=spiffe("router")), mock.Mock(expires_at=None)
        for proved, reads, decided, raised in (
            ([flow, flow], [gone, (), ()], [permit], None),
            ([gone, flow], [(), ()], [permit], None),
            ([gone, gone], [], [], gone),
            # Where nothing proves it anew the denial is that of the request, whose record says what was asked.
            ([flow, flow], [gone, gone], [told], told),
        ):
            engine = mock.Mock()
            engine.reads.side_effect, engine.authorize.side_effect, engine.told.return_value = reads, decided, 0
            judge = Judge(engine, "model-server", 8443, lambda *_: 70)
            with mock.patch.object(judge, "_prove", side_effect=proved) as proves:
                try:
                    got: Any = judge.judge(ztl.Asked(b"GET", b"/", [])).decision
                except ztl.Denied as denied:
                    got = denied
            self.assertIs(got, raised or permit)
            self.assertEqual((proves.call_count, engine.authorize.call_count), (2, len(decided)))


if __name__ == "__main__":
    unittest.main()
