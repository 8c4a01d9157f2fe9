"""Multi-sample binning: which contigs of a joined set belong to which sample.

In multi-sample binning every sample is assembled alone, and the assemblies are joined in one set
whose contigs are named ``sample<separator>contig``. Features are computed on the whole set; from
the training on each sample is on its own, and these functions split what the stages exchange.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from llmbin_core import defaults, progress
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.fasta import iter_fasta
from llmbin_core.files import write_text
from llmbin_core.stagefile import StageFile, check_same_contigs

log = logging.getLogger("llmbin")

_SHOWN = 5
# Options that differ between the samples of one run.
_OWN_OPTIONS = {"sample", "models", "partitions"}
# Tensors whose contigs are not on the first axis.
_CONTIG_AXIS = {"labels": 1}

_T = TypeVar("_T")
_R = TypeVar("_R")


def sample_of(contig: str, separator: str) -> str | None:
    """The sample in front of the first separator; None where the name holds no such sample.

    Samples name bins and their files, so they are made of letters, digits, ``_``, ``.``, ``-``.
    """
    sample, found, rest = contig.partition(separator)
    plain = all(c.isalnum() or c in "._-" for c in sample) and sample[:1] not in (".", "-", "")
    return sample if found and rest and plain else None


def sample_rows(contigs: ContigTable, separator: str) -> dict[str, NDArray[np.int64]]:
    """Rows of the contigs of each sample, samples sorted by name.

    Raises
    ------
    InputError
        A contig whose name tells no sample.
    """
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(contigs.names):
        sample = sample_of(name, separator)
        if sample is None:
            raise InputError(
                f"contig '{name}' names no sample: multi-sample binning needs names such as "
                f"S1{separator}{name} (letters, digits, '_', '.' and '-' in the sample); "
                "llmbin-prepare with one assembly per sample makes them"
            )
        rows.setdefault(sample, []).append(row)
    return {sample: np.array(rows[sample], dtype=np.int64) for sample in sorted(rows)}


def rows_of_sample(contigs: ContigTable, separator: str, sample: str) -> NDArray[np.int64]:
    """Rows of the contigs of one sample.

    Raises
    ------
    InputError
        There is no such sample.
    """
    rows = sample_rows(contigs, separator)
    if sample not in rows:
        raise InputError(f"no contig is of sample '{sample}'; the samples are {', '.join(rows)}")
    return rows[sample]


def is_joined(assembly: Path, separator: str) -> bool:
    """Whether a FASTA file holds the joined assemblies of several samples; said in the log.

    It does when every contig is named after a sample and there are at least two samples, with
    `defaults.MIN_SAMPLE_CONTIGS` contigs each on average. Where the first name tells no sample,
    nothing more is read.
    """
    samples: set[str] = set()
    contigs = 0
    for name, _ in iter_fasta(assembly, may_be_empty=True):
        sample = sample_of(name, separator)
        if sample is None:
            return False
        samples.add(sample)
        contigs += 1
    joined = len(samples) > 1 and contigs >= defaults.MIN_SAMPLE_CONTIGS * len(samples)
    if joined:
        shown = ", ".join(sorted(samples)[:_SHOWN]) + (" ..." if len(samples) > _SHOWN else "")
        log.info(
            "%s: every contig names one of %d samples (%s): they are binned apart "
            "(--multi-sample no: as one assembly)",
            assembly,
            len(samples),
            shown,
        )
    return joined


def take_rows(file: StageFile, rows: NDArray[np.int64]) -> StageFile:
    """The part of a stage file that is about some of its contigs."""
    tensors = {
        name: tensor.take(rows, axis=_CONTIG_AXIS.get(name, 0))
        for name, tensor in file.tensors.items()
    }
    return replace(file, contigs=file.contigs.take(rows), tensors=tensors)


def place_samples(
    parts: Sequence[StageFile], contigs: ContigTable, source: Path
) -> dict[str, tuple[NDArray[np.int64], StageFile]]:
    """Rows in the whole set, and file, of each sample; samples sorted by name.

    Parameters
    ----------
    parts : sequence of StageFile
        What ``--sample`` wrote for every sample of the set.
    contigs : ContigTable
        The whole set.
    source : Path
        Where the set comes from, for messages.

    Raises
    ------
    InputError
        A file of no sample, of other contigs or of another run; a sample without file, or with
        two.
    """
    placed: dict[str, tuple[NDArray[np.int64], StageFile]] = {}
    first = parts[0]
    separator = first.provenance.options.get("separator")
    for file in parts:
        sample = file.provenance.options.get("sample")
        if sample is None or separator is None:
            raise InputError(f"{file.path}: is not of one sample; make it with --sample")
        if _of_all(file) != _of_all(first):
            raise InputError(
                f"{first.path} and {file.path} are not of one run: stage, random seed or options "
                "differ; make those of all samples with the same ones"
            )
        if sample in placed:
            raise InputError(
                f"{placed[sample][1].path} and {file.path} are both of sample '{sample}'; give "
                "every sample once"
            )
        rows = rows_of_sample(contigs, separator, sample)
        check_same_contigs(file, contigs.take(rows), source)
        placed[sample] = rows, file
    every = sample_rows(contigs, str(separator))
    check_complete(placed, every)
    return {sample: placed[sample] for sample in every}


def check_complete(given: Iterable[str], wanted: Iterable[str]) -> None:
    """Refuse parts of some samples only.

    Raises
    ------
    InputError
        Names the samples that are missing.
    """
    if missing := sorted(set(wanted) - set(given)):
        shown = ", ".join(missing[:_SHOWN]) + (" ..." if len(missing) > _SHOWN else "")
        raise InputError(f"nothing was given of sample {shown}; give the parts of all samples")


def _of_all(file: StageFile) -> tuple[Any, ...]:
    p = file.provenance
    options = {name: value for name, value in p.options.items() if name not in _OWN_OPTIONS}
    return p.schema, p.seed, p.n_views, options


def join_labels(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int32]]], n: int
) -> NDArray[np.int32]:
    """Put the partitions of samples side by side; no cluster spans samples.

    Parameters
    ----------
    parts : sequence of (int64 [m], int32 [partitions, m])
        Rows of a sample in the whole set, and its labels; the number of partitions may differ.
    n : int
        Contigs of the whole set.

    Returns
    -------
    int32 [partitions, n]
        -1 for contigs of no part, and where a sample has fewer partitions than others.
    """
    joined = np.full((max((len(p) for _, p in parts), default=0), n), -1, dtype=np.int32)
    first = 0
    for rows, labels in parts:
        joined[: len(labels), rows] = np.where(labels < 0, -1, labels + first)
        first = int(joined.max(initial=-1)) + 1
    return joined


def own_partitions(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Without the partitions that `join_labels` added for other samples; labels begin at 0.

    What works on labels allocates by the largest one, which grew with all the samples before.
    """
    own = labels[(labels >= 0).any(axis=1)]
    out, largest = own < 0, np.iinfo(own.dtype).max
    first = np.where(out, largest, own).min(axis=1, keepdims=True, initial=largest)
    return np.where(out, np.int32(-1), own - first)


