"""What an ASGI server says of a request, and an application makes of it."""

import asyncio
import importlib.util
import unittest
from typing import Any, List

import ztl

from world import POLICY, World

UPGRADES = [(b"host", b"x"), (b"connection", b"upgrade"), (b"upgrade", b"websocket")]


class Asgi(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.told: List[BaseException] = []
        self.guard = self.world.guard(on_denial=self.told.append)

    def policy(self, policy: str) -> None:
        self.world.write("policy.toml", policy.encode())
        self.guard.reload()

    def ask(self, app: Any, scope: Any) -> List[Any]:
        """What is sent."""
        sent: List[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect" if scope["type"] == "websocket" else "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.guard.asgi(app)(scope, receive, send))
        return sent

    def status(self, path: str, app: Any = None, **change: Any) -> int:
        return int(self.ask(app or served, self.world.scope(path, **change))[0]["status"])

    def reasons(self) -> List[str]:
        return [error.reason for error in self.told if isinstance(error, ztl.Denied)]

    def test_t20_what_is_served_as_a_request_is_not_permitted_as_an_upgrade(self) -> None:
        # The server makes nothing of it: it has no protocol for that, or the field `Connection` does not ask.
        for headers in (UPGRADES, [(b"Upgrade", b"websocket")], [(b"upgrade", b"WebSocket")]):
            self.assertEqual(self.status("/v1/socket", headers=headers), 403, headers)
        self.assertEqual(set(self.reasons()), {"no_action_permitted"})
        # Nor is it permitted as something else by a rule that names no action of its own.
        self.policy(POLICY.replace('actions = ["POST', 'actions = ["GET /{*rest}", "POST'))
        self.assertEqual([self.status("/v1/socket"), self.status("/v1/socket", headers=UPGRADES)], [200, 403])
        # Forbidden it stays.
        self.told.clear()
        self.policy(POLICY + '[[forbid]]\nfrom = "router"\nto = "model-server"\nactions = ["GET /v1/socket", "websocket /v1/other"]\n')
        for path in ("/v1/socket", "/v1/other"):
            self.assertEqual(self.status(path, headers=UPGRADES), 403)
        self.assertEqual(self.reasons(), ["forbidden"] * 2)

    def test_t20_a_websocket_is_one_with_its_fields_and_without_them(self) -> None:
        for headers in (UPGRADES, []):
            scope = self.world.scope("/v1/socket", type="websocket", headers=headers)
            self.assertEqual(self.ask(served, scope)[0]["status"], 200)
            scope = self.world.scope("/v1/who", type="websocket", headers=headers)
            self.assertEqual(self.ask(served, scope), [{"type": "websocket.close", "code": 1008}])


async def served(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


if __name__ == "__main__":
    unittest.main()
