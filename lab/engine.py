"""Docker, as far as the lab needs it: a thin layer over its SDK that turns its errors into sentences.

It knows containers, networks and labels, nothing of IPsec. No container is privileged; secrets travel as files.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from .addressing import BRIDGE_NUMBER, Subnet
from .errors import LabError
from .gateway import File
from .labels import LAB, NODE, is_abandoned

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

__all__ = ["Engine", "Output", "connect"]

#: How often another subnet is drawn where the engine says that one is taken.
_DRAWS = 30
#: At once: the engine does much of it one after the other anyway.
_WORKERS = 4
_POLL_SECONDS = 0.05
#: Seconds without an answer; commands in containers may be silent for long.
_TIMEOUT = 300


@dataclass(frozen=True, slots=True)
class Output:
    """What a command in a container left."""

    code: int
    text: str


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Errors of the SDK and of its transport become LabErrors."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        raise LabError(f"{doing}: {error.explanation or error}", slug="engine") from error
    except (RequestException, OSError) as error:
        advice = "once it does, `ipsecanalyze lab gc` removes what it still has"
        raise LabError(f"{doing}: Docker does not answer ({_plain(error)}); {advice}", slug="engine") from error
    except DockerException as error:
        raise LabError(f"{doing}: {_plain(error)}", slug="engine") from error


def connect() -> Engine:
    """The engine of the user's environment (DOCKER_HOST, or the local socket). Raises LabError with what to do."""
    try:
        import docker
        from docker.errors import DockerException
    except ImportError:
        raise LabError("the lab needs Docker's SDK: pip install 'ipsecanalyze[lab]'", slug="missing-tool") from None
    try:
        client = docker.from_env(timeout=_TIMEOUT)
        client.ping()
    except (DockerException, OSError) as error:
        text = _plain(error)
        if "Permission denied" in text:
            advice = "you may not talk to Docker: use sudo, or have yourself added to the group docker"
            raise LabError(f"{advice} ({text})", slug="permission") from error
        raise LabError(f"Docker does not answer; is it running? ({text})", slug="engine") from error
    return Engine(client)


