"""What the lab makes of the engine's answers, with an engine made of paper."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

docker = pytest.importorskip("docker", reason="the lab needs Docker's SDK: pip install 'ipsecanalyze[lab]'")
from docker.errors import APIError, DockerException, NotFound  # noqa: E402

from ipsecanalyze.lab import Lab, LabError  # noqa: E402
from ipsecanalyze.lab import lab as lab_module  # noqa: E402
from ipsecanalyze.lab.addressing import draw_subnet  # noqa: E402
from ipsecanalyze.lab.dataplane import TRIES, DataPlane, choose_plane, why_not  # noqa: E402
from ipsecanalyze.lab.doctor import examine  # noqa: E402
from ipsecanalyze.lab.engine import Engine, connect  # noqa: E402
from ipsecanalyze.lab.existing import find_container, find_lab  # noqa: E402
from ipsecanalyze.lab.labels import LAB, NODE, Mark  # noqa: E402
from ipsecanalyze.lab.scenario import load_scenario  # noqa: E402


class Thing:
    """A container or network."""

    def __init__(self, name: str, labels: dict[str, str], error: Exception | None = None) -> None:
        self.name, self.labels, self.error = name, labels, error
        self.attrs: dict[str, Any] = {"Labels": labels}
        self.status, self.removed = "running", 0

    def remove(self, **_: object) -> None:
        self.removed += 1
        if self.error is not None:
            raise self.error


def paper(containers: list[Thing], networks: list[Thing]) -> Engine:
    def chosen(things: list[Thing], filters: dict[str, str]) -> list[Thing]:
        key, _, value = filters["label"].partition("=")
        return [thing for thing in things if key in thing.labels and value in ("", thing.labels[key])]

    def get(name: str) -> Thing:
        for thing in containers:
            if thing.name == name:
                return thing
        raise NotFound("no such container")

    client = SimpleNamespace(
        containers=SimpleNamespace(list=lambda filters, **_: chosen(containers, filters), get=get),
        networks=SimpleNamespace(list=lambda filters, **_: chosen(networks, filters)),
    )
    return Engine(client)  # type: ignore[arg-type]


def test_removing_takes_what_has_the_label_and_no_more() -> None:
    mine, other = {LAB: "abc"}, {LAB: "xyz"}
    containers = [Thing("a", mine), Thing("gone", mine, NotFound("gone")), Thing("b", other), Thing("c", {})]
    networks = [Thing("n", mine), Thing("m", other)]
    assert paper(containers, networks).remove("abc") == (2, 1)
    assert [thing.removed for thing in containers + networks] == [1, 1, 0, 0, 1, 0]


def test_gc_leaves_what_somebody_wants_of_a_lab() -> None:
    lab = Mark("abc", "ikev2-psk", 600, attended=False)
    dead = lab.labels() | {"ipsecanalyze.lab.creator": f"{socket.gethostname()} 1 0"}
    containers = [Thing("moon", lab.labels("moon")), Thing("sidecar", dead)]
    networks = [Thing("wan", lab.labels())]
    engine = paper(containers, networks)
    assert list(engine.abandoned()) == ["abc"]
    assert engine.remove("abc", abandoned=True) == (1, 0)
    assert [thing.removed for thing in containers + networks] == [0, 1, 0]


def test_removing_goes_on_and_tells_all_that_went_wrong() -> None:
    mine = {LAB: "abc"}
    things = [Thing("a", mine, APIError("first")), Thing("b", mine), Thing("c", mine, APIError("second"))]
    network = Thing("n", mine, APIError("has active endpoints"))
    with pytest.raises(LabError, match=r"first.*second.*has active endpoints"):
        paper(things, [network]).remove("abc")
    assert all(thing.removed for thing in [*things, network])


def test_finding_labs_and_containers() -> None:
    engine = paper([Thing("lab-abc-moon", {LAB: "abc", NODE: "moon"}), Thing("mine", {})], [])
    assert find_lab(engine, None) == "abc"
    assert find_lab(engine, "a") == "abc"
    with pytest.raises(LabError, match="there is no lab 'x'"):
        find_lab(engine, "x")
    assert find_container(engine, "moon").name == "lab-abc-moon"
    assert find_container(engine, "mine").name == "mine"
    with pytest.raises(LabError, match="no container 'eve'"):
        find_container(engine, "eve")
    with pytest.raises(LabError, match="no lab is up"):
        find_lab(paper([], []), None)


def test_two_labs_have_to_be_told_apart() -> None:
    two = [Thing(f"lab-{lab}-moon", {LAB: lab, NODE: "moon"}) for lab in ("abc", "abd")]
    with pytest.raises(LabError, match="which lab"):
        find_lab(paper(two, []), "ab")
    with pytest.raises(LabError, match="several labs have a moon"):
        find_container(paper(two, []), "moon")


def test_a_container_that_does_not_run() -> None:
    one = Thing("mine", {})
    one.status = "exited"
    with pytest.raises(LabError, match="it is exited"):
        find_container(paper([one], []), "mine")


@pytest.mark.parametrize("overlaps", [0, 3, 1000])
def test_subnets_are_drawn_again(overlaps: int) -> None:
    asked: list[str] = []

    def create(_: str, **settings: Any) -> None:
        asked.append(settings["ipam"]["Config"][0]["Subnet"])
        if len(asked) <= overlaps:
            raise APIError("Pool overlaps with other one on this address space")

    engine = Engine(SimpleNamespace(networks=SimpleNamespace(create=create)))  # type: ignore[arg-type]
    import random

    lot = random.Random(1)
    if overlaps == 1000:
        with pytest.raises(LabError, match="are taken"):
            engine.create_network("n", {}, lambda taken: draw_subnet("ipv4", taken, lot))
        return
    subnet = engine.create_network("n", {}, lambda taken: draw_subnet("ipv4", taken, lot))
    assert len(set(asked)) == len(asked) == overlaps + 1
    assert str(subnet.ipv4) == asked[-1]


def test_up_undoes_itself(monkeypatch) -> None:
    engine = paper([], [])
    removed: list[str] = []
    engine.remove = lambda lab: removed.append(lab) or (0, 0)  # type: ignore[method-assign, assignment, func-returns-value]
    monkeypatch.setattr(lab_module, "ensure_image", lambda *_: "image")

    def refuse(*_: object) -> None:
        raise LabError("no more networks")

    engine.create_network = refuse  # type: ignore[method-assign, assignment]
    lab = Lab("ikev2-psk", engine=engine, plane=able())
    with pytest.raises(LabError, match="no more networks"):
        lab.up()
    assert removed == [lab.id]


def able(**failures: str) -> DataPlane:
    return DataPlane(dict.fromkeys(TRIES, "") | failures)


def test_data_planes() -> None:
    psk, transport, ah, nat = (load_scenario(n) for n in ("ikev2-psk", "transport-mode", "ah", "nat-traversal"))
    assert choose_plane(psk, able()) == "kernel"
    assert choose_plane(psk, able(esp="not supported")) == "userspace"
    with pytest.raises(LabError, match="not supported"):
        choose_plane(transport, able(esp="not supported"))
    assert not why_not(transport, able(ah="no"))
    assert "AH" in why_not(ah, able(ah="no"))
    assert "neither" in why_not(psk, able(esp="no", tun="no such device"))
    assert "nftables" in why_not(nat, able(nat="no"))


@pytest.mark.parametrize(
    ("error", "slug", "text"),
    [
        (DockerException("Error while fetching server API version: Permission denied"), "permission", "group docker"),
        (DockerException("Connection refused"), "engine", "is it running"),
    ],
)
def test_no_engine_is_told_with_what_to_do(monkeypatch, error: Exception, slug: str, text: str) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(docker, "from_env", fail)
    with pytest.raises(LabError, match=text) as caught:
        connect()
    assert caught.value.slug == slug
    findings = list(examine())
    assert [one.topic for one in findings] == ["machine", "docker"]
    assert findings[-1].good is False


def test_without_tcpdump_a_sidecar_captures(monkeypatch) -> None:
    from ipsecanalyze.lab import tap

    monkeypatch.setattr(tap.shutil, "which", lambda _: None)
    container: Any = SimpleNamespace(name="moon", attrs={"NetworkSettings": {"SandboxKey": "/"}})
    assert tap.choose_method(container) == "sidecar"
    one = tap.Tap("moon wan", container, "eth0", "nsenter")
    with pytest.raises(LabError, match="apt install tcpdump") as caught:
        tap.open_stream(paper([], []), one, None)
    assert caught.value.slug == "missing-tool"
    with pytest.raises(LabError, match="needs the lab's image"):
        tap.open_stream(paper([], []), tap.Tap("moon wan", container, "eth0", "sidecar"), None)
