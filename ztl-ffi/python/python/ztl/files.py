"""Files of the host: read once, whole, within a bound, and not where others could have written them (T6)."""

from __future__ import annotations

import os
import stat
import time
from typing import Any, Optional, Type, Union

from ztl.errors import PolicyError

Path = Union[str, "os.PathLike[str]"]

#: Most bytes of a certificate, key or bundle file that are read.
MOST = 1024 * 1024
#: Most bytes of revocation lists; the library says how many it takes.
MOST_CRLS = 16 * 1024 * 1024 + 1
#: Most bytes of a policy; the library takes less by one.
MOST_POLICY = 64 * 1024 * 1024 + 1


def policy(path: Path) -> bytes:
    """A policy document. One that its group or others may write is refused: whoever may write it could permit themselves."""
    return _read(path, MOST_POLICY, stat.S_IWGRP | stat.S_IWOTH, PolicyError)


#: Somebody may be writing a file that changed less than so many seconds ago; it is read again after a moment.
_YOUNG, MOMENT = 1.0, 0.5


def settled_policy(path: Path, known: Optional[bytes] = None) -> bytes:
    """The same, which nobody is writing just then unless it is `known`: what a first half does not say is not forbidden (T6)."""
    found = policy(path)
    # Looked at afterwards: what was written before it was read whole makes it young.
    if found != known and _is_young(path):
        time.sleep(MOMENT)
        if policy(path) != found:
            raise PolicyError(f"{os.fspath(path)!r} is being written; write another file and rename it into place")
    return found


def _is_young(path: Path) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return True
    return max(found.st_mtime, found.st_ctime) > time.time() - _YOUNG


def read(path: Path, most: int = MOST) -> bytes:
    """A certificate, key, bundle, revocation list or key set. One that everybody may write is refused."""
    return _read(path, most, stat.S_IWOTH, PermissionError)


def _read(path: Path, most: int, refused: int, exposed: Type[Exception]) -> bytes:
    """Type, rights and bytes are those of one open file, whatever is put in its place meanwhile."""
    name = os.fspath(path)
    with open(path, "rb", opener=_opened) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{name!r} is no regular file, and could keep its reader for ever")
        if os.name == "posix" and found.st_mode & refused:
            who, mend = ("its group or by others", "go-w") if refused & stat.S_IWGRP else ("everybody", "o-w")
            raise exposed(f"{name!r} may be written by {who} (mode {stat.S_IMODE(found.st_mode):o}); `chmod {mend}` it")
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name!r} has more than {most} bytes")
    return content


def _opened(path: str, flags: int) -> int:
    # A pipe would wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def signature(path: Path) -> Any:
    """What changes with a file, and with the rights to it; `None` of one that is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
