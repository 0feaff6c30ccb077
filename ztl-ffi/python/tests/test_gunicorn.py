"""What is of gunicorn alone: folders, workers that are forked later, handshakes that do not go on."""

import contextlib
import socket
import ssl
import unittest
from unittest import mock

import ztl.wsgi
from world import POLICY, World, gunicorn, spiffe, until
from test_servers import there


class WithWorld(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)


class Folder(WithWorld):
    def test_t9_and_t19_what_is_not_beneath_its_folder_has_no_second_name(self) -> None:
        for folder, path, is_wrong in (
            ("", "/x", False), ("/api", "", False), ("/api", "/", False), ("/api", "/x", False), ("/api", "x", True), ("/api", "x/y", True),
            ("/api/", "x", True), ("/", "x", True),
        ):
            connection = mock.Mock(**{"getpeername.return_value": ("127.0.0.1", 1), "getsockname.return_value": ("127.0.0.1", 8443)})
            environ = {"SCRIPT_NAME": folder, "PATH_INFO": path, "RAW_URI": folder + path or "/", "gunicorn.socket": connection}
            asked = ztl.wsgi.read({"REQUEST_METHOD": "GET", **environ})
            self.assertEqual(asked.wrong is not None, is_wrong, (folder, path))

    @there("gunicorn")
    def test_t9_gunicorn_serves_nothing_of_a_folder_by_another_name(self) -> None:
        self.world.write("policy.toml", POLICY.replace('"GET /v1/who"', '"GET /v1/who", "GET /{page}"').encode())
        with gunicorn(self.world, "served:application", SCRIPT_NAME="/v1") as port:
            self.assertEqual([self.world.ask(port, "router", "GET", path)[0] for path in ("/v1/who", "/v1", "/v1who")], [200, 200, 403])


@there("gunicorn")
class Forked(WithWorld):
    def test_law_8_a_worker_that_comes_later_begins_with_what_is_in_force_then(self) -> None:
        # One request a worker, and none that would look at the files by itself.
        with gunicorn(self.world, "served:application", "--preload", "--max-requests", "1", CHECK_EVERY="3600") as port:
            self.world.svid("model-server", self.world.authority.issue(spiffe("model-server")))
            (own,) = self.world.chain("model-server")

            def shown() -> bytes:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as plain:
                    with self.world.client("router").wrap_socket(plain) as tls:
                        return tls.getpeercert(True) or b""
                return b""

            self.assertTrue(until(lambda: shown() == own and self.world.ask(port, "router", "GET", "/v1/who")[0] == 200))
            # The flow is permitted still, so that there is an answer.
            self.world.write("policy.toml", POLICY.replace('"GET /v1/who", ', "").encode())
            found = [self.world.ask(port, "router", "GET", "/v1/who")[0] for _ in range(8)]
            # One may meet a worker that ends.
            self.assertLessEqual(set(found), {0, 403})
            self.assertIn(403, found)


@there("gunicorn")
class Silent(WithWorld):
    def test_t35_whoever_is_silent_in_the_handshake_keeps_no_thread(self) -> None:
        with gunicorn(self.world, "served:application", "-k", "gthread", "--threads", "2") as port, contextlib.ExitStack() as silent:
            for _ in range(2):
                # The head of a record, and no more.
                silent.enter_context(socket.create_connection(("127.0.0.1", port), 10)).sendall(b"\x16\x03\x01\x02\x00")
            self.assertTrue(until(lambda: self.world.ask(port, "router", "GET", "/v1/who")[0] == 200, 30))


class Handshake(WithWorld):
    def test_t35_a_handshake_has_a_deadline_where_its_socket_has_none(self) -> None:
        context = self.world.guard().ssl_context()
        for before, block, ends in ((None, False, True), (0.0, True, True), (0.0, False, False), (0.2, False, True)):
            ours, theirs = socket.socketpair()
            with theirs, mock.patch.object(ztl.tls, "_HANDSHAKE", 0.2):
                ours.settimeout(before)
                tls = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
                with tls, self.assertRaises(TimeoutError if ends else ssl.SSLWantReadError):
                    # A byte now and then is no handshake, either.
                    theirs.sendall(b"\x16")
                    tls.do_handshake(block)
                self.assertEqual(ours.fileno(), -1)
                self.assertEqual(tls.timeout, before)


if __name__ == "__main__":
    unittest.main()
