"""What the encoder sees: the stage files of one sample, joined and scaled.

A *sample* here is one set of contigs that is binned together, with its composition, coverage and
embedding; the coverage may come from any number of alignments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmbin_core import outputs
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.stagefile import StageFile, check_join, read_stage

# Depths are compared on a log scale from this depth on (x); below it contigs look alike.
_DEPTH_FLOOR = 0.1
_SCHEMAS = ("composition", "coverage", "embedding")


@dataclass(frozen=True)
class Sample:
    """Features of one set of contigs.

    Attributes
    ----------
    contigs : ContigTable
    features : dict of float32 [n, V, F]
        ``composition`` and, where given, ``coverage`` and ``embedding``, scaled for the network.
    seed : int
        Random seed of the views.
    embedder : str or None
        Name and digest of the gLM.
    depths : int
        Number of coverage samples.
    """

    contigs: ContigTable
    features: dict[str, NDArray[np.float32]]
    seed: int
    embedder: str | None
    depths: int

    @property
    def n_views(self) -> int:
        """Number of views, V."""
        return int(next(iter(self.features.values())).shape[1])


def load_samples(paths: Iterable[Path]) -> list[Sample]:
    """Read stage files (or folders that hold them) and group them by their contigs.

    Parameters
    ----------
    paths : iterable of Path
        Stage files in any order. Files of the same contigs form one sample.

    Raises
    ------
    InputError
        A sample without composition, two files of one kind for a sample, or files of one sample
        that differ in random seed or number of views.
    """
    groups: dict[str, list[StageFile]] = {}
    for path in _expand(paths):
        file = read_stage(path)
        if file.provenance.schema not in _SCHEMAS:
            raise InputError(
                f"{path}: holds {file.provenance.schema}; features are the outputs of "
                "llmbin-composition, llmbin-coverage and llmbin-embed"
            )
        groups.setdefault(file.contigs.digest, []).append(file)
    return [_join(group) for group in groups.values()]


def _expand(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        names = (outputs.COMPOSITION, outputs.COVERAGE, outputs.EMBEDDING)
        found = [path / name for name in names if (path / name).exists()]
        if not found:
            raise InputError(f"{path}: holds none of {', '.join(names)}")
        files += found
    return files


def _join(files: Sequence[StageFile]) -> Sample:
    by_schema: dict[str, StageFile] = {}
    for file in files:
        twin = by_schema.setdefault(file.provenance.schema, file)
        if twin is not file:
            raise InputError(
                f"{twin.path} and {file.path} both hold {file.provenance.schema} of the same "
                "contigs; give one of them (several coverage files: llmbin-coverage --merge)"
            )
    if "composition" not in by_schema:
        raise InputError(
            f"{files[0].path}: no composition of these contigs was given "
            f"(contigs such as '{files[0].contigs.names[0]}'); add the output of llmbin-composition"
        )
    check_join(files)
    composition = by_schema["composition"]
    features = {"composition": scale_composition(composition.tensors["composition"])}
    depths, embedder = 0, None
    if coverage := by_schema.get("coverage"):
        depths = coverage.tensors["mean"].shape[2]
        features["coverage"] = scale_coverage(
            coverage.tensors["mean"], coverage.tensors["variance"]
        )
    if embedding := by_schema.get("embedding"):
        features["embedding"] = scale_embedding(embedding.tensors["embedding"])
        embedder = str(embedding.provenance.options["embedder"])
    seed = composition.provenance.seed or 0
    return Sample(composition.contigs, features, seed, embedder, depths)


def scale_composition(frequencies: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centred log ratios of k-mer frequencies: [n, V, 136] -> [n, V, 136]."""
    logs = np.log(frequencies)
    return np.asarray(logs - logs.mean(axis=2, keepdims=True), dtype=np.float32)


def scale_coverage(mean: NDArray[np.float32], variance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log depth and log standard deviation, centred and scaled per alignment.

    Parameters
    ----------
    mean, variance : float32 [n, V, S]
        Depth of the views (x) and its variance.

    Returns
    -------
    float32 [n, V, 2 S]
    """
    logs = np.log(np.concatenate((mean, np.sqrt(variance)), axis=2) + _DEPTH_FLOOR)
    if not len(logs):
        return logs
    centre = logs[:, 0].mean(axis=0)
    spread = logs[:, 0].std(axis=0) + 1e-3
    return np.asarray((logs - centre) / spread, dtype=np.float32)


def scale_embedding(embedding: NDArray[np.floating]) -> NDArray[np.float32]:
    """Unit-length embeddings times the root of their size, so that features are about 1."""
    values = np.asarray(embedding, dtype=np.float32)
    norm = np.linalg.norm(values, axis=2, keepdims=True)
    size = np.sqrt(values.shape[2])
    return np.asarray(values / np.maximum(norm, 1e-6) * size, dtype=np.float32)
