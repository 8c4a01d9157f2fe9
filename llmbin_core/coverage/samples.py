"""Samples of a coverage file: their names, how they are put together and merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbin_core.errors import InputError
from llmbin_core.files import fingerprint
from llmbin_core.stagefile import Provenance, StageFile, Tensors, check_join

SCHEMA = "coverage"

# Of alignment files and tables, and of the read files that CoverM names its columns after.
_ENDINGS = (".bam", ".cram", ".sorted", ".gz", ".tsv", ".txt", ".fq", ".fastq")

# Options that all samples of a coverage file share.
_SHARED = ("min_mapq", "min_identity", "per_view", "reads")


@dataclass(frozen=True)
class Sample:
    """One alignment file and the name of the sample whose reads it holds."""

    path: Path
    name: str


@dataclass(frozen=True)
class SampleCoverage:
    """Coverage of one sample.

    Attributes
    ----------
    name : str
    mean, variance : float32 [n, V]
        Of the per-base depth of each view.
    reads : int or None
        Mapped reads that count; None where the source does not tell.
    """

    name: str
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    reads: int | None


@dataclass(frozen=True)
class Coverage:
    """What a coverage file holds: ``mean`` and ``variance``, float32 [n, V, S], and provenance."""

    tensors: Tensors
    provenance: Provenance

    def with_input(self, path: Path) -> Coverage:
        """The same, with the fingerprint of one more input file (the assembly)."""
        inputs = [*self.provenance.inputs.items(), (path.name, fingerprint(path))]
        return replace(self, provenance=replace(self.provenance, inputs=_join_inputs(inputs)))


def sample_name(text: str) -> str:
    """File name without its folder and endings such as .bam, .cram, .sorted, .tsv, .gz."""
    name = text.replace("\\", "/").rsplit("/", 1)[-1]
    while ending := next((e for e in _ENDINGS if name.endswith(e) and name != e), None):
        name = name.removesuffix(ending)
    return name


def name_samples(paths: Sequence[Path], names: Sequence[str] | None = None) -> list[Sample]:
    """Pair alignment files with sample names (default: file names), sorted by name.

    Raises
    ------
    InputError
        Another number of names than of files, an empty or doubled name.
    """
    chosen = choose_names([sample_name(p.name) for p in paths], names)
    samples = [Sample(path, name) for path, name in zip(paths, chosen, strict=True)]
    check_unique([(sample.name, str(sample.path)) for sample in samples])
    return sorted(samples, key=lambda sample: sample.name)


def choose_names(found: Sequence[str], names: Sequence[str] | None) -> list[str]:
    """`names` where given, one for each of the samples found, else those found."""
    if not names:
        return list(found)
    if len(names) != len(found):
        raise InputError(
            f"{len(found)} samples ({', '.join(found[:3])}{' ...' if len(found) > 3 else ''}) but "
            f"{len(names)} sample names; give one name per sample"
        )
    for name in names:
        if not name or any(c.isspace() for c in name):
            raise InputError(f"sample name '{name}' is empty or holds white space; rename it")
    return list(names)


def check_unique(named: Sequence[tuple[str, str]]) -> None:
    """Refuse pairs (sample, file) of which two have the same sample."""
    seen: dict[str, str] = {}
    for name, path in named:
        if name in seen:
            raise InputError(
                f"{seen[name]} and {path} both hold sample '{name}'; give every sample once, or "
                "different names with --sample-names"
            )
        seen[name] = path


def stack(
    samples: Sequence[SampleCoverage],
    seed: int,
    options: Mapping[str, Any],
    inputs: Sequence[tuple[str, str]],
) -> Coverage:
    """Put samples together, sorted by name.

    Parameters
    ----------
    samples : sequence of SampleCoverage
    seed : int
        Of the views.
    options : mapping
        ``min_mapq``, ``min_identity``, ``per_view``, and of alignments ``reads``.
    inputs : sequence of (str, str)
        Base name and fingerprint of each input file.
    """
    ordered = sorted(samples, key=lambda sample: sample.name)
    tensors = {
        "mean": np.stack([s.mean for s in ordered], axis=2),
        "variance": np.stack([s.variance for s in ordered], axis=2),
    }
    found = {
        "samples": [s.name for s in ordered],
        "mapped_reads": {s.name: s.reads for s in ordered},
    }
    provenance = Provenance(
        SCHEMA, seed, tensors["mean"].shape[1], {**options, **found}, _join_inputs(inputs)
    )
    return Coverage(tensors, provenance)


def merge_coverage(files: Sequence[StageFile]) -> StageFile:
    """Join coverage files of different samples of the same contigs along the sample axis.

    Returns
    -------
    StageFile
        The same content as a computation of all samples at once; `path` is that of the first file.

    Raises
    ------
    InputError
        Another schema, contigs, random seed, number of views or filter; a sample held twice.
    """
    if not files:
        raise InputError("no coverage file to merge; give at least one")
    first = files[0].provenance
    for file in files:
        mine = file.provenance
        if mine.schema != SCHEMA:
            raise InputError(f"{file.path}: holds {mine.schema}, not {SCHEMA}; leave it out")
        _check_sources(files[0], file)
        for key in _SHARED:
            one, other = first.options.get(key), mine.options.get(key)
            if one != other:
                raise InputError(
                    f"{files[0].path} and {file.path} do not belong together: {key} "
                    f"{one} and {other}; make both with the same options"
                )
    check_join(files)
    check_unique([(n, str(f.path)) for f in files for n in f.provenance.options["samples"]])
    parts = [
        SampleCoverage(
            name,
            file.tensors["mean"][:, :, column],
            file.tensors["variance"][:, :, column],
            file.provenance.options["mapped_reads"][name],
        )
        for file in files
        for column, name in enumerate(file.provenance.options["samples"])
    ]
    whole = stack(
        parts,
        first.seed or 0,
        {key: first.options[key] for key in _SHARED if key in first.options},
        [pair for file in files for pair in file.provenance.inputs.items()],
    )
    return StageFile(files[0].path, files[0].contigs, whole.provenance, whole.tensors)


def _check_sources(first: StageFile, other: StageFile) -> None:
    """Refuse depths of alignments beside those of a table, which share no option."""
    kinds = [file.provenance.options.get("per_view") for file in (first, other)]
    if kinds[0] != kinds[1]:
        views, whole = (first, other) if kinds[0] else (other, first)
        raise InputError(
            f"{first.path} and {other.path} do not belong together: {views.path} was made from "
            f"alignments and {whole.path} from a depth table; make both from the same kind of file"
        )


def _join_inputs(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Fingerprints by base name; files of one base name (in several folders) share an entry."""
    digests: dict[str, set[str]] = {}
    for name, text in pairs:
        digests.setdefault(name, set()).update(text.split(","))
    return {name: ",".join(sorted(found)) for name, found in digests.items()}
