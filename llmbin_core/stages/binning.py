"""Stages that work on all contigs of a sample: from latents to bins."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbin_core import defaults, outputs
from llmbin_core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmbin_core.bins.outliers import Outlier
    from llmbin_core.bins.quality import Quality
    from llmbin_core.bins.writing import Depths
    from llmbin_core.bintable import BinTable
    from llmbin_core.bysample import SampleSummary
    from llmbin_core.contigs import ContigSet
    from llmbin_core.markertable import MarkerHit, MarkerSets
    from llmbin_core.stagefile import StageFile

log = logging.getLogger("llmbin")


def cluster(
    latent: Path,
    markers: Path,
    out: Path,
    *,
    coverage: Path | None = None,
    sample: str | None = None,
    min_sample_contigs: int = defaults.MIN_SAMPLE_CONTIGS,
    min_bin_size: int = defaults.MIN_BIN_SIZE,
    grid: str = defaults.GRID,
    reads: str = defaults.READS,
    seed: int = defaults.RANDOM_SEED,
    threads: int = 1,
) -> StageFile:
    """Write candidate partitions: ``labels`` int32 [partitions, n].

    Where `encode` told samples apart, each is clustered on its own, and no cluster spans samples.

    Parameters
    ----------
    latent : Path
        Output of `encode`.
    markers : Path
        Output of `markers`; its hits give the marker seeds.
    coverage : Path, optional
        Output of coverage; its depths take part in the density clustering of long reads.
    sample : str, optional
        Cluster this sample alone; the output holds its contigs and no others.
    min_sample_contigs, min_bin_size : int
        Samples with fewer contigs are left out, where there are several; clusters of fewer bp do
        not count when partitions are compared, as for `make_bins`.
    grid : str
        ``default``, or ``full`` for the 120 published settings.
    reads : str
        ``long`` and ``hybrid`` add density clustering.
    seed, threads : int
        Random seed of Leiden and k-means; processes.
    """
    from llmbin_core.bysample import join_labels
    from llmbin_core.files import fingerprint
    from llmbin_core.markertable import read_markers_of
    from llmbin_core.stagefile import Provenance, read_stage, rows_for, write_stage

    file, parts = _samples_of(read_stage(latent, "latent"), sample)
    p = file.provenance
    hits = read_markers_of(markers, file.contigs, part=bool(sample or p.options.get("sample")))
    chosen = {k: p for k, p in parts.items() if not k or len(p[0]) >= min_sample_contigs}
    for name in parts.keys() - chosen.keys():
        log.warning("sample %s has %d contigs: left out", name, len(parts[name][0]))
    how: dict[str, Any] = {"grid": grid, "reads": reads, "random_seed": seed}
    how["min_bin_size"] = min_bin_size
    work = partial(_partition, markers=sorted({h.marker for h in hits}), **how)
    depths = rows_for(read_stage(coverage, "coverage"), "mean", file)[:, 0] if coverage else None
    labels, settings = _cluster_all(chosen, depths, _by_sample(hits, chosen), work, threads)
    inputs = {path.name: fingerprint(path) for path in (latent, markers, coverage) if path}
    options = how | {"partitions": settings, "sample": sample}
    options |= {"separator": p.options.get("separator"), "min_sample_contigs": min_sample_contigs}
    provenance = Provenance("partitions", p.seed, p.n_views, options, inputs)
    tensors = {"labels": join_labels(labels, len(file.contigs))}
    return write_stage(out, file.contigs, tensors, provenance)


# Contigs, mean depths and marker genes of a sample.
_Job = tuple["StageFile", "NDArray[np.float32] | None", "Sequence[MarkerHit]"]
_Partitions = tuple["NDArray[np.int32]", list[dict[str, Any]]]


def _cluster_all(
    parts: Mapping[str, tuple[NDArray[np.int64], StageFile]],
    depths: NDArray[np.float32] | None,
    hits: Mapping[str, Sequence[MarkerHit]],
    work: Callable[[_Job, int], _Partitions],
    threads: int,
) -> tuple[list[tuple[NDArray[np.int64], NDArray[np.int32]]], list[dict[str, Any]]]:
    """Rows and labels of all samples, and how the most partitions of one were made."""
    from llmbin_core.bysample import map_samples

    jobs = [
        (part, None if depths is None else depths[rows], hits[name])
        for name, (rows, part) in parts.items()
    ]
    labels, settings = [], list[dict[str, Any]]()
    results = map_samples(work, jobs, threads)
    for (name, (rows, _)), (own, how) in zip(parts.items(), results, strict=True):
        labels.append((rows, own))
        settings = max(settings, how, key=len)
        if name:
            log.info("sample %s: %d contigs, %d partitions", name, len(rows), len(own))
    return labels, settings


def _partition(
    job: _Job, threads: int, *, markers: Sequence[str], min_bin_size: int, **how: Any
) -> _Partitions:
    from llmbin_core.bins.markerindex import index_markers
    from llmbin_core.bins.selection import partition_worth
    from llmbin_core.clustering.grid import partitions

    file, depths, hits = job
    worth = None
    if markers:
        # Partitions are compared with each other only, so every marker may count in every bin.
        index = index_markers(hits, file.contigs, {"all": [[m] for m in markers]})
        worth = partial(partition_worth, index=index, min_size=min_bin_size)
    latent: NDArray[np.float32] = file.tensors["latent"]
    return partitions(
        latent, file.contigs, hits, depths=depths, worth=worth, threads=threads, **how
    )


def _samples_of(
    file: StageFile, sample: str | None
) -> tuple[StageFile, dict[str, tuple[NDArray[np.int64], StageFile]]]:
    """Rows and part of each sample of a stage file; the whole as sample ``""`` where it has none.

    With `sample` the file becomes the part of that one.
    """
    import numpy as np

    from llmbin_core.bysample import rows_of_sample, sample_rows, take_rows

    separator = file.provenance.options.get("separator")
    everything = np.arange(len(file.contigs))
    if separator is None:
        if sample is not None:
            raise UsageError(
                f"--sample {sample}: {file.path} does not tell samples apart; encode the contigs "
                "with llmbin-encode --separator"
            )
        return file, {"": (everything, file)}
    if sample is not None:
        part = take_rows(file, rows_of_sample(file.contigs, separator, sample))
        return part, {sample: (everything[: len(part.contigs)], part)}
    if not len(file.contigs):
        return file, {"": (everything, file)}
    parts = sample_rows(file.contigs, separator)
    return file, {name: (rows, take_rows(file, rows)) for name, rows in parts.items()}


def _by_sample(
    hits: Sequence[MarkerHit], parts: Mapping[str, tuple[NDArray[np.int64], StageFile]]
) -> dict[str, list[MarkerHit]]:
    """The hits on the contigs of each sample, in their order."""
    owner = {contig: name for name, (_, part) in parts.items() for contig in part.contigs.names}
    found: dict[str, list[MarkerHit]] = {name: [] for name in parts}
    for hit in hits:
        if hit.contig in owner:
            found[owner[hit.contig]].append(hit)
    return found


def make_bins(
    partitions: Path,
    markers: Path,
    sets: Path,
    contigs: Path,
    out: Path,
    *,
    coverage: Path | None = None,
    latent: Path | None = None,
    sample: str | None = None,
    min_bin_size: int = defaults.MIN_BIN_SIZE,
    choose: str = defaults.CHOOSE,
    compress: bool = False,
    prefix: str = defaults.PREFIX,
) -> BinTable:
    """Choose bins among the candidates and write them with their tables into a folder.

    Parameters
    ----------
    partitions, markers, sets, contigs : Path
        Outputs of cluster, markers (table and sets) and prepare, whose headers tell circles.
    out : Path
        Folder for all that `write_bins` writes; in multi-sample binning also ``samples.tsv``.
    coverage, latent : Path, optional
        Outputs of coverage, which gives the depth of bins and tells strains apart, and of encode;
        both together tell contigs that contradict their bin.
    sample : str, optional
        Bin this sample of several alone; the default where the partitions are of one.
    min_bin_size, choose, compress : int, str, bool
        Smaller bins are not written (bp); see `choose_bins`; gzip the bins.
    prefix : str
        Bins are named ``prefix.001``, ``prefix.002``, ...; in multi-sample binning ``sample.001``.
    """
    from llmbin_core.bins.outliers import write_outliers
    from llmbin_core.bins.writing import write_bins
    from llmbin_core.bintable import read_bins
    from llmbin_core.bysample import write_samples
    from llmbin_core.markertable import read_marker_sets, read_markers_of
    from llmbin_core.stagefile import read_stage, rows_for

    file = read_stage(partitions, "partitions")
    _check_usage(file, latent, coverage, prefix)
    sample = sample or file.provenance.options.get("sample")
    assembly, depths = _assembly_of(file, contigs, coverage, sample)
    file, parts = _samples_of(file, sample)
    domains = read_marker_sets(sets)
    hits = _by_sample(read_markers_of(markers, assembly.table, part=sample is not None), parts)
    latents = rows_for(read_stage(latent, "latent"), "latent", file) if latent else None
    choose_own = partial(
        _choose, hits=hits, sets=domains, latents=latents, size=min_bin_size, choose=choose
    )
    bins, names, quality, outliers = _choose_all(parts, depths, contigs, prefix, choose_own)
    write_bins(out, assembly, bins, quality, tuple(domains), depths, compress, names)
    write_outliers(out / outputs.OUTLIERS, outliers)
    if file.provenance.options.get("separator") is not None:
        write_samples(out / outputs.SAMPLES_TABLE, _summaries(file, parts, bins))
    _announce(bins, file, min_bin_size)
    return read_bins(out / outputs.BINS_TABLE)


def _check_usage(file: StageFile, latent: Path | None, coverage: Path | None, prefix: str) -> None:
    if latent is not None and coverage is None:
        raise UsageError("--latent needs --coverage: outliers are told by both; give both, or none")
    if prefix != defaults.PREFIX and file.provenance.options.get("separator") is not None:
        raise UsageError(f"--prefix {prefix} has no effect: bins are named after their samples")


def _assembly_of(
    file: StageFile, contigs: Path, coverage: Path | None, sample: str | None
) -> tuple[ContigSet, Depths | None]:
    """Contigs and mean depths, all or those of a sample, checked against the partitions."""
    from llmbin_core.bins.writing import Depths
    from llmbin_core.bysample import rows_of_sample, take_rows
    from llmbin_core.contigs import read_contigs
    from llmbin_core.stagefile import check_same_contigs, read_stage

    assembly = read_contigs(contigs)
    table = read_stage(coverage, "coverage") if coverage else None
    if table:
        check_same_contigs(table, assembly.table, contigs)
    of_one = file.provenance.options.get("sample") is not None
    if not of_one:
        check_same_contigs(file, assembly.table, contigs)
    separator = file.provenance.options.get("separator")
    if sample is not None and separator is not None:
        rows_of_sample(file.contigs, separator, sample)  # a file of another sample is refused
        rows = rows_of_sample(assembly.table, separator, sample)
        assembly = assembly.take(rows)
        table = take_rows(table, rows) if table else None
    if of_one:
        check_same_contigs(file, assembly.table, contigs)
    if table is None:
        return assembly, None
    samples = tuple(table.provenance.options["samples"])
    return assembly, Depths(samples, table.tensors["mean"][:, 0])


def _choose_all(
    parts: Mapping[str, tuple[NDArray[np.int64], StageFile]],
    depths: Depths | None,
    contigs: Path,
    prefix: str,
    choose_own: Callable[..., tuple[list[NDArray[np.int64]], Quality, list[Outlier]]],
) -> tuple[list[NDArray[np.int64]], list[str], Quality, list[tuple[str, str, Outlier]]]:
    """Bins of all samples, their names and quality, and the outliers with contig and bin."""
    from llmbin_core.bins.writing import number_names
    from llmbin_core.circularity import circular_contigs

    circular = circular_contigs(contigs)
    bins, names, qualities, outliers = [], [], [], []
    for name, (rows, part) in parts.items():
        known = None if depths is None else depths.mean[rows]
        own, quality, found = choose_own(name, rows, part, known, circular)
        own_names = number_names(name or prefix, len(own))
        outliers += [(part.contigs.names[o.row], own_names[o.bin], o) for o in found]
        qualities.append(quality)
        bins += [rows[b] for b in own]
        names += own_names
    return bins, names, _join(qualities), outliers


def _choose(
    sample: str,
    rows: NDArray[np.int64],
    file: StageFile,
    depths: NDArray[np.float32] | None,
    circular: Collection[str],
    *,
    hits: Mapping[str, Sequence[MarkerHit]],
    sets: MarkerSets,
    latents: NDArray[np.float32] | None,
    size: int,
    choose: str,
) -> tuple[list[NDArray[np.int64]], Quality, list[Outlier]]:
    """The bins of one sample, their quality, and the contigs that contradict them."""
    import numpy as np

    from llmbin_core.bins.markerindex import index_markers
    from llmbin_core.bins.outliers import drop_outliers
    from llmbin_core.bins.proposals import Vectors
    from llmbin_core.bins.quality import estimate
    from llmbin_core.bins.selection import best_first, choose_bins
    from llmbin_core.bysample import own_partitions

    index = index_markers(hits[sample], file.contigs, sets, depths)
    labels = own_partitions(file.tensors["labels"])
    closed = np.array([name in circular for name in file.contigs.names], dtype=np.bool_)
    vectors = None
    if latents is not None and depths is not None:
        vectors = Vectors(latents[rows], depths)
    bins = choose_bins(labels, index, size, choose, vectors, closed)
    outliers: list[Outlier] = []
    if vectors is not None:
        bins, outliers = drop_outliers(bins, index, *vectors, size)
    order = best_first(bins, index)
    bins = [bins[b] for b in order]
    outliers = [replace(o, bin=order.index(o.bin)) for o in outliers]
    return bins, estimate(index, bins), outliers


def _join(qualities: Sequence[Quality]) -> Quality:
    """The quality of the bins of all samples, in their order."""
    import numpy as np

    from llmbin_core.bins.quality import Quality

    names = [f.name for f in fields(Quality)]
    return Quality(*(np.concatenate([getattr(q, n) for q in qualities]) for n in names))


def _announce(bins: Sequence[NDArray[np.int64]], file: StageFile, min_bin_size: int) -> None:
    if bins:
        log.info("%d bins, %d bp", len(bins), sum(file.contigs.lengths[b].sum() for b in bins))
    else:
        log.warning("no bins: no cluster of contigs reaches %d bp", min_bin_size)


def _summaries(
    file: StageFile,
    parts: Mapping[str, tuple[NDArray[np.int64], StageFile]],
    bins: Sequence[NDArray[np.int64]],
) -> list[SampleSummary]:
    """What became of each sample; bins hold rows of the file."""
    from llmbin_core.bysample import SampleSummary

    lengths, least = file.contigs.lengths, file.provenance.options["min_sample_contigs"]
    found = []
    for name, (rows, _) in parts.items():
        held = set(rows.tolist())
        own = [b for b in bins if int(b[0]) in held]
        skipped = f"fewer than {least} contigs" if len(rows) < least else ""
        bp, binned = int(lengths[rows].sum()), sum(int(lengths[b].sum()) for b in own)
        found.append(SampleSummary(name, len(rows), bp, len(own), binned, skipped))
    return [summary for summary in found if summary.sample]
