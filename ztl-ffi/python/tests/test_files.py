"""The files of a guard: who may write them, and when a change of them is taken."""

import contextlib
import os
import pathlib
import socket
import ssl
import threading
import unittest
from typing import Any
from unittest import mock

import ztl
from ztl import files, tls

from world import NO_RULES, POLICY, Authority, World, spiffe, until


class Files(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def test_t6_a_policy_that_others_may_write_is_refused(self) -> None:
        guard, path = self.world.guard(), self.world.path / "policy.toml"
        for mode in (0o620, 0o602, 0o666):
            self.world.write(path.name, NO_RULES.encode())
            path.chmod(mode)
            for use in (guard.reload, self.world.guard, lambda: ztl.Engine.from_file(path)):
                with self.assertRaisesRegex(ztl.PolicyError, "chmod go-w"):
                    use()
        self.assertEqual(guard.judge(self.world.asked()).peer_id, spiffe("router"))
        path.chmod(0o644)
        guard.reload()
        with self.assertRaises(ztl.Denied):
            guard.judge(self.world.asked())

    def test_t6_a_key_or_bundle_that_everybody_may_write_is_refused(self) -> None:
        for name in ("model-server.pem", "model-server.key", "bundle.pem"):
            path = self.world.path / name
            path.chmod(0o646)
            with self.assertRaisesRegex(PermissionError, "chmod o-w"):
                self.world.guard()
            path.chmod(0o600)
        self.world.guard()

    def test_what_could_keep_its_reader_for_ever_is_no_file(self) -> None:
        pipe = self.world.path / "pipe"
        os.mkfifo(pipe)
        for path in (pipe, pathlib.Path("/dev/zero")):
            with self.assertRaisesRegex(ValueError, "no regular file"):
                files.read(path)
        (self.world.path / "long").write_bytes(b"x" * 11)
        with self.assertRaisesRegex(ValueError, "more than 10 bytes"):
            files.read(self.world.path / "long", 10)

    def test_what_was_refused_for_a_passing_reason_is_tried_again(self) -> None:
        guard, tries = self.world.guard(check_every=0.02), []

        def once(path: Any) -> bytes:
            tries.append(path)
            if len(tries) == 1:
                raise PermissionError(13, "not yet")
            return NO_RULES.encode()

        self.world.write("policy.toml", POLICY.encode() + b"\n")
        with mock.patch("ztl.files.policy", once), self.assertLogs("ztl") as logs:
            self.assertTrue(until(lambda: guard.look() or len(tries) > 1, 5))
        self.assertEqual(len(logs.records), 1)
        with self.assertRaises(ztl.Denied):
            guard.judge(self.world.asked())

    def test_law_8_what_half_fails_is_judged_again_all_the_same(self) -> None:
        guard, told = self.world.guard(), []
        guard.watch(lambda: told.append(guard.generation))
        before = guard.generation
        self.world.write("bundle.pem", Authority().pem + self.world.authority.pem)
        with mock.patch.object(guard._judge, "forget", side_effect=MemoryError), self.assertRaises(MemoryError):
            guard.reload()
        # The authorities of before are in force no more.
        self.assertEqual((told, guard.generation), ([before + 1], before + 1))
        guard.reload()
        self.assertEqual(guard.generation, before + 1)

    def test_law_8_a_bundle_document_in_place_of_pem_ends_whom_it_does_not_prove(self) -> None:
        other = Authority()
        self.world.write("bundle.pem", self.world.authority.document())
        guard, told = self.world.guard(), []
        guard.watch(lambda: told.append(guard.generation))
        self.assertEqual(guard.judge(self.world.asked()).peer_id, spiffe("router"))
        self.assertEqual(guard.ssl_context().get_ca_certs(binary_form=True), tls.ders(self.world.authority.pem))
        # From PEM to a document, and to one that proves nobody.
        for content, proves in (
            (self.world.authority.pem, True), (self.world.authority.document(), True), (other.document(), False),
            (b'{"keys": []}', False), (self.world.authority.pem, True),
        ):
            self.world.write("bundle.pem", content)
            before = len(told)
            guard.reload()
            self.assertEqual(len(told), before + 1)
            shown = other if content == other.document() else None if content == b'{"keys": []}' else self.world.authority
            self.assertEqual(guard.ssl_context().get_ca_certs(binary_form=True), [] if shown is None else tls.ders(shown.pem))
            if proves:
                self.assertEqual(guard.judge(self.world.asked()).peer_id, spiffe("router"))
            else:
                with self.assertRaises(ztl.Denied):
                    guard.judge(self.world.asked())
        no_key = b'{"keys": [{"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": "", "y": "", "x5c": ["?"]}]}'
        for bad in (b"", b"{", b"[]", b'{"keys": [1]}', b'{"keys": {"x": 1}}', no_key, b"{" * 100_000):
            self.world.write("bundle.pem", bad)
            with self.assertRaises(ztl.BundleError, msg=bad[:40]):
                guard.reload()
            self.assertEqual(guard.judge(self.world.asked()).peer_id, spiffe("router"))
        self.assertEqual(len(told), before + 1)

    def test_a_signal_that_reloads_waits_for_nobody(self) -> None:
        guard, policy, nested = self.world.guard(), files.policy, []

        def interrupted(path: Any) -> bytes:
            found = policy(path)
            if not nested:
                # As a handler does, between two lines of what it interrupts: what changed after it was read is taken as well.
                nested.append(True)
                self.world.write("policy.toml", NO_RULES.encode())
                guard.reload()
            return found

        def reload() -> None:
            with mock.patch("ztl.files.policy", interrupted):
                guard.reload()

        thread = threading.Thread(target=reload, daemon=True)
        thread.start()
        thread.join(10)
        self.assertFalse(thread.is_alive(), "it waits for itself")
        with self.assertRaises(ztl.Denied):
            guard.judge(self.world.asked())

    def test_a_signal_that_reloads_while_a_context_is_made_leaves_it_whole(self) -> None:
        guard, as_files, loaded, nested = self.world.guard(), tls.as_files, [], []

        def interrupted(*contents: bytes) -> Any:
            if not nested:
                nested.append(True)
                self.world.svid("model-server", self.world.authority.issue(spiffe("model-server")))
                guard.reload()
            loaded.append(contents)
            return as_files(*contents)

        def make() -> None:
            with mock.patch("ztl.tls.as_files", interrupted):
                guard.ssl_context()

        thread = threading.Thread(target=make, daemon=True)
        thread.start()
        thread.join(10)
        self.assertFalse(thread.is_alive(), "it waits for itself")
        # It was about to load what was there before.
        self.assertEqual(loaded[-1], tuple(files.read(self.world.path / f"model-server.{end}") for end in ("pem", "key")))
        self.assertNotEqual(loaded[-2], loaded[-1])

    def test_t6_a_fork_while_a_change_is_taken_leaves_no_child_with_what_was(self) -> None:
        guard, read, parent = self.world.guard(check_every=0.02), files.policy, os.getpid()
        reading, forked = threading.Event(), threading.Event()

        def slow(path: Any) -> bytes:
            if os.getpid() == parent:
                reading.set()
                forked.wait(20)
            return read(path)

        def is_denied() -> bool:
            try:
                guard.judge(self.world.asked())
                return False
            except ztl.Denied:
                return True

        self.assertFalse(is_denied())
        with mock.patch("ztl.files.policy", slow):
            self.world.write("policy.toml", NO_RULES.encode())
            takes = threading.Thread(target=lambda: until(is_denied))
            takes.start()
            self.assertTrue(reading.wait(20))
            if (child := os.fork()) == 0:
                code = 9
                try:
                    code = 0 if until(is_denied, 5) else 1
                finally:
                    os._exit(code)
            forked.set()
            takes.join()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertTrue(is_denied())

    def test_t6_and_t25_a_process_that_is_forked_later_begins_with_what_is_there_then(self) -> None:
        # Its parent serves nobody, and so never looks; nor would the child within this test.
        guard, own = self.world.guard(check_every=3600), self.world.path / "model-server.pem"
        self.world.write("policy.toml", NO_RULES.encode())
        self.world.svid("model-server", self.world.authority.issue(spiffe("model-server")))
        for first in (lambda: guard.judge(self.world.asked()), guard.ssl_context):
            if (child := os.fork()) == 0:
                code = 9
                try:
                    with contextlib.suppress(ztl.Denied):
                        first()
                    try:
                        guard.judge(self.world.asked())
                        code = 1
                    except ztl.Denied:
                        code = 0 if guard._own[0] == own.read_bytes() else 2
                finally:
                    os._exit(code)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        # Its parent has what it had.
        self.assertEqual(guard.judge(self.world.asked()).peer_id, spiffe("router"))

    def test_t6_a_policy_that_is_being_written_is_not_taken(self) -> None:
        forbids = POLICY + '[[forbid]]\nname = "no-router"\nfrom = "router"\nto = "model-server"\nactions = "any"\n'
        whole, first = forbids.encode(), POLICY.encode()
        guard, path = self.world.guard(check_every=3600), self.world.path / "policy.toml"

        def half() -> threading.Thread:
            """Has half of it written, and the rest soon after."""
            self.world.write(path.name, first + b"\n")

            def rest() -> None:
                path.write_bytes(whole)

            timer = threading.Timer(0.1, rest)
            timer.start()
            return timer

        def in_child() -> None:
            if (child := os.fork()) == 0:
                code = 9
                try:
                    with self.assertLogs("ztl"):
                        guard.look()
                    # What it had, as long as it is not known what there is; then all of it, once it is looked at again.
                    code = 0 if guard._contents["policy"] == first else 1
                    guard.reload()
                    code = code or (0 if guard._contents["policy"] == whole else 2)
                finally:
                    os._exit(code)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

        def refused(use: Any) -> None:
            with self.assertRaisesRegex(ztl.PolicyError, "is being written.*rename it into place"):
                use()

        with mock.patch.object(files, "MOMENT", 0.5):
            for use in (in_child, lambda: refused(guard.reload), lambda: refused(self.world.guard)):
                writes = half()
                use()
                writes.join()
            self.assertEqual(guard.judge(self.world.asked()).peer_id, spiffe("router"))
            guard.reload()
            with self.assertRaises(ztl.Denied):
                guard.judge(self.world.asked())
            # What is in force is waited for by nobody, nor is a file that is older.
            for use in (guard.reload, self.world.guard):
                with mock.patch.object(files, "_YOUNG", 0.0 if use == self.world.guard else 1.0), mock.patch("time.sleep") as sleeps:
                    use()
                sleeps.assert_not_called()

    def test_t22_whom_nobody_shakes_hands_with_takes_its_next_svid_all_the_same(self) -> None:
        guard, own = self.world.guard(check_every=0.02), self.world.path / "model-server.pem"
        held, client = guard.ssl_context(), self.world.client("router")
        # As where the own SVID has ended: whoever calls ends the handshake, and nothing comes after it.
        client.verify_mode = ssl.CERT_REQUIRED
        self.world.svid("model-server", self.world.authority.issue(spiffe("model-server")))

        def is_taken() -> bool:
            to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
            ends = client.wrap_bio(back, to), held.wrap_bio(to, back, server_side=True)
            for end in (*ends, *ends):
                with contextlib.suppress(ssl.SSLError):
                    end.do_handshake()
            return guard._own[0] == own.read_bytes()

        self.assertTrue(until(is_taken, 5))

    def test_t34_a_server_has_one_context_until_what_it_shows_or_trusts_changes(self) -> None:
        guard, other = self.world.guard(), Authority()
        first = guard.ssl_context()
        call = guard.ssl_context(server_side=False, to="router", port=8443)
        self.assertNotIn(call, (first, guard.ssl_context(server_side=False, to="router", port=8443)))
        self.assertIs(guard.ssl_context(), first)
        self.world.write("policy.toml", NO_RULES.encode())
        guard.reload()
        self.assertIs(guard.ssl_context(), first)
        held = [first]
        for change in (
            lambda: self.world.svid("model-server", self.world.authority.issue(spiffe("model-server"))),
            lambda: self.world.write("bundle.pem", other.pem + self.world.authority.pem),
            lambda: self.world.write("bundle.pem", self.world.authority.pem),
        ):
            change()
            guard.reload()
            held.append(guard.ssl_context())
            self.assertIs(guard.ssl_context(), held[-1])
            # Those that were handed out before show it as well.
            self.assertEqual({self._shown(context)[0] for context in held}, {self.world.chain("model-server")[0]})
        self.assertEqual(len(set(map(id, held))), 4)
        # And nothing was written into them, of which another thread may make a connection just then.
        self.assertEqual([len(context.get_ca_certs()) for context in held], [1, 1, 2, 1])

    def test_law_8_a_context_that_is_kept_trusts_whom_the_bundle_of_now_does(self) -> None:
        guard, other = self.world.guard(), Authority()
        server, call = guard.ssl_context(), guard.ssl_context(server_side=False, to="router", port=8443)
        self.world.svid("renewed", other.issue(spiffe("router")))
        for of, accepted in ((self.world.authority, "router"), (other, "renewed"), (self.world.authority, "router")):
            self.world.write("bundle.pem", of.pem)
            # Its own SVID is checked by the bundle as well.
            self.world.svid("model-server", of.issue(spiffe("model-server")))
            guard.reload()
            for name in ("router", "renewed"):
                shown, accepts = self._shown(server, name)
                self.assertEqual((shown, accepts), (self.world.chain("model-server")[0], name == accepted))
                # A call gets as far as the policy, which permits none, with whom the bundle proves alone.
                with self.assertRaisesRegex(ssl.SSLError, "no_flow_permitted" if name == accepted else "CERTIFICATE_VERIFY_FAILED"):
                    self._called(call, name)

    def test_a_context_that_is_kept_keeps_its_alpn(self) -> None:
        guard = self.world.guard()
        held, client = guard.ssl_context(), self.world.client("router")
        client.set_alpn_protocols(["http/1.1", "h2"])
        for offered in (["h2"], ["http/1.1"]):
            held.set_alpn_protocols(offered)
            for _ in range(2):
                to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
                server = held.wrap_bio(to, back, server_side=True)
                self._shake(client.wrap_bio(back, to), server)
                self.assertEqual([server.selected_alpn_protocol()], offered)
                self.world.svid("model-server", self.world.authority.issue(spiffe("model-server")))
                guard.reload()

    def test_a_listening_socket_that_was_wrapped_shows_what_is_there_when_somebody_calls(self) -> None:
        guard = self.world.guard(port=None)
        with guard.ssl_context().wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as listening:
            for _ in range(3):
                def accept() -> None:
                    with contextlib.suppress(OSError):
                        listening.accept()[0].close()

                thread = threading.Thread(target=accept, daemon=True)
                thread.start()
                with socket.create_connection(listening.getsockname(), 10) as plain, self.world.client("router").wrap_socket(plain) as tls:
                    self.assertEqual(tls.getpeercert(True), self.world.chain("model-server")[0])
                thread.join(10)
                self.world.svid("model-server", self.world.authority.issue(spiffe("model-server")))
                guard.reload()

    def _shown(self, context: ssl.SSLContext, name: str = "router") -> Any:
        """What a server shows, and whether it accepts its client."""
        to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client, server = self.world.client(name).wrap_bio(back, to), context.wrap_bio(to, back, server_side=True)
        try:
            self._shake(client, server)
            return client.getpeercert(True), True
        except ssl.SSLError:
            return client.getpeercert(True), False

    def _called(self, context: ssl.SSLContext, name: str) -> None:
        to, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(self.world.path / f"{name}.pem", self.world.path / f"{name}.key")
        self._shake(context.wrap_bio(back, to), own.wrap_bio(to, back, server_side=True))

    def _shake(self, client: ssl.SSLObject, server: ssl.SSLObject) -> None:
        for end in (client, server, client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()

    def test_a_right_that_was_mended_is_a_change(self) -> None:
        path = self.world.path / "policy.toml"
        before = files.signature(path)
        threading.Event().wait(0.02)
        path.chmod(0o640)
        self.assertNotEqual(files.signature(path), before)
        self.assertIsNone(files.signature(self.world.path / "nothing"))


if __name__ == "__main__":
    unittest.main()
