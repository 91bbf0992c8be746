"""Every error and notice of the library: one small tree, each with a slug.

An *error* ends the call that raised it. A *notice* is stored with the result and the analysis goes on:
nothing is thrown away silently. No module of the package is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "CaptureError",
    "DecryptError",
    "IpsecAnalyzeError",
    "KeyFileError",
    "Notice",
    "UsageError",
    "WireError",
]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader of a result should know: what, where, what to do.

    `frame` counts packets of the capture from 1 (as tcpdump and Wireshark do); `offset` is in octets, from the
    start of the file for notices about the file and from the start of the IKE message or packet otherwise.
    """

    slug: str
    message: str
    frame: int | None = None
    offset: int | None = None


class IpsecAnalyzeError(Exception):
    """The base of all errors that the library raises on purpose."""

    slug = "error"


class UsageError(IpsecAnalyzeError):
    """The caller asked for something that cannot be: an unknown column, a missing optional package."""

    slug = "usage"


class CaptureError(IpsecAnalyzeError):
    """A capture could not be read at all (damage further on is a `Notice`, not an error)."""

    slug = "unreadable-capture"

    def __init__(self, message: str, *, path: str | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return where + super().__str__()


class KeyFileError(IpsecAnalyzeError):
    """A file of keys could not be read at all (lines that could not be read are `KeyRing.problems`, not errors)."""

    slug = "unreadable-key-file"

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        if self.line is not None:
            where += f"line {self.line}: "
        return where + super().__str__()


class WireError(IpsecAnalyzeError):
    """Octets that are not what the protocol says; `offset` is relative to the buffer that was parsed."""

    slug = "malformed"

    def __init__(self, message: str, *, layer: str, offset: int, slug: str = "malformed") -> None:
        super().__init__(message)
        self.layer = layer
        self.offset = offset
        self.slug = slug


class DecryptError(IpsecAnalyzeError):
    """Something could not be opened, verified or derived; `slug` says which of the known causes it was.

    Of packets and messages: "icv" (the checksum is wrong: another key, or another message than was sent), "padding",
    "length" (no whole number of cipher blocks), "too-short", "truncated" (the capture cut it), "wrong-key" (what came
    out is no sense, and there is no checksum), "malformed", "fragments", "no-encrypted-payload". Of keys and
    algorithms: "unsupported", "key-length", "salt-length", "icv-length", "missing-key", "certificate". No text holds
    a secret.
    """

    slug = "not-decrypted"

    def __init__(self, reason: str, *, slug: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.slug = slug
