"""The lab with a real engine: every scenario proves itself, labs do not disturb each other, nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ipsecanalyze
from ipsecanalyze.lab import Lab, LabError, Step, load_scenario, run_scenario, scenario_names
from ipsecanalyze.lab import run as run_module
from ipsecanalyze.lab.capture import Recording
from ipsecanalyze.lab.dataplane import DataPlane, probe
from ipsecanalyze.lab.keys import KeySource
from ipsecanalyze.lab.labels import LAB
from ipsecanalyze.lab.verdict import check_captures

from .conftest import lacking

pytestmark = pytest.mark.docker

COMMAND = [sys.executable, "-m", "ipsecanalyze", "lab"]
_PLANES: dict[str, DataPlane] = {}


@pytest.fixture
def plane(engine: Any, image: str) -> DataPlane:
    """What this machine can do, tried once."""
    return _PLANES.setdefault(image, probe(engine, image)) if image not in _PLANES else _PLANES[image]


def things_of(engine: Any, condition: Callable[[dict[str, str]], bool]) -> list[str]:
    """Containers and networks whose labels fulfil a condition."""
    found = [one.name for one in engine.containers() if condition(one.labels)]
    return found + [one.name for one in engine.networks() if condition(one.attrs["Labels"])]


def left_of(engine: Any, lab: str) -> list[str]:
    return things_of(engine, lambda labels: labels.get(LAB) == lab)


def made_by(engine: Any, process: int) -> list[str]:
    return things_of(engine, lambda labels: f" {process} " in labels.get("ipsecanalyze.lab.creator", ""))


def processes_with(word: str) -> list[str]:
    """Command lines of running processes that have this word."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if word in line:
            lines.append(line)
    return lines


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize("name", scenario_names())
def test_scenario_proves_itself(name: str, engine: Any, plane: DataPlane, tmp_path: Path) -> None:
    run = run_scenario(name, folder=tmp_path, engine=engine, plane=plane)
    if run.skipped:
        if load_scenario(name).plane == "any":
            lacking(run.skipped)
        pytest.skip(run.skipped)
    assert run.proved, "\n".join(check.text for check in run.checks if not check.passed)
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["proved"] is True
    if run.comparison is not None:
        assert run.comparison.equal == run.comparison.lan == run.comparison.opened > 0
        assert run.keys is not None
        assert run.keys.confirmed > 0
        assert not run.keys.alone
        assert len(run.keys.sources) >= 3
    assert not left_of(engine, manifest["lab"])
    secrets = [path for path in run.folder.rglob("*") if path.is_file() and path.parent.name == "keys"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secrets)
    keys = ipsecanalyze.load_keys(run.folder / "keys") if secrets else ipsecanalyze.KeyRing()
    hidden = [key.encryption_key.hex() for key in keys.esp] + [key.sk_ei.hex() for key in keys.ike]
    hidden += [key.value.hex() for key in (*keys.psks, *keys.shared_secrets)]
    for path in run.folder.rglob("*"):
        if path.is_file() and path.parent.name != "keys":
            octets = path.read_bytes().lower().replace(b" ", b"")
            assert not any(secret.encode() in octets for secret in hidden if secret), path


def _loses(number: int, packets: Callable[[Any], Iterator[Any]]) -> Callable[[Any], Iterator[Any]]:
    return lambda one: (packet for place, packet in enumerate(packets(one)) if place != number)


def _forged(sources: list[KeySource]) -> list[KeySource]:
    for source in sources[:1]:
        keys = [replace(one, encryption_key=bytes(len(one.encryption_key))) for one in source.ring.esp]
        source.ring = ipsecanalyze.KeyRing([*keys, *source.ring.ike, *source.ring.shared_secrets])
    return sources


@pytest.mark.parametrize(
    ("place", "name", "sabotage", "text"),
    [
        (Recording, "_packets", lambda usual: _loses(30, usual), "inside, but not on the LAN"),
        (run_module, "lan_packets", lambda usual: _loses(20, usual), "inside, but not on the LAN"),
        (run_module, "lan_packets", lambda usual: _loses(0, lambda _: iter([b""])), "0 of 0 packets of the LAN side"),
        (run_module, "decrypt", lambda usual: lambda *given: list(usual(*given))[1:], "on the LAN, but not inside"),
        (run_module, "load_sources", lambda usual: lambda files: _forged(usual(files)), "have different keys"),
        (run_module, "load_sources", lambda usual: lambda files: usual(files[:1]), "itself told no keys"),
        (run_module, "load_sources", lambda usual: lambda _: [], "no source of keys had any"),
    ],
)
def test_a_run_that_lacks_something_does_not_prove_itself(
    monkeypatch, engine: Any, plane: DataPlane, tmp_path: Path, place: Any, name: str, sabotage: Any, text: str
) -> None:
    monkeypatch.setattr(place, name, sabotage(getattr(place, name)))
    run = run_scenario("ikev2-psk", folder=tmp_path, engine=engine, plane=plane)
    assert not run.proved
    assert any(text in check.text for check in run.checks if not check.passed), [check.text for check in run.checks]


