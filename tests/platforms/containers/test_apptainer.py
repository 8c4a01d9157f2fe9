"""The image as a SIF, built and run by Apptainer for a user without rights."""

from __future__ import annotations

import shutil
from argparse import Namespace
from pathlib import Path

import bases
import build
import docker
import pytest
import smoke
from built import Built

USER = 1000
SECURITY = ["seccomp=unconfined", "systempaths=unconfined"]
# Fast instead of small: it is thrown away.
SQUASH = "--mksquashfs-args '-comp zstd -Xcompression-level 1'"


def _apptainer(client: docker.DockerClient, folder: Path, script: str, user: int = USER) -> str:
    """Run a script as a user of a machine that has Apptainer; only `folder` is shared with it."""
    if not Path("/dev/fuse").exists():
        pytest.skip("no /dev/fuse, which Apptainer mounts images with")
    rights = f"setpriv --reuid {user} --regid {user} --clear-groups env HOME=/nowhere"
    output: bytes = client.containers.run(
        bases.APPTAINER_TAG,
        ["sh", "-euc", f'chmod 666 /dev/fuse; {rights} sh -euc "$0"', script],
        security_opt=SECURITY,
        devices=["/dev/fuse"],
        cap_add=["SYS_ADMIN"],
        network_mode="none",
        volumes={str(folder): {"bind": str(folder), "mode": "rw"}},
        working_dir=str(folder),
        remove=True,
    )
    return output.decode()


@pytest.fixture(scope="module")
def sif(
    client: docker.DockerClient, image: Built, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder with llmbin.sif; the definition's own tests have passed in it."""
    folder = tmp_path_factory.mktemp("sif")
    bases.apptainer_image(client)
    build.export(client, Namespace(image=image.tag, out=folder))
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, USER, USER)
    script = f"HOME=/tmp apptainer build --fakeroot {SQUASH} llmbin.sif llmbin.def"
    _apptainer(client, folder, script)
    (folder / "llmbin.tar").unlink()
    return folder


def test_executables(client: docker.DockerClient, image: Built, sif: Path) -> None:
    names = smoke.executables(client, image.tag)
    loop = f"for tool in {' '.join(names)}; do $tool --version; done"
    said = _apptainer(
        client, sif, f"apptainer exec --no-home --containall llmbin.sif sh -euc '{loop}'"
    )
    assert [line.split()[0] for line in said.splitlines()] == names


def test_apps_and_help(client: docker.DockerClient, image: Built, sif: Path) -> None:
    said = _apptainer(
        client, sif,
        "apptainer run --no-home llmbin.sif --version;"
        "for app in $(apptainer inspect --list-apps llmbin.sif); do"
        " apptainer run --no-home --app $app llmbin.sif --version; done",
    )  # fmt: skip
    assert {line.split()[0] for line in said.splitlines()} == set(
        smoke.executables(client, image.tag)
    )
    assert "apptainer run" in _apptainer(client, sif, "apptainer run-help llmbin.sif")


def test_a_user_nobody_knows(client: docker.DockerClient, sif: Path) -> None:
    sif.chmod(0o755)
    said = _apptainer(
        client, sif, "apptainer exec --no-home llmbin.sif llmbin-train --version", 54321
    )
    assert said.startswith("llmbin-train ")


def test_the_same_bins_as_on_the_host(client: docker.DockerClient, sif: Path, demo: Path) -> None:
    shutil.copytree(demo / "community", sif / "community")
    for path in (sif, *sif.rglob("*")):
        shutil.chown(path, USER, USER)
    bams = "community/S1.bam community/S2.bam"
    _apptainer(
        client, sif,
        f"apptainer run --no-home --pid -B $PWD llmbin.sif run --threads 1"
        f" --contigs community/contigs.fasta.gz --bam {bams} --out out",
    )  # fmt: skip
    assert smoke.check_same_bins(demo / "out", sif / "out") >= 2
