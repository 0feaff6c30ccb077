"""What `trust_score` is handed of a request."""

import asyncio
import importlib.util
import unittest
from typing import Any, Dict, List, Tuple
from unittest import mock

import ztl
import ztl.wsgi

from world import FOR_STRANGER, POLICY, PROXY, World, spiffe

SAID = ((b"Forwarded", b"for=_x"), (b"X_Forwarded_Client_Cert", b"x"), (b"X-Kept", b"kept"), FOR_STRANGER)
SCORED = "require = { trust_score = 50 }\n"


class Scores(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.seen: List[Tuple[Any, str]] = []

    def guard(self, policy: str, looks: Any = lambda request: request) -> ztl.Guard:
        def scores(request: Any, peer: str) -> int:
            # At once: what is served is changed afterwards.
            self.seen.append((looks(request), peer))
            return 70

        self.world.write("policy.toml", (policy + SCORED).encode())
        return self.world.guard(trust_score=scores)

    def connection(self) -> mock.Mock:
        """A TLS connection of the router's."""
        chain = mock.patch("ztl.judge.tls.chain_of", return_value=self.world.chain("router"))
        chain.start()
        self.addCleanup(chain.stop)
        return mock.Mock(getpeername=lambda: ("127.0.0.1", 1), getsockname=lambda: ("127.0.0.1", 8443))

    def check(self, policy: str) -> None:
        """That no more was seen than the router is trusted with, and what else it says."""
        (seen, peer), = self.seen
        fields = ["x-forwarded-client-cert", "x-kept"] if policy == PROXY else ["x-kept"]
        self.assertEqual((sorted(seen), peer), (fields, spiffe("router")))
        self.seen.clear()

    def test_t12_a_score_over_asgi_sees_no_field_of_who_is_not_trusted_with_it(self) -> None:
        app = mock.AsyncMock()

        def names(scope: Any) -> List[str]:
            return [name.decode().lower() for name, _ in scope["headers"]]

        for policy in (POLICY, PROXY):
            scope = self.world.scope("/v1/who", headers=list(SAID))
            asyncio.run(self.guard(policy, names).asgi(app)(scope, mock.AsyncMock(), mock.AsyncMock()))
            self.check(policy)
            self.assertEqual(scope["headers"], list(SAID))
        self.assertEqual(app.await_count, 2)

    def test_t12_nor_over_wsgi(self) -> None:
        app, fields = mock.Mock(return_value=[]), self.variables()

        def names(environ: Any) -> List[str]:
            return [name[5:].replace("_", "-").lower() for name in environ if name[:5] == "HTTP_"]

        for policy in (POLICY, PROXY):
            environ = {
                "REQUEST_METHOD": "GET", "RAW_URI": "/v1/who", "PATH_INFO": "/v1/who", "gunicorn.socket": self.connection(), **fields,
            }
            list(self.guard(policy, names).wsgi(app)(environ, mock.Mock()))
            self.check(policy)
        self.assertEqual(app.call_count, 2)

    def variables(self) -> Dict[str, str]:
        # One that is written with a stroke below is dropped by gunicorn, and takes the name of the other elsewhere.
        return {"HTTP_" + name.decode().upper().replace("-", "_"): value.decode() for name, value in SAID}

    @unittest.skipIf(importlib.util.find_spec("aiohttp") is None, "aiohttp is not installed")
    def test_t12_nor_in_aiohttp(self) -> None:
        from aiohttp import web
        from aiohttp.test_utils import make_mocked_request

        import ztl.aiohttp

        extra = {"ssl_object": self.connection(), "peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 8443)}
        handler = mock.AsyncMock(return_value=web.Response())

        async def ask(guard: ztl.Guard) -> None:
            fields = [(name.decode(), value.decode()) for name, value in SAID]
            request = make_mocked_request("GET", "/v1/who", fields, transport=mock.Mock(get_extra_info=extra.get))
            await ztl.aiohttp.middleware(guard)(request, handler)

        def names(request: web.Request) -> List[str]:
            self.assertEqual(len(request.raw_headers), len(request.headers))
            return [name.lower() for name in request.headers]

        for policy in (POLICY, PROXY):
            asyncio.run(ask(self.guard(policy, names)))
            self.check(policy)
        self.assertEqual(handler.await_count, 2)

    def test_t12_a_host_that_asks_itself_says_how_it_is_taken_away(self) -> None:
        asked = ztl.Asked(
            b"GET", b"/v1/who", SAID, chain=self.world.chain("router"), address="127.0.0.1", request="whole",
            stripped=lambda passes: ("without all but", passes),
        )
        for policy, passes in ((POLICY, set()), (PROXY, {"x-forwarded-client-cert"})):
            self.guard(policy).judge(asked)
            self.assertEqual(self.seen.pop(), (("without all but", passes), spiffe("router")))
        # Where nothing has to be taken away it is as it came.
        plain = ztl.Asked(b"GET", b"/v1/who", SAID[2:3], chain=asked.chain, address="127.0.0.1", request="whole", stripped=self.fail)
        self.guard(PROXY).judge(plain)
        self.assertEqual(self.seen.pop()[0], "whole")


if __name__ == "__main__":
    unittest.main()
