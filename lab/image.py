"""The image that all nodes run: its name is a digest of what it is made of, so that it is built once, and again when
anything of that changes.

The base is `debian:bookworm-slim`; where nothing can be pulled, `bootstrap` makes one of Debian's packages.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from .engine import Engine, engine_errors
from .errors import LabError

__all__ = ["BOOTSTRAPPED", "bootstrap", "build_image", "ensure_image", "image_name", "mirror_of", "need_image"]

BOOTSTRAPPED = "ipsecanalyze-lab-base:bookworm"
_PULLED = "debian:bookworm-slim"
_SUITE = "bookworm"
_FOLDER = Path(__file__).parent / "container"
_PACKAGES = {
    "strongswan": "charon-systemd strongswan-swanctl libcharon-extra-plugins libcharon-extauth-plugins "
    "libstrongswan-extra-plugins libstrongswan-standard-plugins",
    "libreswan": "libreswan",
}
#: What is not needed to run anything in a container.
_LEFT_OUT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/cache/apt",
    "var/lib/apt/lists",
)
_EMPTIED = ("proc", "sys", "dev", "tmp", "run")
_SOURCES = Path("/etc/apt")

Tell = Callable[[str], None]


def image_name(implementation: str = "strongswan") -> str:
    """The image's name: what it is made of, as a digest."""
    digest = hashlib.sha256(_PACKAGES[implementation].encode())
    for path in sorted(_FOLDER.iterdir()):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"ipsecanalyze-lab-{implementation}:{digest.hexdigest()[:12]}"


def has_image(engine: Engine, name: str) -> bool:
    """Whether the engine has it."""
    from docker.errors import ImageNotFound

    with engine_errors(f"looking for image {name}"):
        try:
            engine.client.images.get(name)
        except ImageNotFound:
            return False
    return True


def need_image(engine: Engine, implementation: str = "strongswan") -> str:
    """The image's name. Raises LabError where it was not built yet."""
    name = image_name(implementation)
    if not has_image(engine, name):
        raise LabError("the image is not built yet: run `ipsecanalyze lab image`", slug="image")
    return name


def ensure_image(engine: Engine, tell: Tell, implementation: str = "strongswan") -> str:
    """The image's name; it is built where there is none."""
    name = image_name(implementation)
    return name if has_image(engine, name) else build_image(engine, tell, implementation)


def build_image(engine: Engine, tell: Tell, implementation: str = "strongswan") -> str:
    """Build it, telling each step; returns its name."""
    name = image_name(implementation)
    base = _base(engine, tell)
    tell(f"building {name} from {base}")
    arguments = {"BASE": base, "PACKAGES": _PACKAGES[implementation], **_proxies()}
    said: list[str] = []
    with engine_errors("building the image"):
        for event in engine.client.api.build(
            fileobj=_context(),
            custom_context=True,
            tag=name,
            rm=True,
            forcerm=True,
            decode=True,
            # What reaches Debian's mirror here reaches it there: a name server on this host, a proxy on localhost.
            network_mode="host",
            buildargs=arguments,
        ):
            line = str(event.get("stream", "")).strip()
            if line:
                said.append(line)
                if line.startswith("Step "):
                    tell(line)
            if "error" in event:
                words = "\n".join(said[-8:])
                raise LabError(f"the image could not be built: {event['error'].strip()}\n{words}", slug="image")
    return name


def bootstrap(engine: Engine, tell: Tell) -> str:
    """Make the base image of Debian's packages by debootstrap; returns its name. Needs root."""
    if shutil.which("debootstrap") is None:
        raise LabError("this needs debootstrap: apt install debootstrap", slug="missing-tool")
    if os.geteuid() != 0:
        raise LabError("debootstrap needs root: use sudo", slug="permission")
    mirror = mirror_of(_SOURCES)
    with tempfile.TemporaryDirectory(prefix="ipsecanalyze-lab-") as folder:
        root = Path(folder) / "root"
        tell(f"debootstrap {_SUITE} (a minute or two)")
        include = ["--include=ca-certificates"] if mirror and mirror.startswith("https:") else []
        # Without a mirror debootstrap takes one of its own.
        command = ["debootstrap", "--variant=minbase", *include, _SUITE, os.fspath(root), *([mirror] if mirror else [])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        finally:
            # It mounts /proc there and, interrupted, leaves it: nothing may be deleted through that.
            subprocess.run(["umount", "--quiet", os.fspath(root / "proc")], check=False, capture_output=True)  # noqa: S603, S607
        if done.returncode:
            raise LabError(
                f"debootstrap failed: {done.stdout[-400:].strip()} {done.stderr[-400:].strip()}", slug="image"
            )
        tell(f"importing as {BOOTSTRAPPED}")
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".", filter=_kept)
        repository, _, tag = BOOTSTRAPPED.partition(":")
        with engine_errors("importing the base image"):
            engine.client.api.import_image_from_file(os.fspath(archive), repository=repository, tag=tag)
    return BOOTSTRAPPED


def mirror_of(folder: Path) -> str | None:
    """The mirror that this machine's apt takes Debian from, of one-line and deb822 sources; None without one."""
    candidates = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]
    for path in candidates:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        found = _of_deb822(text) if path.suffix == ".sources" else _of_lines(text)
        if found:
            return found
    return None


def _of_lines(text: str) -> str:
    for line in text.splitlines():
        words = [word for word in line.split() if not word.startswith("[") and not word.endswith("]")]
        if len(words) >= 4 and words[0] == "deb" and words[2] == _SUITE and "main" in words[3:]:
            return words[1].rstrip("/")
    return ""


def _of_deb822(text: str) -> str:
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(":", 1) for line in paragraph.splitlines() if ":" in line and not line.startswith("#"))
        fields = {key.strip().lower(): value.strip() for key, value in fields.items()}
        if _SUITE in fields.get("suites", "").split() and "main" in fields.get("components", "").split():
            return fields.get("uris", "").split()[0].rstrip("/")
    return ""


def _base(engine: Engine, tell: Tell) -> str:
    for name in (BOOTSTRAPPED, _PULLED):
        if has_image(engine, name):
            return name
    from docker.errors import DockerException

    tell(f"pulling {_PULLED}")
    try:
        engine.client.images.pull(*_PULLED.split(":"))
    except (DockerException, OSError) as error:
        advice = "make a base of Debian's packages instead: `ipsecanalyze lab image --bootstrap`"
        raise LabError(f"{_PULLED} cannot be pulled; {advice} ({error})", slug="image") from error
    return _PULLED


def _proxies() -> dict[str, str]:
    """Proxies of the environment and of apt, which the engine does not keep in the image."""
    found = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if os.environ.get(name)}
    if shutil.which("apt-config") and "http_proxy" not in found:
        command = ["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
        _, _, value = said.strip().partition("=")
        if value.strip("'"):
            found["http_proxy"] = value.strip("'")
    return found


def _context() -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path in sorted(_FOLDER.iterdir()):
            if path.is_file():
                tar.add(path, arcname=path.name)
    stream.seek(0)
    return stream


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    path = member.name.removeprefix("./")
    if path.startswith(tuple(f"{folder}/" for folder in (*_LEFT_OUT, *_EMPTIED))):
        return None
    return member
