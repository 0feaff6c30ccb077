"""Requests that run in aiohttp, over real TLS, and what ends them."""

import asyncio
import contextlib
import http.client
import socket
import ssl
import threading
import time
import unittest
from typing import Any
from unittest import mock

import ztl
from world import NO_RULES, POLICY, Serving, World, spiffe, until
from test_servers import LARGE, there


@there("aiohttp")
class Running(unittest.TestCase):
    def setUp(self) -> None:
        from aiohttp import web

        import ztl.aiohttp

        self.world, self.told, self.ended = World(), [], threading.Event()
        self.addCleanup(self.world.close)
        self.guard = self.world.guard(on_denial=self.told.append)

        async def live(request: web.Request) -> web.StreamResponse:
            """Never ends by itself; the query says how it takes its end."""
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(ztl.aiohttp.peer_id(request).encode())
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.ended.set()
                if not request.query_string:
                    raise
            # Whatever it says then.
            while not self.stubborn.is_set():
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await response.write(b"x")
                    self.late += 1
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(0.01)
            return response

        async def sockets(request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str("begun")
            try:
                async for _ in socket:
                    pass
            finally:
                self.ended.set()
            return socket

        async def large(request: web.Request) -> web.StreamResponse:
            if request.query_string == "file":
                return web.FileResponse(self.world.path / "large")
            response = web.StreamResponse()
            response.content_length = len(LARGE)
            await response.prepare(request)
            for at in range(0, len(LARGE), 65_536):
                await response.write(LARGE[at : at + 65_536])
            return response

        (self.world.path / "large").write_bytes(LARGE)
        self.stubborn, self.late = threading.Event(), 0
        self.addCleanup(self.stubborn.set)
        app = web.Application(middlewares=[ztl.aiohttp.middleware(self.guard)])
        app.router.add_get("/v1/live", live)
        app.router.add_get("/v1/socket", sockets)
        app.router.add_get("/v1/who", large)

        async def start() -> Any:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.guard.ssl_context())
            await site.start()
            return runner.addresses[0][1], runner.cleanup

        serving = Serving(start)
        self.port, self.loop = serving.port, serving.loop
        self.addCleanup(serving.close)

    def change(self, policy: str) -> None:
        self.world.write("policy.toml", policy.encode())
        self.guard.reload()

    def begun(self, target: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self.world.client("router"))
        self.addCleanup(connection.close)
        connection.request("GET", target)
        response = connection.getresponse()
        self.assertEqual(response.read(len(spiffe("router"))), spiffe("router").encode())
        return response

    def test_law_8_a_response_ends_when_it_is_no_longer_permitted(self) -> None:
        for target in ("/v1/live", "/v1/live?stubborn"):
            with self.subTest(target):
                response, before = self.begun(target), len(self.told)
                # A change that does not concern it.
                self.change(POLICY + "\n")
                self.assertFalse(self.ended.wait(0.3))
                begun = time.monotonic()
                self.change(NO_RULES)
                with self.assertRaises((http.client.HTTPException, OSError)):
                    response.read()
                self.assertLess(time.monotonic() - begun, 1.0)
                self.assertTrue(self.ended.wait(5))
                self.assertEqual([error.reason for error in self.told[before:]], ["no_flow_permitted"])
                self.ended.clear()
                self.change(POLICY)
        self.assertTrue(until(lambda: not self.guard._running, 5))
        self.assertEqual(self.late, 0)

    def test_law_8_a_response_that_nobody_watches_any_more_ends(self) -> None:
        def cancelled(*_: Any) -> None:
            # As a host does that cancels all tasks; this is the one of the watcher.
            asyncio.current_task().cancel()

        def fails(*_: Any) -> None:
            raise MemoryError("no more")

        for name, raises, says in (("look", fails, 1), ("look", cancelled, 0), ("denied", fails, 0)):
            with self.subTest(name=name, raises=raises.__name__), contextlib.ExitStack() as stack:
                before, response = len(self.told), self.begun("/v1/live?stubborn")
                # It goes on no longer than that, even so.
                ends = threading.Timer(5, self.stubborn.set)
                ends.start()
                stack.callback(ends.cancel)
                stack.enter_context(mock.patch.object(self.guard, name, raises))
                if name == "denied":
                    logs = stack.enter_context(self.assertLogs("ztl"))
                    self.change(NO_RULES)
                with self.assertRaises((http.client.HTTPException, OSError)):
                    response.read()
                self.assertTrue(self.ended.wait(5))
                self.assertTrue(until(lambda: not self.guard._running, 5))
                self.assertEqual([str(error) for error in self.told[before:]], ["no more"] * says)
                if name == "denied":
                    self.assertTrue(until(lambda: bool(logs.output), 5))
                    self.assertIn("could not be watched", logs.output[0])
                self.ended.clear()
        self.assertEqual(self.late, 0)
        self.stubborn.set()
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), self.loop).result(5)

    def test_t15_a_websocket_ends_when_it_is_no_longer_permitted(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 10) as plain, self.world.client("router").wrap_socket(plain) as tls:
            tls.sendall(
                b"GET /v1/socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            found = b""
            while b"begun" not in found:
                self.assertTrue(part := tls.recv(4096), found)
                found += part
            self.change(NO_RULES)
            self.assertTrue(self.ended.wait(5))
            with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
                self.assertEqual(tls.recv(4096), b"")

    def test_t14_a_caller_who_reads_slowly_does_not_outlive_its_permit(self) -> None:
        # What a handler returned is written after all middlewares.
        for query in ("", "?file"):
            with self.subTest(query):
                self.assertGreater(self._read(f"/v1/who{query}", is_slow=False), len(LARGE))
                self.assertLess(self._read(f"/v1/who{query}", is_slow=True), len(LARGE) // 2)
                self.change(POLICY)

    def _read(self, target: str, is_slow: bool) -> int:
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(socket.socket())
            plain.settimeout(10)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            plain.connect(("127.0.0.1", self.port))
            connection = stack.enter_context(self.world.client("router").wrap_socket(plain))
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            found = connection.recv(100)
            self.assertTrue(found.startswith(b"HTTP/1.1 200"))
            if is_slow:
                before = len(self.told)
                self.change(NO_RULES)
                until(lambda: len(self.told) > before, 3)
            count = len(found)
            with contextlib.suppress(OSError):
                while found := connection.recv(1024 * 1024):
                    count += len(found)
            return count

    def test_t23_the_end_of_a_permit_is_seen_on_the_wall(self) -> None:
        judged = mock.Mock(wraps=self.guard.judge)
        with mock.patch.object(self.guard, "judge", judged):
            self.begun("/v1/live")
            self.assertEqual(judged.call_count, 1)
            with mock.patch("ztl.judge.time.time", return_value=time.time() + 7200):
                self.assertTrue(until(lambda: judged.call_count > 1, 5))

    def test_what_has_ended_is_watched_no_more(self) -> None:
        for _ in range(3):
            self._read("/v1/who", is_slow=False)
        self.assertTrue(until(lambda: not self.guard._running, 5))
        self.assertEqual(self.told, [])


if __name__ == "__main__":
    unittest.main()
