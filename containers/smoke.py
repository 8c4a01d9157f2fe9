"""Run an image as workflow systems do, and see that everything in it works."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import ContainerError

SCRIPTS = (
    "from importlib.metadata import distribution as d;"
    "print(*sorted(e.name for e in d('llmbin').entry_points if e.group == 'console_scripts'))"
)
USER = 1000


class SmokeError(Exception):
    """Something in the image does not work; the message holds what it said."""


@dataclass(frozen=True)
class Way:
    """How somebody starts a container; never with network, or a file system to write to."""

    name: str
    shell: tuple[str, ...]
    user: int = USER


WAYS = (
    Way("nf-core", ("/bin/bash", "-euo", "pipefail", "-c")),
    Way("Galaxy", ("/usr/bin/env", "-u", "HOME", "/bin/sh", "-euc")),
    Way("a user nobody knows", ("/bin/sh", "-euc"), 54321),
)


def run(
    client: docker.DockerClient, image: str, way: Way, script: str, folder: Path, threads: int = 1
) -> str:
    """Run a shell script in a container that may write to its working folder and /tmp.

    Returns
    -------
    str
        Standard output.

    Raises
    ------
    SmokeError
    """
    for path in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, way.user, way.user)
        elif path.is_dir():
            path.chmod(0o777)
    try:
        output: bytes = client.containers.run(
            image,
            [*way.shell[1:], script],
            entrypoint=list(way.shell[:1]),
            user=f"{way.user}:{way.user}",
            read_only=True,
            tmpfs={"/tmp": ""},
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            shm_size="64m",
            volumes={str(folder): {"bind": str(folder), "mode": "rw"}},
            working_dir=str(folder),
            environment={"GALAXY_SLOTS": str(threads)},
            remove=True,
        )
    except ContainerError as error:
        said = error.stderr.decode(errors="replace") if error.stderr else ""
        raise SmokeError(
            f"{image}, as {way.name}: exit status {error.exit_status}\n{said}"
        ) from error
    return output.decode()


def executables(client: docker.DockerClient, image: str) -> list[str]:
    """What the package in the image installs."""
    output: bytes = client.containers.run(image, ["python3", "-c", SCRIPTS], remove=True)
    return output.decode().split()


def check_executables(
    client: docker.DockerClient, image: str, way: Way, version: str, folder: Path
) -> None:
    """Every executable says its version and its help, refuses nonsense and leaves nothing behind.

    Raises
    ------
    SmokeError
    """
    names = executables(client, image)
    script = f"""
    command -v ps > /dev/null || {{ echo 'no ps, which Nextflow needs' >&2; exit 1; }}
    ! command -v gcc cc c++ > /dev/null || {{ echo 'a compiler' >&2; exit 1; }}
    for tool in {" ".join(names)}; do
        said=$("$tool" --version)
        test "${{said##* }}" = {version} || {{ echo "$said" >&2; exit 1; }}
        "$tool" --help > /dev/null
        "$tool" --nonsense > /dev/null 2>&1 && exit 1 || test $? = 2
        echo "$tool"
    done
    """
    done = run(client, image, way, script, folder).split()
    if done != names or not names:
        raise SmokeError(f"{image}, as {way.name}: ran {done}, not {names}")
    if left := sorted(p.name for p in folder.iterdir()):
        raise SmokeError(f"{image}, as {way.name}: left {', '.join(left)} in the working folder")


def stage_by_stage(bams: Sequence[str]) -> str:
    """The stages one by one, by their executables, on a community in the working folder."""
    coverage = "\n".join(
        f"llmbin-coverage --contigs out/contigs.fasta.gz --bam {bam} --out part{i}.safetensors"
        for i, bam in enumerate(bams)
    )
    parts = " ".join(f"part{i}.safetensors" for i in range(len(bams)))
    return f"""
    llmbin-prepare --contigs community/contigs.fasta.gz --out out
    llmbin-composition --contigs out/contigs.fasta.gz --out out/composition.safetensors
    {coverage}
    llmbin-coverage --merge {parts} --out out/coverage.safetensors
    llmbin-embed --contigs out/contigs.fasta.gz --out out/embedding.safetensors
    llmbin-markers --contigs out/contigs.fasta.gz --out out/markers.tsv \
        --sets-out out/marker_sets.json
    llmbin-train --features out --out out/model.safetensors
    llmbin-encode --features out --model out/model.safetensors --out out/latent.safetensors
    llmbin-cluster --latent out/latent.safetensors --markers out/markers.tsv \
        --out out/partitions.safetensors
    llmbin-bin --partitions out/partitions.safetensors --markers out/markers.tsv \
        --sets out/marker_sets.json --contigs out/contigs.fasta.gz --out out
    llmbin-evaluate --gold community/gold.tsv --bins llmbin=out/contig2bin.tsv --out evaluation.tsv
    llmbin-report --run out
    test -s out/report.html
    """


def whole_run(bams: Sequence[str]) -> str:
    """The same by ``llmbin run``."""
    return f"llmbin run --contigs community/contigs.fasta.gz --bam {' '.join(bams)} --out out"


# Beside the stages of a run: a community and a gLM, both very small, and the bundled models.
ASIDE = """\
llmbin-simulate --n-genomes 2 --genome-size 0.1 0.1 --samples 1 --depth 5 \\
    --write-genomes --out little
llmbin-pretrain --genomes little/genomes --out glm --steps 2
test -s glm/model.safetensors
for name in $(llmbin-models list | tail -n +2 | cut -d ' ' -f 1); do
    llmbin-models show "$name"
done
"""


def check_same_bins(host: Path, image: Path) -> int:
    """The bins of two runs are the same to the byte; their number.

    Raises
    ------
    SmokeError
    """
    names = sorted(p.name for p in (host / "bins").iterdir())
    if not names:
        raise SmokeError(f"{host}: no bins, nothing to compare")
    found = sorted(p.name for p in (image / "bins").iterdir())
    different = [
        n for n in names if n in found and not _same(host / "bins" / n, image / "bins" / n)
    ]
    if found != names or different or not _same(host / "contig2bin.tsv", image / "contig2bin.tsv"):
        raise SmokeError(
            f"other bins in the image: {len(found)}, here {len(names)}, different content: "
            f"{', '.join(different) or 'none'}"
        )
    return len(names)


def _same(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)
