"""Stages that work on all contigs of a sample: from features to bins."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbin_core import defaults, outputs
from llmbin_core.errors import InputError

if TYPE_CHECKING:
    from llmbin_core.bins.writing import Depths
    from llmbin_core.contigs import ContigTable

log = logging.getLogger("llmbin")

Shard = tuple[int, int]


def train(
    features: Sequence[Path],
    out: Path,
    *,
    curve_out: Path | None = None,
    checkpoint: Path | None = None,
    device: str = "auto",
    threads: int = 1,
    **options: Any,
) -> None:
    """Train a binning encoder on the features of one or several samples.

    Parameters
    ----------
    features : sequence of Path
        Stage files, or folders that hold them; files of the same contigs form a sample.
    out : Path
        Model file.
    curve_out : Path, optional
        Training curve (TSV).
    checkpoint : Path, optional
        Written during training; an existing one is continued.
    device, threads
        Where to compute.
    **options
        Of `llmbin_core.encoder.train.TrainingOptions` and `NetworkShape`.
    """
    from llmbin_core.device import choose_device, use_threads
    from llmbin_core.encoder.features import load_samples
    from llmbin_core.encoder.modelfile import save_model
    from llmbin_core.encoder.train import make_plan, train_encoder, write_curve

    use_threads(threads)
    samples = load_samples(features)
    shape, settings = make_plan(samples, options)
    encoder, curve = train_encoder(samples, shape, settings, choose_device(device), checkpoint)
    save_model(out, encoder, samples, settings, curve)
    if curve_out is not None:
        write_curve(curve_out, curve)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


def encode(
    features: Sequence[Path], model: Path, out: Path, *, device: str = "auto", threads: int = 1
) -> None:
    """Write the latents of one sample: ``latent`` float32 [n, d], unit vectors.

    Parameters
    ----------
    features : sequence of Path
        Stage files of one sample, or the folder that holds them.
    model : Path
        Output of `train`.
    """
    from llmbin_core.device import choose_device, use_threads
    from llmbin_core.encoder.features import load_samples
    from llmbin_core.encoder.modelfile import check_fit, load_model
    from llmbin_core.encoder.train import encode as latents_of
    from llmbin_core.files import fingerprint
    from llmbin_core.stagefile import Provenance, write_stage

    use_threads(threads)
    samples = load_samples(features)
    if len(samples) != 1:
        raise InputError(
            f"the features belong to {len(samples)} different sets of contigs; encode one at a time"
        )
    target = choose_device(device)
    encoder, card = load_model(model, target)
    check_fit(model, card, samples[0])
    latent = latents_of(encoder, samples[0], target)
    inputs = {outputs.MODEL: fingerprint(model)}
    write_stage(
        out,
        samples[0].contigs,
        {"latent": latent},
        Provenance("latent", samples[0].seed, samples[0].n_views, {"model": card}, inputs),
    )


def cluster(
    latent: Path,
    markers: Path,
    out: Path,
    *,
    coverage: Path | None = None,
    grid: str = defaults.GRID,
    reads: str = defaults.READS,
    seed: int = defaults.RANDOM_SEED,
    threads: int = 1,
) -> None:
    """Write candidate partitions: ``labels`` int32 [partitions, n].

    Parameters
    ----------
    latent : Path
        Output of `encode`.
    markers : Path
        Output of `markers`; its hits give the marker seeds.
    coverage : Path, optional
        Output of coverage; its depths take part in the density clustering of long reads.
    grid : str
        ``default``, or ``full`` for the 120 published settings.
    reads : str
        ``long`` and ``hybrid`` add density clustering.
    seed : int
        Random seed of Leiden and k-means.
    threads : int
        Processes.
    """
    from llmbin_core.clustering.grid import partitions
    from llmbin_core.files import fingerprint
    from llmbin_core.markertable import read_markers
    from llmbin_core.stagefile import Provenance, read_stage, write_stage

    file = read_stage(latent, "latent")
    hits = read_markers(markers)
    depths = _depths(coverage, file.contigs, latent)
    labels, settings = partitions(
        file.tensors["latent"],
        file.contigs,
        hits,
        grid=grid,
        reads=reads,
        depths=None if depths is None else depths.mean,
        random_seed=seed,
        threads=threads,
    )
    read = [latent, markers, *([coverage] if coverage else [])]
    inputs = {path.name: fingerprint(path) for path in read}
    options = {"grid": grid, "reads": reads, "random_seed": seed, "partitions": settings}
    provenance = Provenance(
        "partitions", file.provenance.seed, file.provenance.n_views, options, inputs
    )
    write_stage(out, file.contigs, {"labels": labels}, provenance)


def make_bins(
    partitions: Path,
    markers: Path,
    sets: Path,
    contigs: Path,
    out: Path,
    *,
    table: Path | None = None,
    coverage: Path | None = None,
    min_bin_size: int = defaults.MIN_BIN_SIZE,
    choose: str = defaults.CHOOSE,
    compress: bool = False,
    prefix: str = defaults.PREFIX,
) -> None:
    """Choose bins among the candidates and write them with their tables into a folder.

    Parameters
    ----------
    partitions, markers, sets, contigs : Path
        Outputs of cluster, markers (table and sets) and prepare.
    out : Path
        Folder for ``bins/``, ``bins.tsv``, ``contig2bin.tsv``, ``contig2bin.dastool.tsv`` and the
        unbinned contigs.
    table : Path, optional
        Table that prepare wrote; tells the circular contigs, whole genomes among which are bins of
        their own.
    coverage : Path, optional
        Output of coverage; gives the mean depth per sample of each bin.
    min_bin_size : int
        Smaller bins are not written (bp).
    choose : str
        ``bins``: bin by bin over all partitions; ``partition``: the best partition as a whole.
    compress : bool
        Gzip the bins.
    prefix : str
        Bins are named ``prefix.001``, ``prefix.002``, ...
    """
    from llmbin_core.bins.markerindex import index_markers
    from llmbin_core.bins.quality import estimate
    from llmbin_core.bins.selection import choose_bins
    from llmbin_core.bins.writing import write_bins
    from llmbin_core.contigs import read_circular, read_contigs
    from llmbin_core.markertable import read_marker_sets, read_markers
    from llmbin_core.stagefile import check_same_contigs, read_stage

    file = read_stage(partitions, "partitions")
    assembly = read_contigs(contigs)
    check_same_contigs(file, assembly.table, contigs)
    depths = _depths(coverage, assembly.table, contigs)
    known = None if depths is None else depths.mean
    index = index_markers(read_markers(markers), file.contigs, read_marker_sets(sets), known)
    lengths = file.contigs.lengths
    circular = read_circular(table, file.contigs) if table else None
    bins = choose_bins(file.tensors["labels"], index, lengths, min_bin_size, choose, circular)
    quality = estimate(index, bins)
    write_bins(out, assembly, bins, quality, index.domains, depths, compress, prefix)
    if bins:
        log.info("%d bins, %d bp", len(bins), sum(file.contigs.lengths[b].sum() for b in bins))
    else:
        log.warning("no bins: no cluster of contigs reaches %d bp", min_bin_size)


def _depths(coverage: Path | None, table: ContigTable, contigs: Path) -> Depths | None:
    from llmbin_core.bins.writing import Depths
    from llmbin_core.stagefile import check_same_contigs, read_stage

    if coverage is None:
        return None
    file = read_stage(coverage, "coverage")
    check_same_contigs(file, table, contigs)
    return Depths(tuple(file.provenance.options["samples"]), file.tensors["mean"][:, 0])