def map_samples(
    function: Callable[[_T, int], _R], parts: Sequence[_T], threads: int
) -> Iterable[_R]:
    """``function(part, threads)`` for each sample, in parallel; results in the order of the parts.

    The threads are shared out: as many samples at a time as there are threads, and threads within
    a sample where there are more threads than samples.
    """
    workers = min(threads, len(parts))
    if workers < 2 or "fork" not in multiprocessing.get_all_start_methods():
        for part in parts:
            yield function(part, threads)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, context, _quietly) as pool:
        yield from pool.map(function, parts, [threads // workers] * len(parts))


def _quietly() -> None:
    # One process talks; what the others would say of single samples comes with their results.
    log.handlers[:] = [logging.NullHandler()]
    progress.use_reporter(None)


@dataclass(frozen=True)
class SampleSummary:
    """What became of one sample; `skipped` says why it was not binned, empty where it was."""

    sample: str
    contigs: int
    bp: int
    bins: int
    binned_bp: int
    skipped: str


def write_samples(path: Path, summaries: Iterable[SampleSummary]) -> None:
    """Write the table of samples (TSV)."""
    lines = ["sample\tcontigs\tbp\tbins\tbinned_bp\tstatus"]
    for s in summaries:
        cells: tuple[Any, ...] = (s.sample, s.contigs, s.bp, s.bins, s.binned_bp)
        status = f"skipped: {s.skipped}" if s.skipped else "binned"
        lines.append("\t".join(map(str, (*cells, status))))
    write_text(path, "\n".join(lines) + "\n")