@pytest.fixture
def lab(engine: Any, plane: DataPlane) -> Iterator[Lab]:
    """A lab that is up."""
    with Lab("ikev2-psk", engine=engine, plane=plane, seconds=600) as one:
        yield one


def test_two_labs_at_once(engine: Any, plane: DataPlane, lab: Lab) -> None:
    with Lab("ikev1-main", engine=engine, plane=plane, seconds=600) as other:
        assert not set(lab.plan.to_dict().values()) & set(other.plan.to_dict().values())
        for one in (lab, other):
            assert one.perform(Step("initiate")).worked
        for one in (lab, other):
            assert one.perform(Step("ping", "alice", "bob", count=3)).text.endswith("3 of 3 came back")
        # Nothing of one can be reached from the other.
        assert lab.run("alice", "ping", "-c", "1", "-W", "1", other.plan.host_address("bob")).code != 0
    assert not left_of(engine, other.id)
    assert lab.perform(Step("ping", "bob", "alice", count=3)).worked


def test_wired_by_hand_with_equal_addresses(engine: Any, plane: DataPlane) -> None:
    if os.geteuid() != 0:
        lacking("wiring by hand needs root")
    with Lab("ikev2-psk", engine=engine, plane=plane, wired=True) as one:
        with Lab("ikev2-psk", engine=engine, plane=plane, wired=True) as other:
            assert one.plan == other.plan
            assert not [thing for thing in engine.networks() if thing.attrs["Labels"][LAB] in (one.id, other.id)]
            for lab in (one, other):
                assert lab.perform(Step("initiate")).worked
                assert lab.perform(Step("ping", "alice", "bob")).text.endswith("5 of 5 came back")
        assert one.perform(Step("ping", "bob", "alice")).worked
        (sa,) = one.sas("moon")
        assert sa["moon-sun"]["state"] == "ESTABLISHED"
        (child,) = sa["moon-sun"]["child-sas"].values()
        assert int(child["packets-in"]) == 10
    assert not left_of(engine, one.id) + left_of(engine, other.id)


