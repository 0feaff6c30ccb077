"""What goes out to others of what came in."""

import asyncio
import importlib.util
import threading
import unittest
from typing import Any, List
from unittest import mock

import ztl
from ztl.bearer import came
from ztl.wsgi import Judged, _Response

from world import World

SHOWN = "Bearer a.b.c"
OWN = "Bearer d.e.f"


class Calls(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.guard, self.caller = self.world.guard(), self.world.guard("router", port=None)

    def sent(self, fields: Any, **how: Any) -> bytes:
        """What a request of ours with these fields says, in lower case, on a connection that leads nowhere."""
        connection = self.caller.connection("model-server", 8443, **how)

        def connect() -> None:
            at: Any = {"me": "router", "port": 8443, "to": "model-server"}
            engine = self.caller.engine
            connection.sock, connection._generation = mock.Mock(), self.caller.generation
            connection._flow = engine.permit_flow(engine.prove(self.world.chain("model-server"), **at), **at)

        with mock.patch.object(connection, "connect", connect):
            connection.putrequest("GET", "/v1/who")
            for name, *values in fields:
                connection.putheader(name, *values)
            connection.endheaders()
            return b"".join(call.args[0] for call in connection.sock.sendall.call_args_list).lower()

    def over_asgi(self, handler: Any, *headers: Any) -> Any:
        found: List[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            # As a handler that is not a coroutine is run, in a thread that has its context.
            found.extend((handler(), await asyncio.to_thread(handler)))

        asyncio.run(self.guard.asgi(app)(self.world.scope(headers=list(headers)), mock.AsyncMock(), mock.AsyncMock()))
        self.assertEqual(found[0], found[1])
        return found[0]

    def over_wsgi(self, handler: Any, *headers: Any) -> Any:
        asked = self.world.asked(*headers)
        permit, found = self.guard.judge(asked), []
        # One part when it is called, and one later.
        serve = Judged(self.guard, asked, permit, self.guard.generation).serve
        response = serve(lambda *_: (found.append(handler()) or b"part" for _ in range(2)), {}, lambda *_: None)
        list(response)
        response.close()
        self.assertEqual(found[0], found[1])
        return found[0]

    def test_t27_what_a_caller_showed_us_is_not_shown_to_others(self) -> None:
        came = [(b"Authorization", SHOWN.encode()), (b"x", b"y")]
        for served in (self.over_asgi, self.over_wsgi):
            for fields in (
                [("Authorization", SHOWN)], [("AUTHORIZATION", "bearer   a.b.c ")], [(b"authorization", SHOWN.encode())],
                [("Authorization", OWN, SHOWN)], [("Authorization", "Basic a.b.c")],
            ):
                out = served(lambda: self.sent([*fields, ("A", "b")]), *came)
                self.assertEqual((b"authorization" in out, b"a.b.c" in out, b"a: b" in out), (False, False, True), fields)
            self.assertIn(b"authorization: bearer d.e.f", served(lambda: self.sent([("Authorization", OWN)]), *came))
            passed_on = served(lambda: self.sent([("Authorization", SHOWN)], pass_on_authorization=True), *came)
            self.assertIn(b"authorization: bearer a.b.c", passed_on)
            # The next request on the same thread showed another, and nobody showed what came without any request.
            other = served(lambda: self.sent([("Authorization", SHOWN)]), (b"authorization", OWN.encode()))
            self.assertIn(b"authorization: bearer a.b.c", other)
            self.assertIn(b"authorization: bearer a.b.c", served(lambda: self.sent([("Authorization", SHOWN)])))
        self.assertIn(b"authorization: bearer a.b.c", self.sent([("Authorization", SHOWN)]))

    def test_a_thread_that_served_keeps_nothing_of_what_it_was_shown(self) -> None:
        self.over_wsgi(lambda: None, (b"Authorization", SHOWN.encode()))
        self.assertIn(b"authorization: bearer a.b.c", self.sent([("Authorization", SHOWN)]))
        # Nor where it was denied, or the application's own closing fails.
        asked = self.world.asked((b"Authorization", SHOWN.encode()))
        with mock.patch("ztl.wsgi.read", return_value=asked), mock.patch.object(
            self.guard, "judge", side_effect=lambda asked: came(asked.headers) or self.fail("as a test")
        ):
            self.guard.wsgi(lambda *_: [])({"REQUEST_METHOD": "GET"}, mock.Mock())
        self.assertIn(b"authorization: bearer a.b.c", self.sent([("Authorization", SHOWN)]))
        came(asked.headers)
        with self.assertRaises(OSError):
            _Response(mock.Mock(close=mock.Mock(side_effect=OSError)), mock.Mock()).close()
        self.assertIn(b"authorization: bearer a.b.c", self.sent([("Authorization", SHOWN)]))

    @unittest.skipIf(importlib.util.find_spec("aiohttp") is None, "aiohttp is not installed")
    def test_t27_nor_in_aiohttp(self) -> None:
        import ztl.aiohttp

        async def handler(request: Any) -> bytes:
            return self.sent([("Authorization", SHOWN)])

        serve, request = ztl.aiohttp.middleware(self.guard), mock.MagicMock(raw_headers=())
        for shown, goes_out in ((SHOWN, False), (OWN, True)):
            asked = self.world.asked((b"Authorization", shown.encode()))
            with mock.patch("ztl.aiohttp.read", return_value=asked):
                self.assertEqual(b"authorization" in asyncio.run(serve(request, handler)), goes_out)

    def test_t27_two_fields_that_came_are_both_kept_here(self) -> None:
        # Such a request bears no token, and is served where no rule asks for one.
        came = [(b"authorization", OWN.encode()), (b"authorization", SHOWN.encode())]
        for value in (OWN, SHOWN):
            self.assertNotIn(b"authorization", self.over_asgi(lambda: self.sent([("Authorization", value)]), *came))

    def test_t27_each_of_two_requests_at_once_keeps_its_own(self) -> None:
        found, both = {}, threading.Barrier(2, timeout=20)

        def serve(shown: str) -> None:
            def handler() -> bytes:
                both.wait()
                return self.sent([("Authorization", shown)])

            found[shown] = self.over_wsgi(handler, (b"authorization", shown.encode()))

        threads = [threading.Thread(target=serve, args=(shown,)) for shown in (OWN, SHOWN)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        self.assertEqual([b"authorization" in found[shown] for shown in (OWN, SHOWN)], [False] * 2)


if __name__ == "__main__":
    unittest.main()
