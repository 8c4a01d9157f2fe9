"""The image as a SIF, built and run by Apptainer for a user without rights."""

from __future__ import annotations

import shutil
import subprocess
from argparse import Namespace
from pathlib import Path

import bases
import build
import docker
import images
import pytest
import smoke
from built import Built

USER, OTHER = bases.APPTAINER_USERS
LARGEST = 0.6e9
# Fast instead of small: it is thrown away.
SQUASH = "--mksquashfs-args '-comp zstd -Xcompression-level 1'"


def _apptainer(folder: Path, script: str, user: int = USER) -> str:
    """Run a script as a user of a machine that has Apptainer; only `folder` is shared with it.

    By the `docker` command: what namespaces in a container need is not in the SDK.
    """
    if not Path("/dev/fuse").exists():
        pytest.skip("no /dev/fuse, which Apptainer mounts images with")
    rights = f"setpriv --reuid {user} --regid {user} --clear-groups env HOME=/nowhere"
    done = subprocess.run(
        (
            *(images.docker_command(), "run", "--rm", "--network", "none"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"),
            *("--device", "/dev/fuse", "--cap-add", "SYS_ADMIN"),
            *("--volume", f"{folder}:{folder}", "--workdir", str(folder), bases.APPTAINER_TAG),
            *("sh", "-euc", f'chmod 666 /dev/fuse; {rights} sh -euc "$0"', script),
        ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    _apptainer(folder, script)
    (folder / "llmbin.tar").unlink()
    return folder


def test_size(sif: Path) -> None:
    size = (sif / "llmbin.sif").stat().st_size
    print(f"{size / 1e6:.0f} MB")
    assert size <= LARGEST


def test_executables(client: docker.DockerClient, image: Built, sif: Path) -> None:
    names = smoke.executables(client, image.tag)
    loop = f"for tool in {' '.join(names)}; do $tool --version; done"
    said = _apptainer(sif, f"apptainer exec --no-home --containall llmbin.sif sh -euc '{loop}'")
    assert [line.split()[0] for line in said.splitlines()] == names


def test_apps_and_help(client: docker.DockerClient, image: Built, sif: Path) -> None:
    said = _apptainer(
        sif,
        "apptainer run --no-home llmbin.sif --version;"
        "for app in $(apptainer inspect --list-apps llmbin.sif); do"
        " apptainer run --no-home --app $app llmbin.sif --version; done",
    )  # fmt: skip
    assert {line.split()[0] for line in said.splitlines()} == set(
        smoke.executables(client, image.tag)
    )
    assert "apptainer run" in _apptainer(sif, "apptainer run-help llmbin.sif")


def test_a_user_that_the_image_does_not_know(sif: Path) -> None:
    sif.chmod(0o755)
    said = _apptainer(sif, "apptainer exec --no-home llmbin.sif llmbin-train --version", OTHER)
    assert said.startswith("llmbin-train ")


def test_without_home_and_with_the_flag_for_gpus(sif: Path) -> None:
    """As clusters start every image alike: `--nv` does no harm where there is no GPU."""
    script = 'test -z "${HOME:-}"; ! touch /opt/x 2> /dev/null || exit 5; llmbin --version'
    run = "apptainer exec --nv --no-home --containall llmbin.sif"
    said = _apptainer(sif, f"unset HOME; {run} env -u HOME sh -euc '{script}'")
    assert said.startswith("llmbin ")


def test_modules_of_the_host_stay_outside(sif: Path) -> None:
    foreign = sif / "foreign"
    (foreign / "numpy").mkdir(parents=True)
    (foreign / "numpy" / "__init__.py").write_text("raise SystemExit('foreign')\n", "utf-8")
    inside = "apptainer exec --no-home -B $PWD llmbin.sif"
    load = "python3 -c 'import numpy; print(numpy.__file__)'"
    said = _apptainer(sif, f"PYTHONPATH=$PWD/foreign PYTHONHOME=$PWD/foreign {inside} {load}")
    assert said.startswith("/opt/venv/")
    # It would have been found: set on the inside, it is.
    said = _apptainer(sif, f"{inside} env PYTHONPATH=$PWD/foreign {load} 2>&1 || true")
    assert "foreign" in said


def test_the_same_bins_as_on_the_host(sif: Path, demo: Path) -> None:
    shutil.copytree(demo / "community", sif / "community")
    for path in (sif, *sif.rglob("*")):
        shutil.chown(path, USER, USER)
    bams = "community/S1.bam community/S2.bam"
    _apptainer(
        sif,
        f"apptainer run --no-home --pid -B $PWD llmbin.sif run --threads 1"
        f" --contigs community/contigs.fasta.gz --bam {bams} --out out",
    )  # fmt: skip
    assert smoke.check_same_bins(demo / "out", sif / "out") >= 2
