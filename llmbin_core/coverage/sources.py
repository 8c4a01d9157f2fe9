"""Coverage of several samples: alignment files side by side in processes, or depth tables."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np
import pysam
from numpy.typing import NDArray

from llmbin_core import progress
from llmbin_core.contigs import ContigTable
from llmbin_core.coverage.alignments import DepthFilter, check_alignments, sample_depth
from llmbin_core.coverage.samples import (
    Coverage,
    Sample,
    SampleCoverage,
    check_unique,
    choose_names,
    name_samples,
    stack,
)
from llmbin_core.coverage.tables import TableColumn, read_depth_table, samples_of_table
from llmbin_core.errors import EnvironmentFault, InputError
from llmbin_core.fasta import iter_fasta
from llmbin_core.files import compression_of, fingerprint, open_decompressed
from llmbin_core.views import views

_POLL_SECONDS = 0.5


def read_contig_table(path: Path) -> ContigTable:
    """Names and lengths of an assembly, without keeping its bases; see `iter_fasta`."""
    names: list[str] = []
    lengths: list[int] = []
    for name, letters in iter_fasta(path, may_be_empty=True):
        names.append(name)
        lengths.append(len(letters))
    return ContigTable(tuple(names), np.array(lengths, dtype=np.int64))


@dataclass(frozen=True)
class _Job:
    """What all files of one computation share; sent once to every process."""

    contigs: ContigTable
    seed: int
    n_views: int
    passing: DepthFilter
    reference: Path | None
    threads: int


def alignment_coverage(
    contigs: ContigTable,
    samples: Sequence[Sample],
    seed: int,
    n_views: int,
    passing: DepthFilter | None = None,
    *,
    reference: Path | None = None,
    threads: int = 1,
) -> Coverage:
    """Coverage of contigs in alignment files, one per sample.

    Parameters
    ----------
    contigs : ContigTable
        n contigs; every file must have all of them in its header.
    samples : sequence of Sample
        BAM or CRAM files, sorted or not; see `name_samples`.
    seed, n_views : int
        Of the views.
    passing : DepthFilter, optional
        Default: all but unmapped, secondary, duplicate and QC-failed records.
    reference : Path, optional
        FASTA that CRAM files were written against; only a minimum identity needs it.
    threads : int
        Files read at the same time; those left over decompress. Does not change the result.

    Returns
    -------
    Coverage
        ``mean``, ``variance`` float32 [n, V, S], samples sorted by name.

    Raises
    ------
    InputError
        See `sample_depth`.
    EnvironmentFault
        A process died, most likely for want of memory.
    """
    passing = passing or DepthFilter()
    check_unique([(sample.name, str(sample.path)) for sample in samples])
    use_reference = reference is not None and passing.min_identity > 0
    with _indexed(reference) if reference and use_reference else nullcontext() as indexed:
        for sample in samples:
            check_alignments(sample.path, contigs, passing, indexed)
        processes = min(threads, len(samples))
        job = _Job(contigs, seed, n_views, passing, indexed, max(1, threads // processes))
        done = _cover_all(job, samples, processes)
    inputs = [(sample.path.name, digest) for sample, (_, digest) in zip(samples, done, strict=True)]
    if reference is not None and use_reference:
        inputs.append((reference.name, fingerprint(reference)))
    options = {
        "min_mapq": passing.min_mapq,
        "min_identity": passing.min_identity,
        "per_view": True,
        "reads": passing.reads,
    }
    return stack([part for part, _ in done], seed, options, inputs)


def _cover_all(
    job: _Job, samples: Sequence[Sample], processes: int
) -> list[tuple[SampleCoverage, str]]:
    """Coverage and file fingerprint of each sample, in their order."""
    total = sum(sample.path.stat().st_size for sample in samples)
    with progress.task("coverage", total, "B") as task:
        if processes == 1:
            return [_cover(job, sample, task.advance) for sample in samples]
        return _in_processes(job, samples, processes, task.advance)


def _cover(job: _Job, sample: Sample, advance: Callable[[int], None]) -> tuple[SampleCoverage, str]:
    starts, ends = views(job.contigs.lengths, job.seed, job.n_views)
    depth = sample_depth(
        sample.path,
        job.contigs,
        starts,
        ends,
        job.passing,
        reference=job.reference,
        threads=job.threads,
        advance=advance,
    )
    part = SampleCoverage(sample.name, depth.mean, depth.variance, depth.reads)
    return part, fingerprint(sample.path)


class _Stopped(Exception):
    """Another file failed, so this one is given up."""


class _Worker:
    """State of one process: the job, and what all processes share."""

    job: _Job
    counter: Any
    stop: Any

    @classmethod
    def set_up(cls, job: _Job, counter: Any, stop: Any) -> None:
        cls.job, cls.counter, cls.stop = job, counter, stop
        # Ctrl-C reaches the whole group; the parent alone answers it, through `stop`.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_leave_with_parent, daemon=True).start()

    @classmethod
    def advance(cls, amount: int) -> None:
        if cls.stop.is_set():
            raise _Stopped
        with cls.counter.get_lock():
            cls.counter.value += amount


def _leave_with_parent() -> None:
    """End this process when its parent was killed; it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _cover_in_worker(sample: Sample) -> tuple[SampleCoverage, str]:
    return _cover(_Worker.job, sample, _Worker.advance)