class Engine:
    """One Docker engine."""

    def __init__(self, client: DockerClient) -> None:
        self.client = client

    def facts(self) -> dict[str, Any]:
        """What the engine says of itself."""
        with engine_errors("asking Docker about itself"):
            return dict(self.client.info())

    def create_network(
        self, name: str, labels: Mapping[str, str], draw: Callable[[set[IPv4Network]], Subnet]
    ) -> Subnet:
        """A bridge network with a subnet that `draw` gives, drawn again where it is taken."""
        from docker.errors import APIError
        from docker.types import IPAMConfig, IPAMPool

        refused: set[IPv4Network] = set()
        for _ in range(_DRAWS):
            subnet = draw(refused)
            pools = [IPAMPool(subnet=str(subnet.ipv4), gateway=str(subnet.ipv4[BRIDGE_NUMBER]))]
            if subnet.ipv6 is not None:
                pools.append(IPAMPool(subnet=str(subnet.ipv6), gateway=str(subnet.ipv6[BRIDGE_NUMBER])))
            try:
                self.client.networks.create(
                    name,
                    driver="bridge",
                    ipam=IPAMConfig(pool_configs=pools),
                    enable_ipv6=subnet.ipv6 is not None,
                    labels=dict(labels),
                    # Not "internal": the rules that Docker makes for that drop what gateways forward, on hosts where
                    # bridged packets pass iptables. Nothing leaves anyway: nodes have no route to the outside.
                    options={"com.docker.network.bridge.enable_ip_masquerade": "false"},
                )
            except APIError as error:
                if "overlap" not in str(error).lower():
                    raise LabError(f"creating network {name}: {error.explanation or error}", slug="engine") from error
                refused.add(subnet.ipv4)
            else:
                return subnet
        raise LabError(f"creating network {name}: all of {_DRAWS} subnets of 198.18.0.0/15 are taken", slug="engine")

    def create_container(
        self,
        name: str,
        image: str,
        labels: Mapping[str, str],
        *,
        networks: Mapping[str, tuple[str, str | None]],
        sysctls: Mapping[str, str],
        command: Sequence[str],
        files: Mapping[str, File],
    ) -> Container:
        """A container, not started, in these networks (name → its IPv4 and IPv6 address), with these files in it.

        Without networks it has none but the loopback.
        """
        api = self.client.api
        with engine_errors(f"creating container {name}"):
            first, *others = networks or ("none",)
            container_id = api.create_container(
                image,
                list(command),
                name=name,
                hostname=labels.get(NODE, name),
                labels=dict(labels),
                stop_signal="SIGKILL",
                host_config=api.create_host_config(
                    cap_add=["NET_ADMIN"],
                    devices=["/dev/net/tun:/dev/net/tun:rwm"],
                    sysctls=dict(sysctls),
                    network_mode=first,
                ),
                networking_config=(
                    api.create_networking_config({first: _endpoint(api, *networks[first])}) if networks else None
                ),
            )["Id"]
            container = self.client.containers.get(container_id)
            for network in others:
                ipv4, ipv6 = networks[network]
                self.client.networks.get(network).connect(container, ipv4_address=ipv4, ipv6_address=ipv6)
            container.put_archive("/", _archive(files))
        return container

    def start(self, container: Container) -> None:
        """Start it."""
        with engine_errors(f"starting container {container.name}"):
            container.start()

    def await_ready(self, container: Container, ready: str, seconds: float = 30.0) -> None:
        """Wait until it has said `ready`. Raises LabError with its last words where it dies first."""
        with engine_errors(f"waiting for container {container.name}"):
            end = time.monotonic() + seconds
            # Asked again and again: the SDK cannot give a followed log back before its end without leaking a socket.
            while True:
                # First this: what a container that has ended said is then all that it will say.
                container.reload()
                is_over = container.status != "running" or time.monotonic() > end
                said = bytes(container.logs())
                if ready.encode() in said:
                    return
                if is_over:
                    break
                time.sleep(_POLL_SECONDS)
        words = "; ".join(said.decode("utf-8", "replace").strip()[-600:].splitlines())
        raise LabError(f"container {container.name} did not come up: {words or 'it said nothing'}", slug="container")

    def run_once(self, image: str, labels: Mapping[str, str], command: Sequence[str]) -> str:
        """What a command says in a throw-away container without a network."""
        with engine_errors(f"running {command[0]} in a container"):
            container = self.client.containers.create(
                image,
                list(command),
                labels=dict(labels),
                network_mode="none",
                cap_add=["NET_ADMIN"],
                devices=["/dev/net/tun:/dev/net/tun:rwm"],
            )
            try:
                container.start()
                container.wait()
                return bytes(container.logs()).decode("utf-8", "replace")
            finally:
                container.remove(force=True)

    def execute(self, container: Container, command: Sequence[str]) -> Output:
        """Run a command inside; both its outputs together."""
        with engine_errors(f"running {command[0]} in {container.name}"):
            code, output = container.exec_run(list(command))
        return Output(-1 if code is None else code, output.decode("utf-8", "replace"))

    def read_file(self, container: Container, path: str) -> bytes | None:
        """A file's octets; None where there is none."""
        from docker.errors import NotFound

        with engine_errors(f"reading {path} in {container.name}"):
            try:
                pieces, _ = container.get_archive(path)
            except NotFound:
                return None
            with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
                member = archive.next()
                stream = archive.extractfile(member) if member is not None else None
                return stream.read() if stream is not None else None

    def container(self, name: str) -> Container:
        """Any container, by its name or id. Raises LabError where there is none, or it does not run."""
        from docker.errors import NotFound

        with engine_errors(f"looking for container {name}"):
            try:
                found = self.client.containers.get(name)
            except NotFound:
                raise LabError(f"there is no container {name!r}", slug="not-found") from None
        if found.status != "running":
            raise LabError(f"container {name!r} does not run: it is {found.status}", slug="container")
        return found

    def containers(self, lab: str | None = None) -> list[Container]:
        """All containers of a lab, or of all labs, stopped ones too."""
        with engine_errors("listing containers"):
            return list(self.client.containers.list(all=True, filters={"label": _filter(lab)}, ignore_removed=True))

    def networks(self, lab: str | None = None) -> list[Network]:
        """All networks of a lab, or of all labs."""
        with engine_errors("listing networks"):
            return list(self.client.networks.list(filters={"label": _filter(lab)}))

    def labs(self) -> dict[str, list[Container]]:
        """Lab id → its containers; labs of which only networks are left have none."""
        labs: dict[str, list[Container]] = {
            network.attrs["Labels"].get(LAB, ""): [] for network in self.networks() if network.attrs.get("Labels")
        }
        for container in self.containers():
            labs.setdefault(container.labels.get(LAB, ""), []).append(container)
        return labs

    def abandoned(self) -> dict[str, str]:
        """Lab id → why nobody wants it, or something in it, any more."""
        now = time.time()
        found: dict[str, str] = {}
        things = [container.labels for container in self.containers()]
        things += [network.attrs.get("Labels") or {} for network in self.networks()]
        for labels in things:
            reason = is_abandoned(labels, now)
            if reason:
                found.setdefault(labels.get(LAB, ""), reason)
        return found

    def remove(self, lab: str, *, abandoned: bool = False) -> tuple[int, int]:
        """Remove all of a lab; returns how many containers and networks there were. What is gone already is fine.

        `abandoned`: only what nobody wants any more. A sidecar whose process was killed may be in a lab that goes on.
        Raises LabError at the end with all that could not be removed.
        """
        containers, networks = self.containers(lab), self.networks(lab)
        if abandoned:
            now = time.time()
            containers = [one for one in containers if is_abandoned(one.labels, now)]
            networks = [one for one in networks if is_abandoned(one.attrs.get("Labels") or {}, now)]
        problems: list[str] = []
        with ThreadPoolExecutor(_WORKERS) as pool:
            removals = [partial(one.remove, force=True, v=True) for one in containers]
            problems += [text for text in pool.map(_problem, removals) if text]
        problems += [text for network in networks if (text := _problem(network.remove))]
        if problems:
            raise LabError(f"lab {lab}: not removed: {'; '.join(problems)}", slug="engine")
        return len(containers), len(networks)


def _problem(remove: Callable[[], object]) -> str:
    from docker.errors import APIError, NotFound

    try:
        remove()
    except NotFound:
        return ""
    except APIError as error:
        # Somebody else (another `down`) is at it.
        return "" if "already in progress" in str(error) else str(error.explanation or error)
    return ""


def _endpoint(api: Any, ipv4: str, ipv6: str | None) -> Any:
    return api.create_endpoint_config(ipv4_address=ipv4, ipv6_address=ipv6)


def _archive(files: Mapping[str, File]) -> bytes:
    """A tar of these files, owned by root."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, file in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode, entry.mtime = len(file.content), file.mode, int(time.time())
            archive.addfile(entry, io.BytesIO(file.content))
    return stream.getvalue()


def _filter(lab: str | None) -> str:
    return LAB if lab is None else f"{LAB}={lab}"


def _plain(error: BaseException) -> str:
    """The innermost cause, which is what says something: the layers around it only repeat themselves."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return str(error) or type(error).__name__
