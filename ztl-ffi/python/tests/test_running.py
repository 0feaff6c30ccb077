"""Requests that run, and what ends them."""

import asyncio
import contextlib
import datetime
import threading
import time
import unittest
from typing import Any, List
from unittest import mock

import ztl
import ztl.asgi
from ztl.wsgi import Judged

from world import FOR_STRANGER, NO_RULES, POLICY, PROXY, World, until


class Stream(threading.Thread):
    """A request that runs over ASGI, alone at its guard."""

    def __init__(self, guard: ztl.Guard, app: Any, scope: Any) -> None:
        super().__init__(daemon=True)
        self._call, self.sent, self.ended = (guard.asgi(app), scope), [], None
        self.start()

    def run(self) -> None:
        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            self.sent.append(message)

        async def serve() -> None:
            app, scope = self._call
            try:
                await app(scope, receive, send)
            except Exception as error:
                self.ended = error
            # What the application does after that, if it lives.
            await asyncio.sleep(0.2)

        asyncio.run(serve())


async def forever(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


class Running(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def begun(self, guard: ztl.Guard, app: Any) -> Stream:
        running = Stream(guard, app, self.world.scope())
        self.assertTrue(until(lambda: bool(running.sent)))
        self.assertEqual(running.sent[0]["status"], 200)
        return running

    def test_law_8_a_stream_over_asgi_notices_a_changed_file_by_itself(self) -> None:
        guard = self.world.guard(check_every=0.05)
        running = self.begun(guard, forever)
        self.world.write("policy.toml", NO_RULES.encode())
        running.join(5)
        self.assertIsInstance(running.ended, ConnectionAbortedError)

    def test_law_8_what_the_host_puts_in_force_by_the_engine_ends_what_runs(self) -> None:
        lists = self.world.authority.revokes((self.world.path / "router.pem").read_bytes())
        for change, reason in (
            (lambda engine: engine.swap(NO_RULES), "no_flow_permitted"), (lambda engine: engine.trust("prod.example", None), "identity_unproven"),
            (lambda engine: engine.crls("prod.example", lists), "identity_revoked"),
        ):
            told: List[Any] = []
            guard, asked = self.world.guard(on_denial=told.append), self.world.asked()
            before, running = guard.generation, self.begun(guard, forever)
            parts = Judged(guard, asked, guard.judge(asked), before).serve(lambda *_: [b"1"], {}, lambda *_: None)
            with self.assertRaises(ztl.PolicyError):
                guard.engine.swap("allow = 'all'")
            self.assertEqual(guard.generation, before)
            change(guard.engine)
            running.join(1.5)
            self.assertIsInstance(running.ended, ConnectionAbortedError)
            with self.assertRaises(ztl.Denied):
                list(parts)
            self.assertEqual([error.reason for error in told], [reason] * 2)

    def test_law_8_a_response_over_wsgi_notices_a_changed_file_by_itself(self) -> None:
        guard = self.world.guard(check_every=0.05)
        asked = self.world.asked()
        parts = Judged(guard, asked, guard.judge(asked), guard.generation).serve(lambda *_: iter(lambda: b"part", b""), {}, lambda *_: None)
        response, judged = iter(parts), mock.Mock(wraps=guard.judge)
        self.assertEqual(next(response), b"part")
        self.world.write("policy.toml", NO_RULES.encode())
        end = time.monotonic() + 10
        with mock.patch.object(guard, "judge", judged), self.assertRaises(ztl.Denied):
            while time.monotonic() < end:
                next(response)
                threading.Event().wait(0.02)
        self.assertEqual(judged.call_count, 1)

    def test_t12_who_is_spoken_for_is_who_is_judged_again(self) -> None:
        # A policy that reads the field, and one that hides it: a forbid of whoever is in it does not fire there.
        for first, then, headers, ends in (
            (PROXY, POLICY, [FOR_STRANGER], True), (POLICY, PROXY, [FOR_STRANGER], True), (PROXY, PROXY + "\n", [FOR_STRANGER], False),
            (PROXY, POLICY, [], False),
        ):
            with self.subTest(first=first == PROXY, then=then == PROXY, said=bool(headers)):
                self.world.write("policy.toml", first.encode())
                audit = f"audit-{len(first)}-{len(then)}-{len(headers)}.jsonl"
                guard = self.world.guard(audit_file=str(self.world.path / audit))
                judged, asked = mock.Mock(wraps=guard.judge), self.world.asked(*headers)
                streaming = Stream(guard, forever, self.world.scope(headers=headers))
                self.assertTrue(until(lambda: bool(streaming.sent)))
                parts = Judged(guard, asked, guard.judge(asked), guard.generation).serve(lambda *_: [b"1", b"2"], {}, lambda *_: None)
                self.world.write("policy.toml", then.encode())
                with mock.patch.object(guard, "judge", judged):
                    guard.reload()
                    self.assertTrue(until(lambda: judged.call_count == 1, 5))
                    if ends:
                        streaming.join(5)
                        with self.assertRaises(ztl.Denied) as caught:
                            next(iter(parts))
                        self.assertEqual(caught.exception.reason, "forwarded_untrusted")
                        self.assertEqual([one["reason"] for one in self.world.records(audit)[2:]], ["forwarded_untrusted"] * 2)
                    else:
                        self.assertEqual(list(parts), [b"1", b"2"])
                self.assertEqual(isinstance(streaming.ended, ConnectionAbortedError), ends)
                self.world.write("policy.toml", NO_RULES.encode())
                guard.reload()
                streaming.join(5)

    def test_t14_no_server_is_handed_a_large_body_at_once(self) -> None:
        for size in (0, 1, 65_535, 65_536, 65_537, 131_072, 200_000):
            body = bytes(at % 251 for at in range(size))

            async def large(scope: Any, receive: Any, send: Any) -> None:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": body, "more_body": True})
                await send({"type": "http.response.body", "body": body})

            running = self.begun(self.world.guard(), large)
            running.join(10)
            parts = running.sent[1:]
            self.assertEqual(b"".join(part["body"] for part in parts), body * 2)
            self.assertLessEqual(max(len(part["body"]) for part in parts), 65_536)
            ends = [part.get("more_body", False) for part in parts]
            self.assertEqual(ends, [True] * (len(parts) - 1) + [False], size)

    def test_t14_a_response_that_is_cut_takes_what_the_server_holds_of_it_along(self) -> None:
        async def silent(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.Event().wait()

        for app, aborts in ((forever, 1), (silent, 0)):
            guard, abort = self.world.guard(), mock.Mock()
            scope = self.world.scope()
            scope["extensions"] = {**scope["extensions"], ztl.asgi.ABORT: abort}
            running = Stream(guard, app, scope)
            self.assertTrue(until(lambda: bool(running.sent) or app is silent and bool(guard._running)))
            self.world.write("policy.toml", NO_RULES.encode())
            guard.reload()
            running.join(5)
            # Where nothing was begun the server has an answer of its own to give.
            self.assertEqual((type(running.ended), abort.call_count), (ConnectionAbortedError, aborts))
            self.world.write("policy.toml", POLICY.encode())

    def test_law_6_a_denial_is_told_where_the_connection_cannot_be_ended_any_more(self) -> None:
        cancelled, told = threading.Event(), mock.Mock()

        async def ends(scope: Any, receive: Any, send: Any) -> None:
            try:
                await forever(scope, receive, send)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        guard, scope = self.world.guard(on_denial=told), self.world.scope()
        scope["extensions"] = {**scope["extensions"], ztl.asgi.ABORT: mock.Mock(side_effect=AttributeError("no _abort"))}
        running = Stream(guard, ends, scope)
        self.assertTrue(until(lambda: bool(running.sent)))
        self.world.write("policy.toml", NO_RULES.encode())
        guard.reload()
        running.join(5)
        self.assertEqual((type(running.ended), told.call_count), (ConnectionAbortedError, 1))
        self.assertIsInstance(told.call_args.args[0], ztl.Denied)
        self.assertTrue(cancelled.is_set())

    def test_two_who_send_at_once_do_not_mix_their_messages(self) -> None:
        large, refused = b"a" * 200_000, []

        async def two(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            first = asyncio.create_task(send({"type": "http.response.body", "body": large, "more_body": True}))
            await asyncio.sleep(0)
            await send({"type": "http.response.body", "body": b"end"})
            await first

        running = self.begun(self.world.guard(), two)
        running.join(10)
        self.assertIsNone(running.ended)
        self.assertEqual(b"".join(part["body"] for part in running.sent[1:]), large + b"end")
        self.assertEqual([part.get("more_body", False) for part in running.sent[1:]], [True] * 4 + [False])

        # Nor does anything go out of who still waits when it is cut.
        async def waits() -> List[Any]:
            sent, goes_on = [], asyncio.Event()

            async def slow(message: Any) -> None:
                sent.append(message)
                await goes_on.wait()

            line = ztl.asgi._Line(slow, slow, None)
            both = [asyncio.create_task(line.send({"type": "http.response.body", "body": body})) for body in (b"1", b"2")]
            await asyncio.sleep(0)
            line.cut()
            goes_on.set()
            refused.extend(await asyncio.gather(*both, return_exceptions=True))
            return sent

        self.assertEqual([message["body"] for message in asyncio.run(waits())], [b"1"])
        self.assertEqual(list(map(type, refused)), [type(None), ConnectionAbortedError])

    def test_t25_an_overdue_revocation_list_ends_what_runs(self) -> None:
        self.world.write("crl.pem", self.world.authority.revokes(lasts=datetime.timedelta(seconds=4)))
        guard = self.world.guard(crl_files={"prod.example": self.world.path / "crl.pem"})
        running = self.begun(guard, forever)
        running.join(10)
        self.assertIsInstance(running.ended, ConnectionAbortedError)

    def test_law_8_an_application_that_will_not_end_says_nothing_more(self) -> None:
        refused: List[OSError] = []
        end = time.monotonic() + 4

        async def stubborn(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while time.monotonic() < end:
                with contextlib.suppress(asyncio.CancelledError):
                    try:
                        await send({"type": "http.response.body", "body": b"x", "more_body": True})
                    except OSError as error:
                        refused.append(error)
                    await asyncio.sleep(0.01)

        guard = self.world.guard()
        running = self.begun(guard, stubborn)
        self.world.write("policy.toml", NO_RULES.encode())
        guard.reload()
        self.assertTrue(until(lambda: running.ended is not None, 3))
        self.assertIsInstance(running.ended, ConnectionAbortedError)
        sent = len(running.sent)
        running.join(20)
        self.assertEqual(len(running.sent), sent)
        self.assertGreater(len(refused), 1)

    def test_t23_the_end_of_a_permit_is_seen_on_the_wall_and_not_by_a_timer(self) -> None:
        guard = self.world.guard()
        judged = mock.Mock(wraps=guard.judge)
        with mock.patch.object(guard, "judge", judged):
            self.begun(guard, forever)
            self.assertEqual(judged.call_count, 1)
            # The machine slept two hours: no timer went on meanwhile, and the SVID that the permit rests on is over.
            with mock.patch("ztl.judge.time.time", return_value=time.time() + 7200):
                self.assertTrue(until(lambda: judged.call_count > 1, 5))
        self.world.write("policy.toml", NO_RULES.encode())
        guard.reload()

    def test_t19_what_the_application_does_to_its_headers_changes_nothing_that_is_judged(self) -> None:
        scope = self.world.scope()
        asked = ztl.asgi.read(scope)
        scope["headers"].append((b"authorization", b"Bearer x"))
        scope["headers"][0] = (b"host", b"y")
        self.assertEqual(tuple(asked.headers), ((b"host", b"x"),))

    def test_t15_the_second_way_out_of_wsgi_is_judged_as_well(self) -> None:
        guard, asked, out = self.world.guard(), self.world.asked(), []

        def writes(environ: Any, start_response: Any) -> Any:
            write = start_response("200 OK", [])
            write(b"1")
            self.world.write("policy.toml", NO_RULES.encode())
            guard.reload()
            for part in (b"2", b"3"):
                with self.assertRaises(ztl.Denied):
                    write(part)
            return [b"4"]

        judged = Judged(guard, asked, guard.judge(asked), guard.generation)
        with self.assertRaises(ztl.Denied):
            out.extend(judged.serve(writes, {}, lambda status, headers: out.append))
        self.assertEqual(out, [b"1"])


if __name__ == "__main__":
    unittest.main()
