"""The header fields in which a proxy says whom it speaks for: taken away from everybody who is not trusted to say so (T12)."""

from __future__ import annotations

from typing import FrozenSet, Iterable, Tuple

#: As `Engine.reads` calls them.
FIELDS = frozenset({"x-forwarded-client-cert", "forwarded"})
_NAMES = frozenset(name.encode() for name in FIELDS)
#: As WSGI calls them.
VARIABLES = {"HTTP_" + name.upper().replace("-", "_"): name for name in FIELDS}


def said_in(headers: Iterable[Tuple[bytes, bytes]]) -> FrozenSet[str]:
    """Those of these fields that a request has, by whatever name somebody could take them for that."""
    return frozenset(plain.decode() for plain in (_plain(name) for name, _ in headers) if plain in _NAMES)


def is_trusted(name: bytes, passes: FrozenSet[str]) -> bool:
    """Whether a field is none of them, or one that the caller is trusted with."""
    plain = _plain(name)
    return plain not in _NAMES or (plain == name.lower() and plain.decode() in passes)


def _plain(name: bytes) -> bytes:
    # Who reads fields as CGI named them takes one sign for the other.
    return name.lower().replace(b"_", b"-")
