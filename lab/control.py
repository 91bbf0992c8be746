"""charon's control socket (vici), for what is easier to take as data than as text. Only on the engine's own machine."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from .errors import LabError

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["list_sas", "plain"]

#: Not below /var/run, a link to /run that would lead out of the container's files.
_SOCKET = "run/charon.vici"


def list_sas(container: Container) -> list[dict[str, Any]]:
    """The IKE SAs of a gateway with their Child SAs, as charon tells them; no keys are among it. Raises LabError.

    The socket is in the container's files, which root reaches by way of its first process.
    """
    try:
        import vici
    except ImportError:
        raise LabError("this needs the package vici: pip install 'ipsecanalyze[lab]'", slug="missing-tool") from None
    container.reload()
    path = f"/proc/{container.attrs['State']['Pid']}/root/{_SOCKET}"
    if os.geteuid() != 0:
        raise LabError("charon's socket belongs to root: use sudo", slug="permission")
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(path)
            return [plain(one) for one in vici.Session(connection).list_sas()]
        except OSError as error:
            raise LabError(f"{container.name}: charon does not answer: {error.strerror or error}") from error


def plain(value: Any) -> Any:
    """Octets become text, at any depth of what charon sends (which is little)."""
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
