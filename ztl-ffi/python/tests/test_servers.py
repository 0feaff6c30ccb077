"""The middlewares, behind real servers, with real TLS on loopback."""

import asyncio
import contextlib
import datetime
import http.client
import importlib
import importlib.util
import json
import socket
import ssl
import threading
import time
import unittest
import unittest.mock
from typing import Any

import ztl

from world import FOR_STRANGER, NO_RULES, PROXY, Serving, World, gunicorn, spiffe, until

#: Targets that are permitted to the router as they are written, and some that only look so.
HOSTILE = ("/v1/%77ho/..", "/v1/./who", "//v1/who", "/v1%2fwho", "/v1/who/", "/v1/who%00", "/v1/who;x", "/v1/x/../who", "http://e/v1/who")


def there(*modules: str) -> Any:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return unittest.skipIf(missing, f"{', '.join(missing)} is not installed")


class Behaviour:
    """What every server does; `self.port` is where."""

    def test_the_permitted_is_served_and_nobody_else(self) -> None:
        ask = self.world.ask
        self.assertEqual(ask(self.port, "router", "GET", "/v1/who"), (200, spiffe("router").encode()))
        status, body = ask(self.port, "router", "DELETE", "/v1/who")
        self.assertEqual((status, sorted(json.loads(body))), (403, ["decision", "status", "title", "type"]))
        self.assertIn(ask(self.port, "stranger", "GET", "/v1/who")[0], (0, 403))
        for name in (None, "nobody", "forged"):
            self.assertIn(ask(self.port, name, "GET", "/v1/who")[0], (0, 403), name)

    def test_t9_no_target_with_a_second_reading_is_served(self) -> None:
        for target in HOSTILE:
            status, _ = self.world.ask(self.port, "router", "GET", target)
            self.assertIn(status, (0, 400, 403, 404), target)
        self.assertEqual(self.world.ask(self.port, "router", "GET", "/v1/who?x=%2e%2e/")[0], 200)

    def test_headers_give_nobody_another_name(self) -> None:
        spoofs = {"X-Forwarded-For": "127.0.0.1", "X-Client-Cert": "x", "ztl.permit": "x"}
        self.assertEqual(self.world.ask(self.port, "router", "GET", "/v1/secret", **spoofs)[0], 403)
        self.assertIn(self.world.ask(self.port, "stranger", "GET", "/v1/who", **spoofs)[0], (0, 403))

    def test_t12_no_application_sees_a_forwarded_id_of_who_is_not_trusted_with_it(self) -> None:
        # What is served says so, if it sees one.
        given = {"X-Forwarded-Client-Cert": "x", "Forwarded": "for=_x", "X_Forwarded_Client_Cert": "x"}
        self.assertEqual(self.world.ask(self.port, "router", "GET", "/v1/who", **given), (200, spiffe("router").encode()))

    def test_t19_no_header_gives_a_request_another_method_or_target(self) -> None:
        for field, value in (("X-Original-URL", "/v1/who"), ("X-HTTP-Method-Override", "DELETE")):
            self.assertEqual(self.world.ask(self.port, "router", "GET", "/v1/who", **{field: value})[0], 400, field)
            self.assertIn(self.world.ask(self.port, "router", "GET", "/v1/secret", **{field: value})[0], (400, 403), field)

    def test_sessions_are_not_resumed(self) -> None:
        context = self.world.client("router")
        session = None
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
                with context.wrap_socket(plain, session=session) as tls:
                    tls.sendall(b"GET /v1/who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    self.assertTrue(tls.recv(100).startswith(b"HTTP/1.1 200"))
                    self.assertFalse(tls.session_reused)
                    session = tls.session if tls.session is not None and tls.session.has_ticket else None

    def test_t20_what_the_server_does_not_upgrade_is_no_upgrade(self) -> None:
        # Servers ask for `Connection: upgrade`.
        self.assertEqual(self.world.ask(self.port, "router", "GET", "/v1/socket", Upgrade="websocket")[0], 403)


class WithWorld(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.world = World()
        cls.addClassCleanup(cls.world.close)


#: More than the system has buffers for.
LARGE = b"x" * 48 * 1024 * 1024


async def who(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application; /v1/live never ends, and `?large` is one large part."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["ztl.permit"].peer_id})
        await send({"type": "websocket.close"})
        return
    if scope["query_string"] == b"large":
        fields = [(b"content-length", str(len(LARGE)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": LARGE})
        return
    seen = b"".join(b" " + name for name, _ in scope["headers"] if b"forwarded" in name.lower())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["ztl.permit"].peer_id.encode() + seen, "more_body": True})
    if scope["path"] == "/v1/live":
        await asyncio.Event().wait()
    await send({"type": "http.response.body"})


@there("uvicorn")
class Uvicorn(Behaviour, WithWorld):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        import uvicorn

        import ztl.uvicorn

        cls.guard = cls.world.guard()
        config = ztl.uvicorn.config(
            cls.guard, who, host="127.0.0.1", port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=2
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)

        async def start() -> Any:
            await server.startup()
            port = server.servers[0].sockets[0].getsockname()[1]
            return port, lambda: server.shutdown()

        serving = Serving(start)
        cls.port = serving.port
        cls.addClassCleanup(serving.close)

    def setUp(self) -> None:
        def restore() -> None:
            self.world.write("policy.toml", ztl_policy())
            self.guard.reload()

        self.addCleanup(restore)

    def test_law_8_a_response_ends_when_it_is_no_longer_permitted(self) -> None:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self.world.client("router"))
        self.addCleanup(connection.close)
        connection.request("GET", "/v1/live")
        response = connection.getresponse()
        self.assertEqual(response.read(len(spiffe("router"))), spiffe("router").encode())
        begun = time.monotonic()
        self.world.write("policy.toml", NO_RULES.encode())
        self.guard.reload()
        with self.assertRaises((http.client.HTTPException, OSError)):
            response.read()
        self.assertLess(time.monotonic() - begun, 1.0)
        self.assertIn(self.world.ask(self.port, "router", "GET", "/v1/who")[0], (0, 403))

    def test_t14_a_caller_who_reads_slowly_does_not_outlive_its_permit(self) -> None:
        def read(is_slow: bool) -> int:
            with contextlib.ExitStack() as stack:
                plain = stack.enter_context(socket.socket())
                plain.settimeout(10)
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
                plain.connect(("127.0.0.1", self.port))
                connection = stack.enter_context(self.world.client("router").wrap_socket(plain))
                connection.sendall(b"GET /v1/who?large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                found = connection.recv(100)
                self.assertTrue(found.startswith(b"HTTP/1.1 200"))
                if is_slow:
                    denied = threading.Event()
                    with unittest.mock.patch.object(self.guard, "_on_denial", lambda _: denied.set()):
                        self.world.write("policy.toml", NO_RULES.encode())
                        self.guard.reload()
                        denied.wait(3)
                count = len(found)
                with contextlib.suppress(OSError):
                    while found := connection.recv(1024 * 1024):
                        count += len(found)
                return count

        self.assertGreater(read(False), len(LARGE))
        self.assertLess(read(True), len(LARGE) // 2)

    def test_no_setting_is_dropped_in_silence(self) -> None:
        import ztl.uvicorn

        for setting in (
            {"workers": 2}, {"reload": True}, {"ssl_certfile": "x"}, {"proxy_headers": True}, {"http": "h11"}, {"factory": True},
            {"interface": "wsgi"}, {"interface": "asgi2"},
        ):
            with self.assertRaisesRegex(ValueError, next(iter(setting))):
                ztl.uvicorn.config(self.guard, who, **setting)
        given = {"reload": False, "factory": False, "interface": "asgi3", "log_config": None}
        with unittest.mock.patch.dict("os.environ", WEB_CONCURRENCY="2"):
            with self.assertRaisesRegex(ValueError, "WEB_CONCURRENCY"):
                ztl.uvicorn.config(self.guard, who, **given)
            ztl.uvicorn.config(self.guard, who, workers=1, **given)

    def test_an_older_uvicorn_is_refused_by_its_number(self) -> None:
        import ztl.uvicorn

        with unittest.mock.patch("uvicorn.Config", lambda app: None), self.assertRaisesRegex(ImportError, "needs uvicorn 0.47"):
            importlib.reload(ztl.uvicorn)

    @there("websockets")
    def test_t20_websockets_are_judged_as_such(self) -> None:
        for name, path, want in (("router", "/v1/socket", b"101"), ("router", "/v1/who", b"403"), ("stranger", "/v1/socket", b"403")):
            with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
                with self.world.client(name).wrap_socket(plain) as tls:
                    tls.sendall(
                        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
                    )
                    self.assertEqual(tls.recv(12)[9:], want, (name, path))

    def test_a_caller_of_ours_reaches_the_workload_that_was_named(self) -> None:
        caller = self.world.guard("router", port=None)
        connection = caller.connection("model-server", 8443, address=("127.0.0.1", self.port))
        self.addCleanup(connection.close)
        with self.assertRaises(ztl.Denied) as caught:
            connection.request("DELETE", "/v1/who")
        self.assertEqual(caught.exception.reason, "no_action_permitted")
        for _ in range(2):
            connection.request("GET", "/v1/who", headers={"X-Forwarded-Client-Cert": "x", "forwarded": "for=_x", "A": "b"})
            self.assertEqual(connection.getresponse().read(), spiffe("router").encode())
        # T12: ours does not speak for anybody, so it does not say so either.
        with unittest.mock.patch.object(connection, "send", unittest.mock.Mock(wraps=connection.send)) as sent:
            connection.request("GET", "/v1/who", headers={"X-Forwarded-Client-Cert": "x", "forwarded": "for=_x", "A": "b"})
        self.assertEqual(connection.getresponse().read(), spiffe("router").encode())
        out = b"".join(call.args[0] for call in sent.call_args_list).lower()
        self.assertEqual((b"forwarded" in out, b"a: b" in out), (False, True))
        wrong = caller.connection("stranger", 8443, address=("127.0.0.1", self.port))
        with self.assertRaises(ssl.SSLError):
            wrong.request("GET", "/v1/who")

    def test_law_8_a_kept_connection_of_ours_takes_a_changed_policy(self) -> None:
        own = self.world.path / "callers.toml"
        self.world.write(own.name, ztl_policy())
        caller = self.world.guard("router", port=None, policy_file=own, check_every=0.05)
        connection = caller.connection("model-server", 8443, address=("127.0.0.1", self.port))
        self.addCleanup(connection.close)

        def asked() -> bytes:
            connection.request("GET", "/v1/who")
            return connection.getresponse().read()

        self.assertEqual(asked(), spiffe("router").encode())
        self.world.write(own.name, NO_RULES.encode())
        until = time.monotonic() + 20
        with self.assertRaises((ztl.Denied, ssl.SSLError)):
            while time.monotonic() < until:
                self.assertEqual(asked(), spiffe("router").encode())
                threading.Event().wait(0.06)

    def test_law_8_a_kept_connection_of_ours_outlives_the_proof_of_its_server(self) -> None:
        caller = self.world.guard("router", port=None, audit_file=str(self.world.path / "caller.jsonl"))
        renew = lambda **lasts: self.world.svid("model-server", self.world.authority.issue(spiffe("model-server"), **lasts))
        renew(lasts=datetime.timedelta(seconds=5))
        self.guard.reload()
        connection = caller.connection("model-server", 8443, address=("127.0.0.1", self.port))
        self.addCleanup(connection.close)

        def asked() -> bytes:
            connection.request("GET", "/v1/who")
            return connection.getresponse().read()

        self.assertEqual(asked(), spiffe("router").encode())
        first = connection.sock
        self.assertEqual(asked(), spiffe("router").encode())
        self.assertIs(connection.sock, first)
        renew()
        self.guard.reload()
        self.assertTrue(until(lambda: time.time() >= connection._flow.expires_at, 15))
        self.assertEqual(asked(), spiffe("router").encode())
        self.assertIsNot(connection.sock, first)
        recorded = [one for stage in ("identity", "flow", "action") for one in self.world.records("caller.jsonl", stage)]
        self.assertEqual({one["reason"] for one in recorded}, {"permitted"})

    def test_t12_no_field_goes_out_that_the_policy_of_the_permit_does_not_trust_us_with(self) -> None:
        own = self.world.path / "callers.toml"
        self.world.write(own.name, PROXY.encode())
        caller = self.world.guard("router", port=None, policy_file=own, audit_file=str(self.world.path / "passed.jsonl"))
        connection = caller.connection("model-server", 8443, address=("127.0.0.1", self.port))
        self.addCleanup(connection.close)
        engine = caller.engine
        caller.engine = unittest.mock.Mock(wraps=engine)

        def late(*asked: Any) -> Any:
            engine.swap(ztl_policy())
            return engine.authorize(*asked)

        caller.engine.authorize.side_effect = late
        name, value = FOR_STRANGER
        with unittest.mock.patch.object(connection, "send") as sent, self.assertRaises(ztl.Denied) as caught:
            connection.request("GET", "/v1/who", headers={name.decode(): value.decode()})
        sent.assert_not_called()
        self.assertIsNone(connection.sock)
        recorded = self.world.records("passed.jsonl")
        self.assertEqual([one["reason"] for one in recorded], ["permitted", "forwarded_untrusted"])
        self.assertEqual((caught.exception.reason, caught.exception.decision_id), ("forwarded_untrusted", recorded[-1]["id"]))
        # Without such a field the same change hinders nobody.
        connection.request("GET", "/v1/who")
        self.assertEqual(connection.getresponse().read(), spiffe("router").encode())

    def test_t22_what_is_refused_leaves_what_was_in_force(self) -> None:
        with self.assertRaises(ztl.SvidError):
            self.world.guard(certificate_file=self.world.path / "router.pem", key_file=self.world.path / "router.key")
        with self.assertRaises(ztl.SvidError):
            self.world.guard(key_file=self.world.path / "router.key")
        self.world.write("policy.toml", b"allow = 'all'")
        with self.assertRaises(ztl.PolicyError):
            self.guard.reload()
        self.assertEqual(self.world.ask(self.port, "router", "GET", "/v1/who")[0], 200)
        self.world.svid("model-server", self.world.authority.issue(spiffe("model-server")))
        self.guard.reload() if self._policy_restored() else None
        self.assertEqual(self.world.ask(self.port, "router", "GET", "/v1/who")[0], 200)

    def _policy_restored(self) -> bool:
        self.world.write("policy.toml", ztl_policy())
        return True

    def test_stock_uvicorn_shows_nothing_and_everything_is_denied(self) -> None:
        import uvicorn

        guard = self.world.guard()
        config = uvicorn.Config(
            guard.asgi(who), host="127.0.0.1", port=0, log_level="critical", lifespan="off", http="h11",
            ssl_context_factory=lambda *_: guard.ssl_context(), timeout_graceful_shutdown=2,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)

        async def start() -> Any:
            await server.startup()
            return server.servers[0].sockets[0].getsockname()[1], lambda: server.shutdown()

        serving = Serving(start)
        self.addCleanup(serving.close)
        self.assertEqual(self.world.ask(serving.port, "router", "GET", "/v1/who")[0], 403)


def ztl_policy() -> bytes:
    from world import POLICY

    return POLICY.encode()


@there("aiohttp")
class Aiohttp(Behaviour, WithWorld):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        from aiohttp import web

        import ztl.aiohttp

        cls.audit = "aiohttp-audit.jsonl"
        cls.guard = guard = cls.world.guard(audit_file=str(cls.world.path / cls.audit))

        async def served(request: web.Request) -> web.Response:
            seen = [name for fields in (request.raw_headers, request.headers.items()) for name, _ in fields]
            seen = [name for name in seen if "forwarded" in str(name).lower()]
            return web.Response(text=ztl.aiohttp.peer_id(request) + "".join(map(str, seen)))

        app = web.Application(middlewares=[ztl.aiohttp.middleware(guard)])
        app.router.add_route("*", "/{rest:.*}", served)

        async def start() -> Any:
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=guard.ssl_context())
            await site.start()
            return runner.addresses[0][1], runner.cleanup

        serving = Serving(start)
        cls.port = serving.port
        cls.addClassCleanup(serving.close)

    def test_law_6_what_cannot_be_copied_is_refused_before_it_is_permitted(self) -> None:
        latin = {"X-Name": "Zo\xeb"}
        ask = self.world.ask
        self.assertEqual(ask(self.port, "router", "GET", "/v1/who", **latin)[0], 200)
        for field in ("Forwarded", "X-Forwarded-Client-Cert"):
            before = len(self.world.records(self.audit))
            status, body = ask(self.port, "router", "GET", "/v1/who", **latin, **{field: "for=a"})
            (recorded,) = self.world.records(self.audit)[before:]
            self.assertEqual((status, recorded["reason"], recorded["id"]), (403, "forwarded_untrusted", json.loads(body)["decision"]))
        # Of whoever is trusted with the field nothing has to be taken away.
        self.world.write("policy.toml", PROXY.encode())
        self.addCleanup(self._restore)
        self.guard.reload()
        name, value = FOR_STRANGER
        status, body = ask(self.port, "router", "GET", "/v1/who", **latin, **{name.decode(): value.decode()})
        self.assertEqual((status, body.lower().count(b"forwarded")), (200, 2))
        self.assertEqual(ask(self.port, "router", "GET", "/v1/who", **latin, Forwarded="for=a")[0], 403)

    def test_law_6_what_aiohttp_answers_of_expect_is_no_decision(self) -> None:
        # As docs/python.md says: before any middleware. Whatever comes of it, nothing is served that was not judged.
        for value, begins, recorded in (("100-continue", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403", 1), ("x", b"HTTP/1.1 417", 0)):
            before = len(self.world.records(self.audit))
            with socket.create_connection(("127.0.0.1", self.port), 10) as plain:
                with self.world.client("router").wrap_socket(plain) as tls:
                    tls.sendall(f"DELETE /v1/who HTTP/1.1\r\nHost: x\r\nExpect: {value}\r\nConnection: close\r\n\r\n".encode())
                    found = b"".join(iter(lambda: tls.recv(4096), b""))
            self.assertEqual((found[: len(begins)], spiffe("router").encode() in found), (begins, False), value)
            self.assertEqual(len(self.world.records(self.audit)) - before, recorded)

    def _restore(self) -> None:
        self.world.write("policy.toml", ztl_policy())
        self.guard.reload()


@there("gunicorn")
class Gunicorn(Behaviour, WithWorld):
    worker = "sync"
    application = "served:application"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        running = contextlib.ExitStack()
        cls.port = running.enter_context(gunicorn(cls.world, cls.application, "--preload", "-w", "2", "-k", cls.worker))
        cls.addClassCleanup(running.close)

    def test_t19_no_header_moves_the_path_that_was_judged(self) -> None:
        for field in ("SCRIPT_NAME", "Script-Name", "script_name", "PATH_INFO"):
            status, body = self.world.ask(self.port, "router", "GET", "/v1/who", **{field: "/v1"})
            self.assertEqual((status, body[:1]), (403, b"{"), field)

    def test_forked_workers_take_a_changed_policy(self) -> None:
        self.world.write("policy.toml", NO_RULES.encode())
        try:
            denied, until = 0, time.monotonic() + 20
            while denied < 10 and time.monotonic() < until:
                denied = denied + 1 if self.world.ask(self.port, "router", "GET", "/v1/who")[0] in (0, 403) else 0
                threading.Event().wait(0.06)
            self.assertEqual(denied, 10)
        finally:
            self.world.write("policy.toml", ztl_policy())
            # Each of the two looks for itself.
            workers, until = set(), time.monotonic() + 40
            while len(workers) < 2 and time.monotonic() < until:
                status, body = self.world.ask(self.port, "router", "GET", "/v1/who?worker")
                workers |= {body} if status == 200 else set()
                threading.Event().wait(0.03)
            self.assertEqual(len(workers), 2)


@there("gunicorn", "flask")
class Flask(Gunicorn):
    """An application of Flask's, as docs/python.md has it. All that holds of another holds of it."""

    application = "served_flask:app"

    def test_a_route_sees_who_asks_and_what_flask_has_not_is_judged_first(self) -> None:
        status, body = self.world.ask(self.port, "router", "POST", "/v1/models/llama/infer")
        self.assertEqual((status, json.loads(body)), (200, {"for": spiffe("router"), "model": "llama"}))
        # Flask answers 405 where a route has no such method, and 404 where there is none: nobody learns that who is not permitted.
        for method, target in (("PUT", "/v1/models/llama/infer"), ("GET", "/v1/models/llama"), ("GET", "/static/x"), ("OPTIONS", "/v1/who")):
            self.assertEqual(self.world.ask(self.port, "router", method, target)[0], 403, target)


class WithoutAServer(WithWorld):
    """What middlewares do where a server says too little."""

    def test_asgi_without_certificates_or_raw_target_is_denied(self) -> None:
        guard = self.world.guard()
        pem = (self.world.path / "router.pem").read_text()
        good = {
            "type": "http", "method": "GET", "path": "/v1/who", "raw_path": b"/v1/who", "query_string": b"", "headers": [],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8443), "extensions": {"tls": {"client_cert_chain": [pem]}},
        }

        def status(**change: Any) -> int:
            sent = []

            async def send(message: Any) -> None:
                sent.append(message)

            async def receive() -> Any:
                return {"type": "http.request"}

            asyncio.run(guard.asgi(who)({**good, **change}, receive, send))
            return sent[0]["status"]

        self.assertEqual(status(), 200)
        other = (self.world.path / "forged.pem").read_text()
        for change in (
            {"extensions": {}}, {"extensions": None}, {"extensions": {"tls": {"client_cert_chain": []}}},
            {"extensions": {"tls": {"client_cert_chain": [other]}}}, {"extensions": {"tls": {"client_cert_chain": ["x", None]}}},
            {"extensions": {"tls": None}}, {"raw_path": None}, {"raw_path": b""}, {"path": "/v1/elsewhere"}, {"path": None},
            {"method": None}, {"headers": None, "method": "DELETE"}, {"headers": [(None, None)]}, {"client": ("10.0.0.1", 1)},
            {"extensions": {"ztl.connection": {"connection": object()}}},
        ):
            self.assertIn(status(**change), (400, 403), change)

    def test_wsgi_without_its_connection_or_raw_target_is_denied(self) -> None:
        guard = self.world.guard()
        for environ in (
            {}, {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/who"}, {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/who", "RAW_URI": "/v1/who"},
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/who", "gunicorn.socket": socket},
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/who", "RAW_URI": "/v1/who", "gunicorn.socket": object()},
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/x", "RAW_URI": "/v1/who", "gunicorn.socket": object()},
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/who", "HTTP_GUNICORN_SOCKET": "x", "RAW_URI": "/v1/who"},
        ):
            answers = []
            body = guard.wsgi(lambda *_: self.fail("served"))(environ, lambda status, headers: answers.append(status))
            self.assertEqual((answers[0][:3], b"".join(body)[:1]), ("403", b"{"), environ)

    def test_t15_a_response_over_wsgi_ends_with_its_permit(self) -> None:
        guard = self.world.guard()
        asked = ztl.Asked(b"GET", b"/v1/who", [], chain=self.world.chain("router"), address="127.0.0.1")
        from ztl.wsgi import Judged

        judged = Judged(guard, asked, guard.judge(asked), guard.generation)
        response = iter(judged.serve(lambda *_: [b"1", b"2", b"3"], {}, lambda *_: None))
        self.assertEqual(next(response), b"1")
        self.world.write("policy.toml", ztl_policy() + b"\n")
        guard.reload()
        self.assertEqual(next(response), b"2")
        self.world.write("policy.toml", NO_RULES.encode())
        self.addCleanup(self.world.write, "policy.toml", ztl_policy())
        guard.reload()
        with self.assertRaises(ztl.Denied):
            next(response)

    def test_a_score_that_fails_is_a_denial(self) -> None:
        calls = []

        def scores(request: Any, peer: str) -> int:
            calls.append(peer)
            return 1 // 0

        guard = self.world.guard(trust_score=scores)
        asked = ztl.Asked(b"GET", b"/v1/who", [], chain=self.world.chain("router"), address="127.0.0.1")
        # T34: no rule reads one.
        self.assertEqual((guard.judge(asked).peer_id, calls), (spiffe("router"), []))
        self.world.write("policy.toml", ztl_policy() + b"require = { trust_score = 50 }\n")
        self.addCleanup(self.world.write, "policy.toml", ztl_policy())
        guard.reload()
        with self.assertRaises(ztl.Denied) as caught:
            guard.judge(asked)
        self.assertEqual((caught.exception.reason, type(caught.exception.__cause__)), ("authorizer_failed", ZeroDivisionError))
        self.assertEqual(calls, [spiffe("router")])


if __name__ == "__main__":
    unittest.main()
