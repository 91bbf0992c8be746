"""Who does ESP on this machine: the kernel (XFRM), or charon itself over a TUN device. Found out by trying.

One throw-away container without a network tries what scenarios need; each try is a line of a shell script.
"""

from __future__ import annotations

from dataclasses import dataclass

from .engine import Engine
from .errors import LabError
from .labels import Mark
from .scenario import Scenario

__all__ = ["TRIES", "DataPlane", "choose_plane", "probe", "why_not"]

_KEYS = "enc 'cbc(aes)' 0x00112233445566778899aabbccddeeff auth 'hmac(sha256)' 0x0011223344556677"
#: Name → (command, what it is for).
TRIES = {
    "esp": (
        f"ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001 mode tunnel {_KEYS}",
        "ESP in the kernel (CONFIG_INET_ESP)",
    ),
    "ah": (
        "ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto ah spi 0x1002 mode tunnel auth 'hmac(sha256)' 0x0011",
        "AH in the kernel (CONFIG_INET_AH)",
    ),
    "tun": ("ip tuntap add dev lab0 mode tun", "TUN devices, for ESP in userspace"),
    "nat": (
        (
            "nft 'add table ip lab; add chain ip lab post { type nat hook postrouting priority 100; }; "
            "add rule ip lab post masquerade'"
        ),
        "address translation (nftables), for the NAT router",
    ),
    "ipv6": ("cat /proc/sys/net/ipv6/conf/all/forwarding", "IPv6"),
}


@dataclass(frozen=True, slots=True)
class DataPlane:
    """What was found: try → "" where it worked, else why not."""

    failures: dict[str, str]

    def can(self, name: str) -> bool:
        """Whether this try worked."""
        return not self.failures[name]

    @property
    def usual(self) -> str:
        """The plane that is taken where a scenario does not care: "kernel" or "userspace"; "" where there is none."""
        return "kernel" if self.can("esp") else "userspace" if self.can("tun") else ""


def probe(engine: Engine, image: str) -> DataPlane:
    """Try it all."""
    lines = [f"echo 'BEGIN {name}'; {command} >/dev/null && echo OK" for name, (command, _) in TRIES.items()]
    labels = Mark("probe", "", 60, attended=True).labels()
    said = engine.run_once(image, labels, ["sh", "-c", "exec 2>&1; " + "; ".join(lines) + "; true"])
    failures = dict.fromkeys(TRIES, "was not tried")
    for part in said.split("BEGIN ")[1:]:
        name, _, words = part.partition("\n")
        if name in failures:
            failures[name] = "" if words.strip().endswith("OK") else " ".join(words.split()) or "failed"
    return DataPlane(failures)


def why_not(scenario: Scenario, plane: DataPlane) -> str:
    """Why this machine cannot carry a scenario; "" where it can."""
    wanted = (
        {settings.child.protocol for settings in scenario.settings.values()} if scenario.plane == "kernel" else set()
    )
    for name in sorted(wanted):
        if not plane.can(name):
            return f"it needs {TRIES[name][1]}, and the kernel says: {plane.failures[name]}"
    if not plane.usual:
        return f"there is neither {TRIES['esp'][1]} nor {TRIES['tun'][1]}: {plane.failures['tun']}"
    if scenario.router.nat and not plane.can("nat"):
        return f"it needs {TRIES['nat'][1]}: {plane.failures['nat']}"
    if scenario.family == "ipv6" and not plane.can("ipv6"):
        return f"it needs IPv6: {plane.failures['ipv6']}"
    return ""


def choose_plane(scenario: Scenario, plane: DataPlane) -> str:
    """The data plane that a scenario runs on here. Raises LabError where it cannot."""
    reason = why_not(scenario, plane)
    if reason:
        raise LabError(f"{scenario.name} cannot run here: {reason}", slug="plane")
    return plane.usual
