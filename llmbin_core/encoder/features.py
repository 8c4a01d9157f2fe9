"""What the encoder sees: the stage files of a set of contigs, joined, split by sample and scaled.

A *sample* here is a set of contigs that is binned together, with its composition, coverage and
embedding; the coverage may come from any number of alignments. In multi-sample binning one set of
stage files holds the contigs of several samples. Everything is scaled within a sample: with one
alignment a feature then depends neither on the depth of sequencing nor on what else was sequenced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmbin_core import outputs
from llmbin_core.bysample import rows_of_sample, sample_rows, take_rows
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.stagefile import StageFile, check_join, read_stage

# Version of what the functions `scale_...` make of stage files: a model fits one version.
FEATURES_VERSION = 1
# Depths are compared on a log scale from this depth on (x); below it contigs look alike.
_DEPTH_FLOOR = 0.1
_SCHEMAS = ("composition", "coverage", "embedding")


class Embedder(NamedTuple):
    """The gLM behind an embedding; the digest decides whether two are the same."""

    name: str
    digest: str


@dataclass(frozen=True)
class Sample:
    """Features of the contigs of one sample.

    Attributes
    ----------
    contigs : ContigTable
    features : dict of float32 [n, V, F]
        ``composition`` and, where given, ``coverage`` and ``embedding``, scaled for the network.
    seed : int
        Random seed of the views.
    embedder : Embedder or None
    alignments : tuple of str
        Names of the coverage samples, in the order of the features.
    name : str
        Sample in the names of the contigs, in multi-sample binning.
    rows : int64 [n] or None
        Rows of these contigs in the whole set of contigs; None for all of them.
    species : int64 [n] or None
        Number of the species of each contig, -1 where it is unknown.
    """

    contigs: ContigTable
    features: dict[str, NDArray[np.float32]]
    seed: int = 0
    embedder: Embedder | None = None
    alignments: tuple[str, ...] = ()
    name: str = ""
    rows: NDArray[np.int64] | None = field(default=None, compare=False)
    species: NDArray[np.int64] | None = field(default=None, compare=False)

    @property
    def n_views(self) -> int:
        """Number of views, V."""
        return int(next(iter(self.features.values())).shape[1])


@dataclass(frozen=True)
class FeatureSet:
    """Stage files of one set of contigs that belong together, by schema."""

    files: dict[str, StageFile]

    @property
    def composition(self) -> StageFile:
        """The file that every set has."""
        return self.files["composition"]

    @property
    def identity(self) -> tuple[str, tuple[str, ...]]:
        """Digest of the contigs and names of the alignments: no two sets share both."""
        return self.composition.contigs.digest, _alignments(self.files)

    def samples(self, separator: str | None = None, only: str | None = None) -> list[Sample]:
        """Its samples: one, or with a separator those that the names of the contigs tell.

        With `only`, that one of them.
        """
        contigs = self.composition.contigs
        if separator is None or not len(contigs):
            return [_scaled(self.files, "", None)]
        found = (
            sample_rows(contigs, separator)
            if only is None
            else {only: rows_of_sample(contigs, separator, only)}
        )
        return [
            _scaled({key: take_rows(file, rows) for key, file in self.files.items()}, name, rows)
            for name, rows in found.items()
        ]


def load_samples(
    paths: Iterable[Path], separator: str | None = None, only: str | None = None
) -> list[Sample]:
    """The samples of all sets of features, see `load_sets`.

    Parameters
    ----------
    paths : iterable of Path
    separator : str, optional
        Between sample and contig in the names of contigs, where every set holds several samples.
    only : str, optional
        The one of these samples that is wanted.
    """
    return [sample for one in load_sets(paths) for sample in one.samples(separator, only)]


def load_sets(paths: Iterable[Path]) -> list[FeatureSet]:
    """Read stage files and folders that hold them.

    Parameters
    ----------
    paths : iterable of Path
        A folder holds one set; single files of the same contigs form a set. Their order plays no
        part.

    Raises
    ------
    InputError
        A set without composition, two files of one kind for a set, a set given twice, or files of
        one set that differ in contigs, random seed or number of views.
    """
    loose: dict[str, list[StageFile]] = {}
    groups: list[list[StageFile]] = []
    for path in paths:
        if path.is_dir():
            groups.append([_read(file) for file in _stage_files(path)])
        else:
            file = _read(path)
            loose.setdefault(file.contigs.digest, []).append(file)
    sets = sorted((_join(g) for g in [*groups, *loose.values()]), key=lambda s: s.identity)
    for one, other in pairwise(sets):
        if one.identity == other.identity:
            raise InputError(
                f"{one.composition.path} and {other.composition.path} hold the same contigs with "
                "the same alignments; give every sample once"
            )
    return sets


def _read(path: Path) -> StageFile:
    file = read_stage(path)
    if file.provenance.schema not in _SCHEMAS:
        raise InputError(
            f"{path}: holds {file.provenance.schema}; features are the outputs of "
            "llmbin-composition, llmbin-coverage and llmbin-embed"
        )
    return file


def _stage_files(folder: Path) -> list[Path]:
    names = (outputs.COMPOSITION, outputs.COVERAGE, outputs.EMBEDDING)
    found = [folder / name for name in names if (folder / name).exists()]
    if not found:
        raise InputError(f"{folder}: holds none of {', '.join(names)}")
    return found


def _join(files: Sequence[StageFile]) -> FeatureSet:
    by_schema: dict[str, StageFile] = {}
    for file in files:
        twin = by_schema.setdefault(file.provenance.schema, file)
        if twin is not file:
            raise InputError(
                f"{twin.path} and {file.path} both hold {file.provenance.schema} of the same "
                "contigs; give one of them (several alignments: llmbin-coverage --merge; the same "
                "contigs as different samples: one folder for each)"
            )
    if "composition" not in by_schema:
        raise InputError(
            f"{files[0].path}: no composition of these contigs was given "
            f"(contigs such as '{files[0].contigs.names[0]}'); add the output of llmbin-composition"
        )
    check_join(files)
    return FeatureSet(by_schema)


def _scaled(files: dict[str, StageFile], name: str, rows: NDArray[np.int64] | None) -> Sample:
    composition = files["composition"]
    features = {"composition": scale_composition(composition.tensors["composition"])}
    if coverage := files.get("coverage"):
        tensors = coverage.tensors
        features["coverage"] = scale_coverage(tensors["mean"], tensors["variance"])
    embedder = None
    if embedding := files.get("embedding"):
        features["embedding"] = scale_embedding(embedding.tensors["embedding"])
        options = embedding.provenance.options
        embedder = Embedder(str(options["embedder"]), str(options["embedder_digest"]))
    return Sample(
        composition.contigs,
        features,
        composition.provenance.seed or 0,
        embedder,
        _alignments(files),
        name,
        rows,
    )


def _alignments(files: dict[str, StageFile]) -> tuple[str, ...]:
    coverage = files.get("coverage")
    return tuple(coverage.provenance.options["samples"]) if coverage else ()


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