def _in_processes(
    job: _Job, samples: Sequence[Sample], processes: int, advance: Callable[[int], None]
) -> list[tuple[SampleCoverage, str]]:
    """Results in the order of the samples."""
    # Fresh processes: a fork of one that runs threads (torch, OpenMP) may deadlock.
    context = multiprocessing.get_context("spawn")
    counter, stop = context.Value("q", 0), context.Event()
    told = 0
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_Worker.set_up, initargs=(job, counter, stop)
    ) as pool:
        try:
            futures = [pool.submit(_cover_in_worker, sample) for sample in samples]
            running: set[Future[Any]] = set(futures)
            while running:
                ended, running = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
                now = counter.value
                advance(now - told)
                told = now
                for future in ended:
                    future.result()
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise EnvironmentFault(
                "a process that read alignments was killed, most likely for want of memory; "
                "use fewer threads or a machine with more memory"
            ) from None
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


@contextmanager
def _indexed(reference: Path) -> Iterator[Path]:
    """The reference as plain FASTA with an index, in a temporary folder: none beside the input."""
    with tempfile.TemporaryDirectory(prefix="llmbin-") as folder:
        plain = Path(folder) / "reference.fa"
        if compression_of(reference) is None:
            plain.symlink_to(reference.resolve())
        else:
            with open_decompressed(reference) as source, plain.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
        verbosity = pysam.set_verbosity(0)
        try:
            pysam.faidx(str(plain))
        except pysam.utils.SamtoolsError:
            raise InputError(
                f"{reference}: cannot be indexed; give the FASTA that the CRAM was written against"
            ) from None
        finally:
            pysam.set_verbosity(verbosity)
        yield plain


def table_coverage(
    contigs: ContigTable,
    paths: Sequence[Path],
    seed: int,
    n_views: int,
    names: Sequence[str] | None = None,
) -> Coverage:
    """Coverage of contigs from depth tables; every view gets the depth of its whole contig.

    Parameters
    ----------
    contigs : ContigTable
        n contigs; every table must hold all of them.
    paths : sequence of Path
        Tables of jgi_summarize_bam_contig_depths, CoverM or strobealign --aemb, told by content.
    seed, n_views : int
        Kept in the provenance, so that the result joins with files made on views.
    names : sequence of str, optional
        Sample names in the order of files and columns (default: as the tables name them).

    Returns
    -------
    Coverage
        ``mean``, ``variance`` float32 [n, V, S]; variance is 0 where the table has none, and the
        option ``per_view`` is false.

    Raises
    ------
    InputError
        See `read_depth_table`.
    """
    found: list[tuple[Path, TableColumn]] = []
    with progress.task("coverage", len(paths), "tables") as task:
        for path in paths:
            found += [(path, column) for column in read_depth_table(path, contigs)]
            task.advance()
    chosen = choose_names([column.sample for _, column in found], names)
    check_unique([(name, str(path)) for name, (path, _) in zip(chosen, found, strict=True)])
    parts = [
        SampleCoverage(
            name, _every_view(column.mean, n_views), _every_view(column.variance, n_views), None
        )
        for name, (_, column) in zip(chosen, found, strict=True)
    ]
    options = {"min_mapq": None, "min_identity": None, "per_view": False}
    return stack(parts, seed, options, [(path.name, fingerprint(path)) for path in paths])


def coverage_samples(
    alignments: Sequence[Path], tables: Sequence[Path], names: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Names of the samples that the coverage of these files will have, in its order.

    Parameters
    ----------
    alignments, tables, names
        As for `name_samples` and `table_coverage`; alignments or tables.
    """
    if alignments:
        return tuple(sample.name for sample in name_samples(alignments, names))
    found = [(sample, path) for path in tables for sample in samples_of_table(path)]
    chosen = choose_names([sample for sample, _ in found], names)
    check_unique([(name, str(path)) for name, (_, path) in zip(chosen, found, strict=True)])
    return tuple(sorted(chosen))


def _every_view(values: NDArray[np.float64], n_views: int) -> NDArray[np.float32]:
    return np.repeat(values.astype(np.float32)[:, None], n_views, axis=1)
