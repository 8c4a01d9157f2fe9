"""An engine, an image built for these tests alone, and a small community binned on the host."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("docker", reason="the Python SDK of Docker is not installed")

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2] / "containers"), str(HERE)]

import bases  # noqa: E402
import build  # noqa: E402
import docker  # noqa: E402
import images  # noqa: E402
from built import SOURCE, Built  # noqa: E402


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    try:
        found = docker.from_env(timeout=600)
        found.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine to talk to: {error}")
    yield found
    found.close()


@pytest.fixture(scope="session")
def image(client: docker.DockerClient) -> Built:
    try:
        base = bases.python_image(client)
        images.docker_command()
    except (bases.NoBase, images.BuildError) as error:
        pytest.skip(str(error))
    canary = f"canary-{uuid.uuid4().hex}"
    secrets, wheels = images.secrets_of_this_machine()
    secrets = replace(secrets, pip=f"# {canary}\n{secrets.pip}", ca=f"# {canary}\n{secrets.ca}")
    recipe = images.Recipe(python_image=base, wheels=wheels, source=SOURCE, secrets=secrets)
    images.build(client, recipe)
    return Built(recipe.tag, recipe, canary)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `community`, and `out` with its bins, made on this machine."""
    folder = tmp_path_factory.mktemp("demo")
    build.prepare_demo(folder)
    return folder
