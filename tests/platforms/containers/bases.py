"""Base images where no registry is within reach: Debian from its packages.

Only for tests. Who builds an image to use it takes the official base image.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, ImageNotFound

PYTHON = "python:3.11-slim-bookworm"
MIRROR = "http://deb.debian.org/debian"
SOURCES = f"""\
deb {MIRROR} bookworm main
deb {MIRROR} bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""
# As in Debian's own images: packages are not kept once they are installed.
CLEAN = 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\n'
NOT_NEEDED = (
    "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
    "var/lib/apt/lists", "var/cache/apt", "var/log",
)  # fmt: skip
APPTAINER_USERS = (1000, 54321)
APPTAINER_TAG = "llmbin-apptainer:here"
APPTAINER = f"""\
FROM {PYTHON}
USER root
RUN echo 'deb {MIRROR} sid main' > /etc/apt/sources.list.d/sid.list \\
    && apt-get -o Acquire::Check-Valid-Until=false update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \\
        --target-release sid apptainer fuse3 squashfs-tools squashfuse \\
    && rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/sid.list
# Apptainer runs for users that its machine knows only, and maps their ranges of ids.
RUN for id in {" ".join(map(str, APPTAINER_USERS))}; do \\
        useradd --uid "$id" --create-home "u$id"; done
ENTRYPOINT []
"""


class NoBase(Exception):
    """There is no base image and none can be made; the message says why."""


def python_image(client: docker.DockerClient) -> str:
    """The official image, from the engine or its registry, else a stand-in for it.

    Raises
    ------
    NoBase
    """
    try:
        client.images.get(PYTHON)
    except ImageNotFound:
        try:
            client.images.pull(PYTHON)
        except (APIError, DockerException) as error:
            print(f"{PYTHON} cannot be pulled ({error}); made from Debian's packages instead")
            _debootstrap(client)
    return PYTHON


def _debootstrap(client: docker.DockerClient) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise NoBase("no registry, and no base without it: that takes root and debootstrap")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        include = "ca-certificates,python3,python3-pip,python3-venv"
        done = subprocess.run(
            ("debootstrap", "--variant=minbase", f"--include={include}", "bookworm", str(root),
             MIRROR), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NoBase(f"debootstrap ended with {done.returncode}: {done.stdout[-500:]}")
        for name in NOT_NEEDED:
            shutil.rmtree(root / name)
            (root / name).mkdir()
        # As in any image: where it is missing, a build leaves the time at which it was mounted.
        (root / "etc/hosts").touch()
        (root / "etc/apt/sources.list").write_text(SOURCES, encoding="utf-8")
        (root / "etc/apt/apt.conf.d/docker-clean").write_text(CLEAN, encoding="utf-8")
        with subprocess.Popen(
            ("tar", "--create", "--numeric-owner", "--directory", str(root), "."),
            stdout=subprocess.PIPE,
        ) as tar:
            name, _, tag = PYTHON.partition(":")
            client.api.import_image_from_stream(tar.stdout, repository=name, tag=tag)


def apptainer_image(client: docker.DockerClient) -> None:
    """A tool image with Apptainer, which Debian has in its development branch only."""
    client.images.build(fileobj=io.BytesIO(APPTAINER.encode()), tag=APPTAINER_TAG, rm=True)
