"""Images of LLMBin: what they are made from, and how Docker builds them."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.models.images import Image

ROOT = Path(__file__).resolve().parents[1]
NAME = "llmbin"
# Wheels know no earlier time than 1980.
FIRST_TIME = 315532800


class BuildError(Exception):
    """An image cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Secrets:
    """What pip has to know on this machine and no image may: texts of its configuration and CAs."""

    pip: str = "[global]\n"
    ca: str = ""


@dataclass(frozen=True)
class Recipe:
    """One image: a Dockerfile and what stands in for its defaults."""

    gpu: bool = False
    python_image: str | None = None
    wheels: Path | None = None
    torch_sha256: str | None = None
    source: str | None = None
    secrets: Secrets = field(default_factory=Secrets)
    cache: bool = True

    @property
    def tag(self) -> str:
        return f"{NAME}:{version()}{'-gpu' if self.gpu else ''}"


def version() -> str:
    """The version of the package, read without importing it."""
    text = (ROOT / "llmbin_core" / "__init__.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "(.+)"$', text, re.M)
    return str(found)


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ("git", "-C", str(ROOT), *arguments), capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def revision() -> str:
    """The commit the image is built from; ``+changes`` when files differ from it."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return f"{commit or 'unknown'}{'+changes' if changed else ''}"


def source() -> str:
    """Where the sources are published, as pyproject.toml says."""
    urls = re.findall(
        r'^(?:Source|Repository) = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.M
    )
    return urls[0] if urls else "unknown"


def epoch() -> int:
    """SOURCE_DATE_EPOCH where it is set, else the time of the commit."""
    text = os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct")
    return max(int(text or 0), FIRST_TIME)


def secrets_of_this_machine() -> tuple[Secrets, Path | None]:
    """The configuration of pip here, for use inside a build, and its folder of wheels, if any.

    Paths of this machine mean nothing inside a build: the CA bundle becomes a secret beside the
    configuration, a folder of wheels is returned, other local indexes are left out.
    """
    listed = subprocess.run(
        (sys.executable, "-m", "pip", "config", "list"), capture_output=True, text=True, check=True
    ).stdout
    settings: dict[str, str] = {}
    ca, wheels = "", None
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        name, words = key.rsplit(".", 1)[1], str(ast.literal_eval(value)).split()
        if name == "cert":
            ca = Path(words[0]).read_text(encoding="utf-8")
        elif name == "find-links":
            wheels = next((Path(w) for w in words if Path(w).is_dir()), wheels)
        elif name in ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout"):
            remote = [word for word in words if not word.startswith(("file:", "/"))]
            if remote:
                # The environment is listed first and counts for more than files.
                settings.setdefault(name, " ".join(remote))
    if ca:
        settings["cert"] = "/run/secrets/ca"
    lines = ["[global]", *(f"{name} = {value}" for name, value in settings.items())]
    return Secrets("\n".join(lines) + "\n", ca), wheels


def docker_command() -> str:
    """The first docker on PATH that has BuildKit: built in before version 23, a plug-in since."""
    for folder in os.get_exec_path():
        command = shutil.which("docker", path=folder)
        if command is None:
            continue
        if subprocess.run((command, "buildx", "version"), capture_output=True).returncode == 0:
            return command
        said = subprocess.run((command, "--version"), capture_output=True, text=True).stdout
        if (number := re.search(r"version (\d+)\.", said)) and int(number[1]) < 23:
            return command
    raise BuildError("no docker command with BuildKit on PATH; install Docker with its buildx")


def torch_wheel(folder: Path, digest: str | None = None) -> str | None:
    """The digest of the wheel of torch that the image without GPU takes from a folder.

    Parameters
    ----------
    folder : Path
    digest : str, optional
        The one that the wheel has to have.

    Returns
    -------
    str or None
        None when the folder has none of the version in the Dockerfile: it comes from an index.

    Raises
    ------
    BuildError
        None has the digest, or several could be meant.
    """
    dockerfile = (ROOT / "containers" / "Dockerfile").read_text(encoding="utf-8")
    (version,) = re.findall(r"^ARG TORCH_SPEC=torch==(\S+)$", dockerfile, re.M)
    found = {path: _sha256(path) for path in sorted(folder.glob(f"torch-{version}-*.whl"))}
    if not found:
        return None
    if digest in found.values():
        return digest
    if digest is None and len(found) == 1:
        return next(iter(found.values()))
    listed = "\n".join(f"{value}  {path}" for path, value in found.items())
    if digest is None:
        raise BuildError(f"several wheels of torch, say which by --torch-sha256:\n{listed}")
    raise BuildError(f"no wheel of torch has the digest {digest}:\n{listed}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while part := handle.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def wheels_image(client: docker.DockerClient, folder: Path) -> Image:
    """An image that holds the wheels of a folder and nothing else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.glob("*.whl")):
            tar.add(path, arcname=path.name, filter=_without_origin)
    client.api.import_image_from_data(buffer.getvalue(), repository=f"{NAME}-wheels", tag="here")
    return client.images.get(f"{NAME}-wheels:here")


def _without_origin(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o644
    return info


def build(client: docker.DockerClient, recipe: Recipe) -> Image:
    """Build and tag an image.

    BuildKit does it, for its secrets and mounts, which the API behind the Python SDK lacks.

    Raises
    ------
    BuildError
        With the end of what the build said.
    """
    arguments = {
        "VERSION": version(),
        "REVISION": revision(),
        "SOURCE": recipe.source or source(),
        "SOURCE_DATE_EPOCH": str(epoch()),
    }
    if recipe.python_image:
        arguments["PYTHON_IMAGE"] = recipe.python_image
    digest = recipe.torch_sha256
    if recipe.wheels:
        if seen := torch_wheel(recipe.wheels, digest):
            digest, arguments["TORCH_INDEX_URL"] = seen, ""
        arguments["WHEELS_IMAGE"] = wheels_image(client, recipe.wheels).tags[0]
    if digest:
        arguments["TORCH_SHA256"] = digest
    dockerfile = ROOT / "containers" / ("Dockerfile.gpu" if recipe.gpu else "Dockerfile")
    command = [docker_command(), "build", "--progress", "plain", "--file", str(dockerfile)]
    command += ["--tag", recipe.tag] + ([] if recipe.cache else ["--no-cache"])
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("pip", recipe.secrets.pip), ("ca", recipe.secrets.ca)):
            path = Path(folder, name)
            path.write_text(text, encoding="utf-8")
            command += ["--secret", f"id={name},src={path}"]
        _call([*command, str(ROOT)])
    return client.images.get(recipe.tag)


def _call(command: Sequence[str]) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-40:])
        raise BuildError(f"{' '.join(command[:2])} ended with {done.returncode}\n{last}")
