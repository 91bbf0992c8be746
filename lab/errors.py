"""What goes wrong in a lab: one error, whose text says what to do about it. It never holds a secret."""

from __future__ import annotations

from ipsecanalyze.errors import IpsecAnalyzeError

__all__ = ["LabError"]


class LabError(IpsecAnalyzeError):
    """Something of the lab did not work: the engine, a container, a scenario file.

    `slug` says which kind: "engine", "permission", "image", "scenario", "container", "capture", "keys", "missing-tool",
    "not-found", "plane", "traffic".
    """

    def __init__(self, message: str, *, slug: str = "lab") -> None:
        super().__init__(message)
        self.slug = slug
