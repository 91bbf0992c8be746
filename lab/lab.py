"""A lab that runs: from a scenario to containers and back, as a context manager.

    with Lab("ikev2-psk") as lab:
        lab.perform(Step("initiate"))
        lab.run("alice", "ping", "-c", "3", lab.plan.host_address("bob"))

`up` undoes itself where it fails half-way; `down` removes all that carries the lab's label, and may be called again.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from . import control, keys, steps, wires
from .addressing import Plan, Subnet, draw_subnet
from .capture import Recording, recording
from .credentials import Credentials
from .dataplane import DataPlane, choose_plane, probe
from .engine import Engine, Output, connect
from .errors import LabError
from .gateway import File, gateway_files
from .image import ensure_image
from .labels import Mark
from .scenario import Scenario, Step, load_scenario
from .tap import Tap, choose_method, device_of
from .topology import Node
from .wiring import READY, SCRIPT, start_script, sysctls

if TYPE_CHECKING:
    from docker.models.containers import Container

__all__ = ["Lab", "new_lab_id"]

_WORKERS = 4


def _wholly(create: Callable[[], None]) -> None:
    """Do it to its end, also where this thread is interrupted meanwhile (once: who insists is obeyed).

    What the engine has been asked for and has not made yet, it would make after `down` has looked for what is there.
    """
    ended = Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            create()
        except BaseException as error:
            problems.append(error)
        finally:
            ended.set()

    thread: Thread | None = Thread(target=work, daemon=True)
    while not ended.is_set():
        try:
            if thread is not None:
                beginning, thread = thread, None
                beginning.start()
            ended.wait()
        except KeyboardInterrupt as interrupt:
            if problems:
                raise
            problems.append(interrupt)
    if problems:
        raise problems[0]


def new_lab_id() -> str:
    """A short name that no other lab has."""
    return secrets.token_hex(3)


class Lab:
    """One lab, of one scenario."""

    def __init__(
        self,
        scenario: Scenario | str,
        *,
        engine: Engine | None = None,
        plane: DataPlane | None = None,
        lab_id: str | None = None,
        seconds: int = 4 * 3600,
        attended: bool = True,
        wired: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`seconds`: how long it may live before `gc` takes it; `attended`: `gc` takes it too when this process ended.

        `wired`: networks are made by hand, not by Docker (`wires.py`; needs root).
        `plane` is what `probe` found, where that is known. `tell` gets a line for each thing that happens.
        """
        self.scenario = load_scenario(scenario) if isinstance(scenario, str) else scenario
        self.engine = engine or connect()
        self.id = lab_id or new_lab_id()
        self.credentials = Credentials()
        self.containers: dict[str, Container] = {}
        self.log_offsets: dict[str, int] = {}
        """Gateway → how far its log was awaited."""
        self.plane = ""
        """"kernel" or "userspace", once it is up."""
        self.plan: Plan
        """Its addresses, once it is up."""
        self._found_plane = plane
        self._wired = wired
        self._mark = Mark(self.id, self.scenario.name, seconds, attended=attended)
        self._tell = tell

    def up(self) -> None:
        """Create and start everything. Raises LabError, and leaves nothing behind then."""
        if self._wired:
            wires.check_rights()
        images = {name: ensure_image(self.engine, self._tell, name) for name in self._implementations()}
        self.image = images.get("strongswan") or ensure_image(self.engine, self._tell)
        if self._found_plane is None:
            self._found_plane = probe(self.engine, self.image)
        self.plane = choose_plane(self.scenario, self._found_plane)
        try:
            _wholly(self._create_switch if self._wired else self._create_networks)
            self._create_nodes(images)
            self._tell(f"lab {self.id} is up: {self.scenario.topology.picture} ({self.plane} data plane)")
        except BaseException:
            with suppress(LabError):
                self.down()
            raise

    def down(self) -> None:
        """Remove everything. Raises LabError with what could not be removed."""
        self.engine.remove(self.id)
        self.containers.clear()

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def run(self, node: str, *command: str) -> Output:
        """Run a command in a node."""
        if node not in self.containers:
            raise LabError(f"lab {self.id} has no node {node!r}", slug="not-found")
        return self.engine.execute(self.containers[node], command)

    def sas(self, gateway: str) -> list[dict[str, Any]]:
        """A gateway's SAs as charon's control socket tells them. Raises LabError where it cannot be reached."""
        if gateway not in self.containers:
            raise LabError(f"lab {self.id} has no node {gateway!r}", slug="not-found")
        return control.list_sas(self.containers[gateway])

    def perform(self, step: Step) -> steps.Result:
        """Let one thing happen. Raises LabError where it cannot even be tried."""
        return steps.perform(self, step)

    def tap(self, node: str, network: str, method: str = "") -> Tap:
        """Where to capture what a node sees of a network."""
        container = self.containers[node]
        container.reload()
        method = method or choose_method(container)
        if self._wired:
            return Tap(f"{node} {network}", container, network, method)
        if method == "host":
            found = self.engine.client.networks.get(self.network_name(network))
            return Tap(f"{network} bridge", container, f"br-{str(found.id)[:12]}", method)
        device = device_of(self.engine, container, self.plan.address(node, network, "ipv4"), method)
        return Tap(f"{node} {network}", container, device, method)

    @contextmanager
    def capture(
        self, path: str | Path, places: Sequence[tuple[str, str]], *, method: str = "", comment: str = ""
    ) -> Iterator[Recording]:
        """Capture into a pcapng what nodes see of networks, for as long as the context lasts.

        `places`: (node, network), as in `[("moon", "wan"), ("moon", "lan-a")]`; when the context begins, all listen.
        """
        taps = [self.tap(node, network, method) for node, network in places]
        with Path(path).open("wb") as stream, recording(self.engine, taps, stream, comment, self.image) as one:
            yield one

    def collect_keys(self, folder: Path) -> list[Path]:
        """Write all sources of keys into a folder; returns the files."""
        return keys.collect(self.engine, self.id, folder)

    def container_name(self, node: str) -> str:
        """What Docker calls a node."""
        return f"lab-{self.id}-{node}"

    def network_name(self, network: str) -> str:
        """What Docker calls a network."""
        return f"lab-{self.id}-{network}"

    def _implementations(self) -> set[str]:
        return set(self.scenario.implementations.values())

    def _create_networks(self) -> None:
        lot = random.Random(secrets.randbits(64))  # noqa: S311 - addresses are no secret
        subnets: dict[str, Subnet] = {}
        for network in self.scenario.topology.networks:

            def draw(refused: set[IPv4Network]) -> Subnet:
                taken = refused | {subnet.ipv4 for subnet in subnets.values()}
                return draw_subnet(self.scenario.family, taken, lot)

            subnets[network] = self.engine.create_network(self.network_name(network), self._mark.labels(), draw)
        self.plan = Plan(self.scenario.topology, self.scenario.family, subnets)

    def _create_switch(self) -> None:
        self.plan = wires.equal_plan(self.scenario.topology, self.scenario.family)
        self._switch = self.engine.create_container(
            self.container_name(wires.SWITCH),
            self.image,
            self._mark.labels(wires.SWITCH),
            networks={},
            sysctls={},
            command=["sh", str(SCRIPT)],
            files={str(SCRIPT): wires.switch_script(self.scenario.topology, READY)},
        )
        self.engine.start(self._switch)
        self.engine.await_ready(self._switch, READY)

    def _create_nodes(self, images: dict[str, str]) -> None:
        nodes = self.scenario.topology.nodes.values()
        # What is drawn or generated is made here, one after the other; the threads only wait for the engine.
        files = {node.name: self._files(node) for node in nodes}
        with ThreadPoolExecutor(_WORKERS) as pool:
            futures = [pool.submit(partial(self._create_node, node, files[node.name], images)) for node in nodes]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _files(self, node: Node) -> dict[str, File]:
        files = {str(SCRIPT): start_script(self.scenario, self.plan, node, wired=self._wired)}
        if node.speaks_ike:
            files |= gateway_files(self.scenario, self.plan, node.name, self.credentials, self.plane)
        return files

    def _create_node(self, node: Node, files: dict[str, File], images: dict[str, str]) -> None:
        container = self.engine.create_container(
            self.container_name(node.name),
            images.get(self.scenario.implementations.get(node.name, "strongswan"), self.image),
            self._mark.labels(node.name),
            networks={}
            if self._wired
            else {
                self.network_name(network): (
                    self.plan.address(node.name, network, "ipv4"),
                    self.plan.address(node.name, network, "ipv6") if self.plan.family == "ipv6" else None,
                )
                for network in node.networks
            },
            sysctls=sysctls(node, self.plan.family),
            command=["sh", str(SCRIPT)],
            files=files,
        )
        self.containers[node.name] = container
        self.engine.start(container)
        if self._wired:
            wires.plug(self._switch, container, node)
        self.engine.await_ready(container, READY)
