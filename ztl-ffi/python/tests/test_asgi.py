"""What an ASGI server says of a request, and an application makes of it."""

import asyncio
import importlib.util
import pathlib
import unittest
from typing import Any, List

import ztl

from world import POLICY, World

UPGRADES = [(b"host", b"x"), (b"connection", b"upgrade"), (b"upgrade", b"websocket")]
EVERYTHING = POLICY.replace('actions = ["POST', 'actions = ["GET /{*rest}", "POST')
EVERYTHING_BUT_ADMIN = EVERYTHING + '[[forbid]]\nfrom = "router"\nto = "model-server"\nactions = ["GET /admin/{*rest}"]\n'


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
        self.policy(EVERYTHING)
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

    @unittest.skipIf(importlib.util.find_spec("fastapi") is None, "fastapi is not installed")
    def test_t9_an_application_that_takes_its_root_path_off_serves_no_path_by_two_names(self) -> None:
        from fastapi import FastAPI

        self.policy(EVERYTHING_BUT_ADMIN)
        app, served_at = FastAPI(), []
        # As the parameter of that name, which says that it is deprecated.
        app.root_path = "/api"

        @app.get("/{path:path}")
        async def get(path: str) -> None:
            served_at.append(path)

        for path in ("/admin/x", "/api/admin/x", "/api"):
            self.assertEqual(self.status(path, app), 403, path)
        self.assertEqual((self.reasons(), served_at), (["forbidden"] + ["raw_target_unavailable"] * 2, []))
        # Whatever else is by that name: a path has one, and the server that has its root in it as well.
        self.assertEqual([self.status(path, app) for path in ("/open", "/apis/admin/x")], [200] * 2)
        self.assertEqual(self.status("/api/admin/x", app, root_path="/api"), 200)
        self.assertEqual(served_at, ["open", "apis/admin/x", "admin/x"])

    def test_t9_a_root_path_that_the_server_says_is_in_every_path(self) -> None:
        self.policy(EVERYTHING_BUT_ADMIN)
        for path, root, status in (
            ("/api/x", "/api", 200), ("/api", "/api", 200), ("/x", "/api", 403), ("/apis/x", "/api", 403), ("/x", "", 200), ("/x", None, 200)
        ):
            self.assertEqual(self.status(path, root_path=root), status, (path, root))
        self.assertEqual(self.reasons(), ["raw_target_unavailable"] * 2)

        class Folder:
            """One whose attribute of that name says where its files are, as Quart's."""

            root_path: Any = "/srv/app"

            async def __call__(self, *call: Any) -> None:
                await served(*call)

        folder = Folder()
        self.assertEqual(self.status("/x", folder), 200)
        folder.root_path = pathlib.Path("/srv/app")
        self.assertEqual(self.status("/x", folder), 200)


async def served(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


if __name__ == "__main__":
    unittest.main()
