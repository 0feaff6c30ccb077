"""The files of a guard: who may write them, and when a change of them is taken."""

import os
import pathlib
import threading
import unittest
from typing import Any
from unittest import mock

import ztl
from ztl import files

from world import NO_RULES, POLICY, World, spiffe, until


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

    def test_a_right_that_was_mended_is_a_change(self) -> None:
        path = self.world.path / "policy.toml"
        before = files.signature(path)
        threading.Event().wait(0.02)
        path.chmod(0o640)
        self.assertNotEqual(files.signature(path), before)
        self.assertIsNone(files.signature(self.world.path / "nothing"))


if __name__ == "__main__":
    unittest.main()