def test_wired_run(engine: Any, plane: DataPlane, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        lacking("wiring by hand needs root")
    run = run_scenario("nat-traversal", folder=tmp_path, engine=engine, plane=plane, wired=True)
    assert run.proved, "\n".join(check.text for check in run.checks if not check.passed)


def test_a_run_captured_by_sidecars(engine: Any, plane: DataPlane, tmp_path: Path) -> None:
    run = run_scenario("esp-aes-gcm", folder=tmp_path, engine=engine, plane=plane, method="sidecar")
    assert run.proved, "\n".join(check.text for check in run.checks if not check.passed)


def test_no_privileges_and_no_secrets_in_inspect(engine: Any, lab: Lab) -> None:
    conf = lab.run("moon", "cat", "/etc/swanctl/swanctl.conf").text
    (secret,) = re.findall(r"secret = 0s(\S+)", conf)
    for container in engine.containers(lab.id):
        container.reload()
        assert container.attrs["HostConfig"]["Privileged"] is False
        assert container.attrs["HostConfig"]["CapAdd"] == ["NET_ADMIN"]
        assert secret not in json.dumps(container.attrs)
    assert "600" in lab.run("moon", "stat", "-c", "%a", "/etc/swanctl/swanctl.conf").text


def test_down_twice(engine: Any, plane: DataPlane) -> None:
    one = Lab("no-proposal", engine=engine, plane=plane)
    one.up()
    assert left_of(engine, one.id)
    one.down()
    one.down()
    assert not left_of(engine, one.id)


def test_up_that_fails_half_way_leaves_nothing(engine: Any, plane: DataPlane, monkeypatch) -> None:
    one = Lab("ikev2-psk", engine=engine, plane=plane)
    monkeypatch.setattr("ipsecanalyze.lab.wiring._charon", lambda: ["echo charon is not there; exit 1"])
    with pytest.raises(LabError, match="charon is not there"):
        one.up()
    assert not left_of(engine, one.id)


def test_a_name_that_is_taken(engine: Any, plane: DataPlane, image: str) -> None:
    one = Lab("ikev2-psk", engine=engine, plane=plane)
    taken = engine.client.containers.create(image, name=one.container_name("sun"))
    try:
        with pytest.raises(LabError, match="already in use"):
            one.up()
        assert not left_of(engine, one.id)
    finally:
        taken.remove()


def test_a_container_that_dies(engine: Any, lab: Lab, tmp_path: Path) -> None:
    lab.containers["sun"].kill()
    result = lab.perform(Step("initiate", seconds=2))
    assert not result.worked
    with pytest.raises(LabError, match="not running"):
        lab.run("sun", "true")


@pytest.mark.parametrize("method", ["nsenter", "sidecar"])
def test_capture_of_a_foreign_container_into_a_pipe(engine: Any, image: str, method: str, tmp_path: Path) -> None:
    if method == "nsenter" and os.geteuid() != 0:
        lacking("entering namespaces needs root")
    script = "while :; do ping -c 1 -W 1 127.0.0.1 >/dev/null; sleep 0.1; done"
    foreign = engine.client.containers.run(image, ["sh", "-c", script], detach=True)
    try:
        command = [*COMMAND, "capture", foreign.id[:12], "-w", "-", "--method", method, "--seconds", "2"]
        with (tmp_path / "pipe.pcapng").open("wb") as target:
            done = subprocess.run(command, capture_output=True, check=True)
            target.write(done.stdout)
        with ipsecanalyze.open_capture(tmp_path / "pipe.pcapng") as reader:
            assert sum(b"abcdefgh" in packet.data or len(packet.data) > 60 for packet in reader) >= 4
        assert b"0 dropped by the kernel" in done.stderr
    finally:
        foreign.remove(force=True)
    everything = engine.client.containers.list(all=True, ignore_removed=True)
    assert not [one for one in everything if one.attrs["HostConfig"]["NetworkMode"] == f"container:{foreign.id}"]


@pytest.mark.parametrize("method", ["nsenter", "sidecar"])
@pytest.mark.parametrize(
    ("words", "text"), [(["-i", "eth9"], b"eth9"), (["-i", "wan", "--filter", "udp prt 500"], b"filter expression")]
)
def test_a_capture_that_cannot_start_says_so(lab: Lab, method: str, words: list[str], text: bytes) -> None:
    if method == "nsenter" and os.geteuid() != 0:
        lacking("entering namespaces needs root")
    command = [*COMMAND, "capture", lab.container_name("moon"), "--method", method, *words, "-w", os.devnull]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert done.returncode == 2
    assert b"did not start" in done.stderr
    assert text in done.stderr


def test_a_tcpdump_that_ends_by_itself_is_told(engine: Any, lab: Lab, tmp_path: Path) -> None:
    with lab.capture(tmp_path / "one.pcapng", [("moon", "wan"), ("moon", "lan-a")]) as recording:
        engine.client.networks.get(lab.network_name("wan")).disconnect(lab.containers["moon"])
        time.sleep(1)
    early = {name: count.early for name, count in recording.counts.items()}
    assert early == {"moon wan": True, "moon lan-a": False}
    assert [one.passed for one in check_captures(recording.counts)] == [False, True]


def test_capture_ends_when_nobody_reads_on(lab: Lab) -> None:
    name = lab.container_name("moon")
    with subprocess.Popen(
        [*COMMAND, "capture", name, "-i", "wan"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as one:
        assert one.stderr is not None
        assert b"listening" in one.stderr.readline()
        assert one.stdout is not None
        one.stdout.close()
        lab.perform(Step("initiate"))
        assert eventually(lambda: one.poll() is not None)
        one.stderr.read()


def test_capture_ends_at_a_signal_and_is_complete(engine: Any, lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "both.pcapng"
    command = [*COMMAND, "capture", lab.container_name("moon"), "-i", "wan", "-i", "lan-a", "-w", str(path)]
    environment = os.environ | {"SUDO_UID": "1234", "SUDO_GID": "1234"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as one:
        assert one.stderr is not None
        assert b"listening" in one.stderr.readline()
        lab.perform(Step("initiate"))
        lab.perform(Step("ping", "alice", "bob", count=5))
        one.send_signal(signal.SIGTERM)
        words = one.stderr.read()
        assert one.wait() == 0
    assert words.count(b"0 dropped by the kernel") == 2
    summary = ipsecanalyze.analyze(path).to_dict()
    assert [flow["packets"] for flow in summary["flows"]] == [5, 5]
    assert summary["captures"][0]["truncated_packets"] == 0
    assert b"moon wan" in path.read_bytes()
    assert b"moon lan-a" in path.read_bytes()
    if os.geteuid() == 0:
        assert path.stat().st_uid == 1234


def test_run_leaves_files_of_the_invoking_user(tmp_path: Path, image: str) -> None:
    if os.geteuid() != 0:
        lacking("only root can give files away")
    environment = os.environ | {"SUDO_UID": "1234", "SUDO_GID": "1234"}
    command = [*COMMAND, "run", "no-proposal", "--quiet", "-o", str(tmp_path / "runs")]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    files = [tmp_path / "runs", *(tmp_path / "runs").rglob("*")]
    assert len(files) > 10
    assert {path.stat().st_uid for path in files} == {1234}


@pytest.mark.parametrize(
    ("until", "number", "code"),
    [
        ("", signal.SIGINT, 130),
        ("is up", signal.SIGINT, 130),
        ("capturing on", signal.SIGTERM, 143),
        ("established", signal.SIGINT, 130),
    ],
)
def test_interrupt_at_any_stage_leaves_nothing(
    engine: Any, image: str, until: str, number: signal.Signals, code: int, tmp_path: Path
) -> None:
    command = [*COMMAND, "run", "ikev2-psk", "-o", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as one:
        assert one.stderr is not None
        if until:
            for line in one.stderr:
                if until.encode() in line:
                    break
        else:
            assert eventually(lambda: bool(made_by(engine, one.pid)))
        one.send_signal(number)
        one.stderr.read()
        assert one.wait() == code
    assert not made_by(engine, one.pid)


def test_kill_in_the_middle_and_gc(engine: Any, image: str, tmp_path: Path) -> None:
    command = [*COMMAND, "run", "rekey-pfs", "-o", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as one:
        assert one.stderr is not None
        lab = ""
        for line in one.stderr:
            found = re.search(rb"lab (\w+) is up", line)
            lab = found[1].decode() if found else lab
            if b"capturing on" in line:
                break
        containers = engine.containers(lab)
        sandboxes = [str(container.attrs["NetworkSettings"]["SandboxKey"]) for container in containers]
        one.kill()
        one.stderr.read()
    # What listened for us ends by itself; the containers stay until somebody asks.
    assert eventually(lambda: not any(processes_with(f"--net={sandbox}") for sandbox in sandboxes))
    assert left_of(engine, lab)
    done = subprocess.run([*COMMAND, "gc"], capture_output=True, text=True, check=True)
    assert f"{lab}: 4 containers and 3 networks removed" in done.stdout
    assert not left_of(engine, lab)


def test_doctor_names_what_it_takes(image: str) -> None:
    done = subprocess.run([*COMMAND, "doctor", "--format", "json"], capture_output=True, text=True, check=False)
    topics = {row["topic"] for row in json.loads(done.stdout)}
    assert {"machine", "docker", "capture", "image", "data plane", "scenarios"} <= topics


def test_by_hand(engine: Any, image: str, tmp_path: Path) -> None:
    """What the tutorial does."""

    def do(*words: str) -> str:
        done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    lab = do("up", "ikev1-main", "--quiet").strip()
    try:
        assert lab in do("status")
        moon = f"lab-{lab}-moon"
        assert "completed successfully" in do("exec", moon, "swanctl", "--initiate", "--child", "moon-sun")
        said = do("keys", lab, "-o", str(tmp_path / "keys"), "--to", "wireshark")
        assert "2 SAs have the same keys from each source" in said
        assert (tmp_path / "keys" / "esp_sa").stat().st_mode & 0o777 == 0o600
        capture = str(tmp_path / "wan.pcapng")
        do("capture", moon, "-i", "wan", "-w", capture, "--seconds", "0.5")
        do("keys", lab, "-o", str(tmp_path / "more"), "--to", "pcapng", "--capture", capture)
        with_keys = tmp_path / "more" / "wan-with-keys.pcapng"
        assert with_keys.stat().st_mode & 0o777 == 0o600
        assert len(ipsecanalyze.load_keys(with_keys).esp) == 2
    finally:
        do("down", lab)
    assert not left_of(engine, lab)
    do("down", lab)
