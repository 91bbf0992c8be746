"""Configurations of gateways: templates filled with left and right, as one does by hand. Nothing is run here.

`gateway_files` gives paths and contents for one gateway: strongswan.conf, swanctl.conf and credentials, or what
libreswan wants instead.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from .addressing import Plan
from .credentials import Credentials, identity
from .scenario import Scenario
from .settings import Settings

__all__ = ["POOL", "File", "connection_name", "gateway_files", "swanctl_conf"]

_TEMPLATES = Path(__file__).parent / "templates"
#: Virtual addresses for travellers; inside tunnels only, so that labs side by side may have the same.
POOL = {"ipv4": "10.99.0.0/24", "ipv6": "fd99::/120"}


@dataclass(frozen=True, slots=True)
class File:
    """A file for a container."""

    content: bytes = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class _Side:
    """One end of a tunnel, as one gateway sees it."""

    me: str
    peer: str
    initiates: bool

    @property
    def name(self) -> str:
        return connection_name(*((self.me, self.peer) if self.initiates else (self.peer, self.me)))


def connection_name(initiator: str, responder: str) -> str:
    """What a tunnel is called in configurations."""
    return f"{initiator}-{responder}"


def gateway_files(scenario: Scenario, plan: Plan, node: str, credentials: Credentials, plane: str) -> dict[str, File]:
    """All files that a gateway needs, by their path in the container."""
    if scenario.implementations[node] == "libreswan":
        return _libreswan_files(scenario, plan, node, credentials)
    settings = scenario.settings[node]
    files = {
        "/etc/strongswan.conf": File(_strongswan_conf(settings, plane).encode(), 0o644),
        "/etc/swanctl/swanctl.conf": File(swanctl_conf(scenario, plan, node, credentials).encode()),
    }
    kind = "rsa" if settings.authentication.kind == "eap" else settings.authentication.kind
    if kind in ("rsa", "ecdsa"):
        files["/etc/swanctl/x509ca/authority.pem"] = File(credentials.authority(kind))
        if settings.authentication.kind != "eap" or not _is_client(scenario, node):
            own = credentials.certified(node, kind)
            files[f"/etc/swanctl/x509/{node}.pem"] = File(own.certificate)
            files[f"/etc/swanctl/private/{node}.pem"] = File(own.key)
    return files


def swanctl_conf(scenario: Scenario, plan: Plan, node: str, credentials: Credentials) -> str:
    """swanctl.conf of a gateway."""
    sides = _sides(scenario, node)
    connections = "".join(_connection(scenario, plan, side) for side in sides)
    text = f"connections {{\n{connections}}}\n\nsecrets {{\n"
    for side in sides:
        text += _secret(scenario, side, credentials)
    text += "}\n"
    if any(_is_client(scenario, side.peer) for side in sides):
        text += f"\npools {{\n    travellers {{\n        addrs = {POOL[plan.family]}\n    }}\n}}\n"
    return text


def _sides(scenario: Scenario, node: str) -> list[_Side]:
    sides = [_Side(node, peer, initiates=True) for me, peer in scenario.topology.tunnels if me == node]
    return sides + [_Side(node, peer, initiates=False) for peer, me in scenario.topology.tunnels if me == node]


def _strongswan_conf(settings: Settings, plane: str) -> str:
    return _template("strongswan.conf").substitute(
        # Whatever is named first and can do it is taken: XFRM of the kernel, or ESP in UDP by charon itself over a TUN.
        data_plane="kernel-libipsec" if plane == "userspace" else "",
        retransmit_seconds=f"{settings.ike.retransmit_seconds:g}",
        retransmit_tries=settings.ike.retransmit_tries,
        fragment_size=settings.ike.fragment_size,
    )


def _connection(scenario: Scenario, plan: Plan, side: _Side) -> str:
    settings = scenario.settings[side.me]
    ike, child = settings.ike, settings.child
    own_side, other_side = _selectors(scenario, plan, side)
    filled = _template("connection.conf").substitute(
        name=side.name,
        version=ike.version,
        aggressive=_yes(ike.aggressive),
        left=plan.wan_address(side.me),
        # A responder does not know where behind a NAT, or on which travels, its peer is.
        right="%any"
        if not side.initiates and (scenario.router.nat or _is_client(scenario, side.peer))
        else plan.wan_address(side.peer),
        ike_proposals=", ".join(ike.proposals),
        fragmentation=_yes(ike.fragmentation),
        ike_rekey=_ike_rekey(settings),
        dpd_delay=f"{ike.dpd_seconds}s",
        addresses_given=_addresses_given(scenario, plan, side),
        left_id=identity(side.me),
        right_id=identity(side.peer),
        left_auth=_auth(scenario, side, side.me, local=True),
        right_auth=_auth(scenario, side, side.peer, local=False),
        left_selectors=own_side,
        right_selectors=other_side,
        child_proposals=f"{child.protocol}_proposals = {', '.join(child.proposals)}",
        mode=child.mode,
        child_rekey=_child_rekey(settings),
    )
    return "".join(f"{line}\n" for line in filled.splitlines() if line.strip())


def _selectors(scenario: Scenario, plan: Plan, side: _Side) -> tuple[str, str]:
    child = scenario.settings[side.me].child
    if child.mode == "transport":  # the addresses of the peers themselves, which is what "dynamic" stands for
        return "", ""
    own = ",".join(child.selectors or plan.protected(side.me))
    other = ",".join(plan.protected(side.peer))
    return (
        "" if _is_client(scenario, side.me) else f"local_ts = {own}",
        "" if _is_client(scenario, side.peer) else f"remote_ts = {other}",
    )


def _addresses_given(scenario: Scenario, plan: Plan, side: _Side) -> str:
    if _is_client(scenario, side.me):
        return "vips = ::" if plan.family == "ipv6" else "vips = 0.0.0.0"
    return "pools = travellers" if _is_client(scenario, side.peer) else ""


def _auth(scenario: Scenario, side: _Side, node: str, *, local: bool) -> str:
    kind = scenario.settings[side.me].authentication.kind
    if kind == "psk":
        return "auth = psk"
    if kind == "eap" and _is_client(scenario, node):
        return "auth = eap-mschapv2\n            eap_id = " + identity(node)
    certificate = f"\n            certs = {node}.pem" if local else ""
    return f"auth = pubkey{certificate}"


def _secret(scenario: Scenario, side: _Side, credentials: Credentials) -> str:
    authentication = scenario.settings[side.me].authentication
    if authentication.kind == "psk":
        octets = credentials.secret(f"{authentication.secret} {side.name}")
        ids = f"id-1 = {identity(side.me)}\n        id-2 = {identity(side.peer)}"
        return f"    ike-{side.name} {{\n        {ids}\n        secret = 0s{b64encode(octets).decode()}\n    }}\n"
    if authentication.kind == "eap":
        client = side.me if _is_client(scenario, side.me) else side.peer
        password = credentials.password(client)
        return f'    eap-{client} {{\n        id = {identity(client)}\n        secret = "{password}"\n    }}\n'
    return ""


def _is_client(scenario: Scenario, node: str) -> bool:
    return scenario.topology.node(node).role == "client"


def _ike_rekey(settings: Settings) -> str:
    seconds = settings.ike.rekey_seconds
    if not seconds:
        return "rekey_time = 0s"
    # IKEv1 knows no rekeying of phase 1, only doing it all again.
    times = "reauth_time" if settings.ike.version == 1 else "rekey_time"
    return f"{times} = {seconds}s\n        over_time = 30s\n        rand_time = 0s"


def _child_rekey(settings: Settings) -> str:
    seconds = settings.child.rekey_seconds
    return (
        f"rekey_time = {seconds}s\n                life_time = {seconds + 30}s\n                rand_time = 0s"
        if (seconds)
        else "rekey_time = 0s"
    )


def _libreswan_files(scenario: Scenario, plan: Plan, node: str, credentials: Credentials) -> dict[str, File]:
    conf = _template("ipsec.conf").substitute()
    hidden = ""
    settings = scenario.settings[node]
    for side in _sides(scenario, node):
        conf += _template("conn.conf").substitute(
            name=side.name,
            ikev2="insist" if settings.ike.version == 2 else "never",
            left=plan.wan_address(side.me),
            left_id=identity(side.me),
            left_subnet=plan.protected(side.me)[0],
            right=plan.wan_address(side.peer),
            right_id=identity(side.peer),
            right_subnet=plan.protected(side.peer)[0],
            ike_proposals=",".join(settings.ike.proposals),
            child_proposals=",".join(settings.child.proposals),
            mode=settings.child.mode,
        )
        octets = credentials.secret(f"{settings.authentication.secret} {side.name}")
        hidden += f"@{identity(side.me)} @{identity(side.peer)} : PSK 0s{b64encode(octets).decode()}\n"
    return {"/etc/ipsec.conf": File(conf.encode(), 0o644), "/etc/ipsec.secrets": File(hidden.encode())}


def _yes(wanted: bool) -> str:
    return "yes" if wanted else "no"


def _template(name: str) -> Template:
    return Template((_TEMPLATES / name).read_text(encoding="utf-8"))
