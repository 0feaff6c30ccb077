"""The engine: no argument, however hostile, is a permit, and a forked worker decides as its parent did."""

import json
import os
import pathlib
import re
import resource
import threading
import unittest

import ztl
from ztl._ztl import lack_name, reason_name

from world import NO_RULES, POLICY, World, spiffe

FAR = 2**40
NOW = 1_790_000_000
AT = {"me": "model-server", "port": 8443, "from_addr": "127.0.0.1", "now": NOW}


def flow_of(engine: ztl.Engine, name: str = "router") -> ztl.Flow:
    return engine.permit_flow(engine.assert_peer_dangerous(spiffe(name), "test", FAR), **AT)


class Verbs(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = ztl.Engine(POLICY)
        self.flow = flow_of(self.engine)

    def test_a_permit_says_by_which_rule(self) -> None:
        decision = self.engine.authorize(self.flow, "POST", "/v1/models/llama/infer", [("host", "x")], now=NOW)
        self.assertEqual((decision.rule, decision.reason, decision.stage), ("router-infers", "permitted", "action"))
        self.assertRegex(decision.decision_id, "^[0-9a-f]{32}$")
        self.assertEqual(self.flow.peer_id, spiffe("router"))

    def test_a_denial_is_an_exception_with_its_reason(self) -> None:
        for method, target, reason in (
            ("POST", "/v1/models/llama/tune", "no_action_permitted"),
            ("get", "/v1/who", "no_action_permitted"),
            ("GET", "/v1/../v1/who", "path_ambiguous"),
            ("GET", b"/v1/%00who", "path_ambiguous"),
            ("GET", b"/v1/\xff", "path_ambiguous"),
            ("GET", "/" * 1_000_000, "path_ambiguous"),
            ("G" * 1_000_000, "/v1/who", "no_action_permitted"),
        ):
            with self.assertRaises(ztl.Denied) as caught:
                self.engine.authorize(self.flow, method, target, now=NOW)
            self.assertEqual((caught.exception.reason, caught.exception.status), (reason, -1), target[:20])
            self.assertRegex(caught.exception.decision_id, "^[0-9a-f]{32}$")
        for name, reason in (("stranger", "no_flow_permitted"), ("unknown", "no_flow_permitted")):
            with self.assertRaises(ztl.Denied) as caught:
                flow_of(self.engine, name)
            self.assertEqual(caught.exception.reason, reason)
        with self.assertRaises(ztl.Denied) as caught:
            self.engine.permit_flow(None, **AT)
        self.assertEqual(caught.exception.reason, "identity_unproven")

    def test_t8_hostile_arguments_are_never_a_permit(self) -> None:
        engine, flow, target = self.engine, self.flow, "/v1/who"
        wrong = [None, 1, 1.5, [], {}, object(), bytearray(b"GET"), "\ud800", memoryview(b"x"), lambda: None]
        calls = []
        for bad in wrong:
            calls += [
                lambda bad=bad: engine.authorize(bad, "GET", target, now=NOW),
                lambda bad=bad: engine.authorize(flow, bad, target, now=NOW),
                lambda bad=bad: engine.authorize(flow, "GET", bad, now=NOW),
                lambda bad=bad: engine.authorize(flow, "GET", target, [bad], now=NOW),
                lambda bad=bad: engine.authorize(flow, "GET", target, [(bad, b"x")], now=NOW),
                lambda bad=bad: engine.authorize(flow, "GET", target, [(b"x", bad)], now=NOW),
                lambda bad=bad: engine.prove([bad], **AT),
                lambda bad=bad: engine.prove(bad, **AT),
                lambda bad=bad: engine.permit_flow(bad, **AT),
                lambda bad=bad: engine.swap(bad),
                lambda bad=bad: ztl.Engine(bad),
            ]
        for bad in (-1, 2**64, "1", 1.5):
            calls += [lambda bad=bad: engine.authorize(flow, "GET", target, now=bad)]
        for bad in (-1, 101, 256, 2**32 + 100, "100"):
            calls += [lambda bad=bad: engine.authorize(flow, "GET", target, trust_score=bad, now=NOW)]
        other = ztl.Engine(POLICY)
        calls += [
            lambda: engine.authorize(flow, "GET", target, {"host": "x"}, now=NOW),
            lambda: engine.authorize(flow, "GET", target, ((b"x", b"y") for _ in iter(int, 1)), now=NOW),
            lambda: engine.authorize(flow, "GET", target, upgrade="websocket", now=NOW),
            lambda: engine.authorize(flow, "GET", target, claims="claims", now=NOW),
            lambda: engine.authorize_connect(flow, now=NOW),
            lambda: other.authorize(flow, "GET", target, now=NOW),
            lambda: other.permit_flow(engine.assert_peer_dangerous(spiffe("router"), "test", FAR), **AT),
            lambda: engine.prove([], **AT),
            lambda: engine.prove([b"\x30" * 1_000_000], **AT),
            lambda: engine.prove([b"x"] * 1000, **AT),
            lambda: engine.permit_flow(None, **AT, anonymous=True, to="model-server"),
            lambda: engine.permit_flow(None, **{**AT, "from_addr": "not an address"}),
            lambda: engine.permit_flow(None, **{**AT, "port": 65536}),
            lambda: engine.verify_token(flow, "a.b.c", now=NOW),
            lambda: ztl.Engine("allow = 'all'"),
            lambda: ztl.Engine(b"\xff"),
            lambda: ztl.Engine(""),
            lambda: ztl.Engine(POLICY, format="yaml"),
            lambda: ztl.Engine(POLICY, audit_file="/nowhere/at/all/audit"),
            lambda: ztl.Decision(),
            lambda: ztl.Flow(),
            lambda: ztl.Peer(),
        ]
        for number, call in enumerate(calls):
            # In its own statement: whatever comes back is a permit, so nothing may.
            with self.assertRaises((ztl.ZtlError, TypeError, ValueError, OverflowError, UnicodeError), msg=str(number)):
                call()
        self.assertEqual(engine.authorize(flow, "GET", target, now=NOW).reason, "permitted")

    def test_law_6_a_refusal_of_the_hosts_own_is_recorded_and_never_a_permit(self) -> None:
        refuse = self.engine.refuse
        for reason in ("path_ambiguous", "forwarded_untrusted", "authorizer_failed", "flow_withdrawn"):
            for request in ((), ("GET", "/v1/who"), (b"GET", b"*"), ("GET", "/v1/live", [("upgrade", "websocket")])):
                with self.assertRaises(ztl.Denied) as caught:
                    refuse(self.flow, reason, *request, now=NOW)
                self.assertEqual((caught.exception.reason, caught.exception.stage), (reason, "action"))
                self.assertRegex(caught.exception.decision_id, "^[0-9a-f]{32}$")
        for bad in ("permitted", "no_action_permitted", "other", "", "x"):
            with self.assertRaises(ValueError, msg=bad):
                refuse(self.flow, bad, "GET", "/v1/who", now=NOW)
        with self.assertRaises(ztl.ZtlError):
            ztl.Engine(POLICY).refuse(self.flow, "objected", now=NOW)

    def test_a_condition_is_asked_of_what_the_request_says(self) -> None:
        when = """[permit.require]
when = 'params.model == "llama" && trust_score > 30'
"""
        self.engine.swap(POLICY.replace('infer", "GET /v1/who", "GET /v1/live", "websocket /v1/socket"', "infer\"") + when)
        flow = flow_of(self.engine)
        ask = lambda model, score: self.engine.authorize(
            flow, "POST", f"/v1/models/{model}/infer", trust_score=score, now=NOW
        )
        self.assertEqual(ask("llama", 31).rule, "router-infers")
        for model, score, reason in (("llama", 30, "objected"), ("gpt", 99, "objected"), ("llama", None, "evidence_missing")):
            with self.assertRaises(ztl.Denied) as caught:
                ask(model, score)
            self.assertEqual(caught.exception.reason, reason)
        with self.assertRaisesRegex(ztl.PolicyError, "unknown name `parms`"):
            self.engine.swap(POLICY + when.replace("params", "parms"))

    def test_law_8_another_policy_is_in_force_at_once(self) -> None:
        self.engine.swap(NO_RULES)
        with self.assertRaises(ztl.Denied):
            self.engine.authorize(self.flow, "GET", "/v1/who", now=NOW)
        with self.assertRaises(ztl.PolicyError):
            self.engine.swap("allow = 'all'")
        self.engine.swap(POLICY)
        with self.assertRaises(ztl.Denied):
            self.engine.authorize(self.flow, "GET", "/v1/who", now=NOW - 86_400)

    def test_numbers_are_those_of_the_header(self) -> None:
        header = pathlib.Path(__file__).parents[2] / "include" / "ztl.h"
        found = re.findall(r"#define ZTL_REASON_(\w+) (\d+)", header.read_text())
        self.assertGreater(len(found), 20)
        for name, number in found:
            self.assertEqual(reason_name(int(number)), name.lower())
            # And the other way round: one that no host refuses for is known all the same.
            if name == "OTHER":
                continue
            with self.assertRaises((ztl.Denied, ztl.ArgumentError), msg=name):
                self.engine.refuse(self.flow, name.lower(), now=NOW)
        lacks = re.findall(r"#define ZTL_LACK_(\w+) (\d+)", header.read_text())
        self.assertGreater(len(lacks), 10)
        for name, number in lacks:
            self.assertEqual(lack_name(int(number)), "" if name == "NONE" else name.lower())
        for name, number in re.findall(r"#define ZTL_ERR_(\w+) (-\d+)", header.read_text()):
            error = ztl.errors.raised(int(number), "")
            self.assertEqual(error.status, int(number), name)

    def test_eight_threads_while_the_policy_changes(self) -> None:
        wrong, done = [], threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    self.engine.authorize(flow_of(self.engine), "POST", "/v1/models/m/tune", now=NOW)
                    wrong.append("permitted")
                except ztl.Denied:
                    pass
                except Exception as error:
                    wrong.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for at in range(100):
            self.engine.swap(POLICY + "\n" * at)
        done.set()
        for thread in threads:
            thread.join(20)
        self.assertEqual(wrong, [])


class Forked(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def test_t25_who_is_revoked_is_denied_by_the_guard_and_by_its_workers(self) -> None:
        path = self.world.path
        lists = self.world.authority.revokes((path / "router.pem").read_bytes())
        self.world.write("crl.pem", self.world.authority.revokes())
        guard = self.world.guard(crl_files={"prod.example": path / "crl.pem"})
        at = {key: value for key, value in AT.items() if key != "now"}
        chain, other = self.world.chain("router"), self.world.chain("stranger")

        def reason(chain: list[bytes]) -> str:
            try:
                return guard.engine.prove(chain, **at).id
            except ztl.Denied as error:
                return error.reason

        self.assertEqual(reason(chain), spiffe("router"))
        self.world.write("crl.pem", b"no list")
        with self.assertRaises(ztl.CrlError):
            guard.reload()
        self.assertEqual(reason(chain), spiffe("router"))
        self.world.write("crl.pem", lists)
        guard.reload()
        self.assertEqual([reason(chain), reason(other)], ["identity_revoked", spiffe("stranger")])
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            try:
                os.write(write, reason(chain).encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as said:
            self.assertEqual(said.read(), "identity_revoked")
        os.waitpid(child, 0)

    def test_workers_decide_as_their_parent_and_by_what_it_had_last(self) -> None:
        audit = self.world.path / "audit.jsonl"
        engine = ztl.Engine(NO_RULES, audit_file=audit)
        engine.trust("prod.example", self.world.authority.pem)
        engine.swap(POLICY)
        at = {key: value for key, value in AT.items() if key != "now"}
        chain = self.world.chain("router")
        workers = []
        for _ in range(8):
            read, write = os.pipe()
            child = os.fork()
            if child == 0:
                lines = []
                try:
                    for _ in range(50):
                        flow = engine.permit_flow(engine.prove(chain, **at), **at)
                        lines.append(engine.authorize(flow, "GET", "/v1/who").decision_id)
                        try:
                            engine.authorize(flow, "DELETE", "/v1/who")
                            lines = ["permitted"]
                            break
                        except ztl.Denied as denied:
                            lines.append(denied.decision_id)
                    os.write(write, "\n".join(lines).encode())
                finally:
                    os._exit(0)
            os.close(write)
            workers.append((child, read))
        ids = []
        for child, read in workers:
            with open(read) as pipe:
                ids += pipe.read().split()
            os.waitpid(child, 0)
        self.assertEqual((len(ids), len(set(ids))), (800, 800))
        recorded = [json.loads(line)["id"] for line in audit.read_text().splitlines() if line]
        self.assertLessEqual(set(ids), set(recorded))

    def test_who_cannot_write_the_audit_is_told_which_file_and_as_whom(self) -> None:
        with self.assertRaisesRegex(ztl.AuditError, f"nothing/audit.jsonl.* the user {os.geteuid()},"):
            ztl.Engine(POLICY, audit_file=self.world.path / "nothing" / "audit.jsonl")

    @unittest.skipUnless(os.geteuid() == 0, "only root may become somebody else")
    def test_law_6_a_worker_that_may_not_write_the_audit_permits_nothing(self) -> None:
        # gunicorn with `user =`: its master made the file, which nobody else may write.
        guard, asked = self.world.guard(audit_file=self.world.path / "audit.jsonl", check_every=5.0), self.world.asked()
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            try:
                os.setuid(65534)
                guard.judge(asked)
                os.write(write, b"permitted")
            except Exception as error:
                os.write(write, repr(error).encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as said:
            self.assertRegex(said.read(), "^AuditError.*audit.jsonl.* the user 65534,")
        os.waitpid(child, 0)

    def test_what_the_parent_permitted_is_not_the_childs(self) -> None:
        engine = ztl.Engine(POLICY)
        flow, peer = flow_of(engine), engine.assert_peer_dangerous(spiffe("router"), "test", FAR)
        child = os.fork()
        if child == 0:
            code = 9
            try:
                for use in (lambda: engine.authorize(flow, "GET", "/v1/who", now=NOW), lambda: engine.permit_flow(peer, **AT)):
                    try:
                        use()
                        code = 1
                        break
                    except ztl.ZtlError:
                        code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


class Growth(unittest.TestCase):
    def test_thousands_of_engines_and_ten_thousand_decisions_leave_nothing(self) -> None:
        def once() -> None:
            engine = ztl.Engine(POLICY)
            flow = flow_of(engine)
            for target in ("/v1/who", "/v1/nothing", "/v1/../x", "/v1/live"):
                try:
                    engine.authorize(flow, "GET", target, [(b"host", b"x")], now=NOW)
                except ztl.Denied:
                    pass

        cycles = int(os.environ.get("ZTL_CYCLES", "2500"))
        for _ in range(cycles // 5):
            once()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(cycles):
            once()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        self.assertLess(grown, 4096, f"grew by {grown} KiB")


if __name__ == "__main__":
    unittest.main()
