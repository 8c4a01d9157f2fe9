"""What several of the tests use: a renderer of modules, and a run on one machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine import MULTI_SIZE, PACKAGES, PREFIX, SAMPLES, SMALL, Engine, groovy_jars, missing_tools


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if reason := missing_tools(PACKAGES):
        pytest.skip(reason)
    engine = Engine(groovy_jars(PACKAGES), tmp_path_factory.mktemp("tasks"))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def community() -> Path:
    if not os.environ.get("LLMBIN_NEXTFLOW_DATA"):
        pytest.skip("LLMBIN_NEXTFLOW_DATA does not name the data of `make nextflow-test-data`")
    return Path(os.environ["LLMBIN_NEXTFLOW_DATA"])


@pytest.fixture(scope="session")
def whole(community: Path) -> Path:
    """The folder of `llmbin run` on one machine; given again, it is up to date."""
    out = community / "binned"
    bams = map(str, sorted(community.glob("*.bam")))
    _call("llmbin", "run", "--contigs", str(community / "contigs.fasta.gz"), "--bam", *bams,
          "--out", str(out), "--gzip", "--prefix", PREFIX, "--threads", "1", "--device", "cpu",
          *SMALL.split())  # fmt: skip
    return out


@pytest.fixture(scope="session")
def whole_multi(community: Path) -> Path:
    """The same for samples that were assembled apart."""
    return _multi(community, "binned_multi")


@pytest.fixture(scope="session")
def whole_each(community: Path) -> Path:
    """The same with a model for each sample."""
    return _multi(community, "binned_each", "--model-per-sample")


def _multi(community: Path, name: str, *options: str) -> Path:
    data, out = community / "multi", community / name
    assemblies = sorted(data.glob("assemblies/*"))
    bams = sorted(data.glob("*.bam"))
    _call("llmbin", "run", "--contigs", *map(str, assemblies), "--bam", *map(str, bams),
          "--sample-names", *(bam.stem for bam in bams), "--assembly-names", *SAMPLES,
          "--out", str(out), "--gzip", "--threads", "1", "--device", "cpu", *options,
          "--min-bin-size", MULTI_SIZE, *SMALL.split())  # fmt: skip
    return out


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
