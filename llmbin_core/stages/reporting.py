"""The stage that people look at: the report of a run."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from llmbin_core import defaults, outputs
from llmbin_core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llmbin_core.bins.markerindex import MarkerIndex
    from llmbin_core.bintable import Bin
    from llmbin_core.report.facts import Candidate, Contigs, Facts
    from llmbin_core.stagefile import StageFile

log = logging.getLogger("llmbin")


def report(
    bins: Path,
    out: Path,
    *,
    contig2bin: Path | None = None,
    contigs_table: Path | None = None,
    coverage: Path | None = None,
    latent: Path | None = None,
    partitions: Path | None = None,
    markers: Path | None = None,
    sets: Path | None = None,
    curve: Path | None = None,
    bin_files: Path | None = None,
    record: Path | None = None,
    min_bin_size: int = defaults.MIN_BIN_SIZE,
    title: str = "",
) -> Facts:
    """Write ``report.html`` and the files for MultiQC into the folder `out`.

    Parameters
    ----------
    bins : Path
        Table of bins; all other files add to the report and may be missing.
    contig2bin, contigs_table, coverage, latent : Path, optional
        Outputs of bin, prepare, coverage and encode; figures of contigs need the first one.
    partitions, markers, sets : Path, optional
        Outputs of cluster and markers: what each candidate alone would have given.
    curve, bin_files, record : Path, optional
        Training curve; folder of the bins, for links; ``run.json``, for time and memory.
    min_bin_size : int
        As given to bin (bp).
    title : str
        Name of the run; without, that of its only sample, its assembly, or ``bins``.
    """
    from llmbin_core.bintable import read_bins
    from llmbin_core.report import facts as known
    from llmbin_core.stagefile import read_stage

    table = read_bins(bins)
    encoded = read_stage(latent, "latent") if latent else None
    depths = read_stage(coverage, "coverage") if coverage else None
    run_record = known.read_record(record) if record else {}
    facts = known.Facts(
        title=title or _title(table.samples, run_record),
        bins=table,
        links=_links(table.bins, bin_files, out),
        contigs=_contigs(table.bins, contig2bin, contigs_table, depths, encoded),
        candidates=_candidates((partitions, markers, sets), contig2bin, depths, min_bin_size),
        curves=known.read_curves(curve) if curve else {},
        models=known.model_cards(encoded.provenance.options) if encoded else {},
        seed=encoded.provenance.seed if encoded else None,
        n_views=encoded.provenance.n_views if encoded else None,
        record=run_record,
    )
    _write(facts, out)
    return facts


def _title(samples: Sequence[str], record: Mapping[str, Any]) -> str:
    from llmbin_core.contigs import file_stem

    if len(samples) == 1:
        return samples[0]
    assemblies = record.get("options", {}).get("contigs", ())
    if len(assemblies) > 1:
        return f"{len(assemblies)} assemblies"
    return file_stem(Path(assemblies[0])) if assemblies else "bins"


def _write(facts: Facts, out: Path) -> None:
    from llmbin_core.files import write_text
    from llmbin_core.report import multiqc, page

    write_text(out / outputs.REPORT, page.render(facts))
    write_text(out / outputs.MULTIQC_STATISTICS, multiqc.statistics(facts))
    write_text(out / outputs.MULTIQC_CLASSES, multiqc.classes(facts))
    write_text(out / outputs.MULTIQC_QUALITY, multiqc.quality(facts))
    log.info("%s", page.headline(facts))


def _links(bins: Sequence[Bin], folder: Path | None, out: Path) -> dict[str, str]:
    """Bin -> address of its FASTA file, relative to the report."""
    files = {path.name: path for path in folder.iterdir()} if folder and folder.is_dir() else {}
    found = {}
    for one in bins:
        for name in (f"{one.name}.fa", f"{one.name}.fa.gz"):
            if name in files:
                relative = Path(os.path.relpath(files[name], out)).as_posix()
                # A colon in the first part would make it a protocol.
                found[one.name] = quote(f"./{relative}")
    return found


def _contigs(
    bins: Sequence[Bin],
    contig2bin: Path | None,
    contigs_table: Path | None,
    depths: StageFile | None,
    encoded: StageFile | None,
) -> Contigs | None:
    from llmbin_core.bintable import read_contig2bin
    from llmbin_core.report.facts import joined_contigs, place_contigs, read_contigs_table

    first = encoded or depths
    if contigs_table is None and first is None:
        return None
    if contig2bin is None:
        raise UsageError("figures of contigs need the table of their bins: give contig2bin as well")
    if contigs_table is not None:
        (table, gc), source = read_contigs_table(contigs_table), contigs_table
    elif first is not None:
        table, gc, source = first.contigs, None, first.path
    places = place_contigs(table, source, bins, read_contig2bin(contig2bin))
    return joined_contigs(table, source, places, gc, depths, encoded)


def _candidates(
    files: tuple[Path | None, Path | None, Path | None],
    contig2bin: Path | None,
    depths: StageFile | None,
    min_bin_size: int,
) -> tuple[Candidate, ...]:
    """What each partition alone would have given."""
    if all(path is None for path in files):
        return ()
    partitions, markers, sets = files
    if partitions is None or markers is None or sets is None or contig2bin is None:
        raise UsageError(
            "what the candidates would have given needs partitions, markers, marker sets and "
            "contig2bin together"
        )
    from llmbin_core.bins.markerindex import index_markers
    from llmbin_core.bintable import read_contig2bin
    from llmbin_core.markertable import read_marker_sets, read_markers
    from llmbin_core.stagefile import read_stage

    file = read_stage(partitions, "partitions")
    same = depths is not None and depths.contigs.digest == file.contigs.digest
    known = depths.tensors["mean"][:, 0] if depths is not None and same else None
    index = index_markers(read_markers(markers), file.contigs, read_marker_sets(sets), known)
    members: dict[str, list[int]] = {}
    bin_of = read_contig2bin(contig2bin)
    for row, contig in enumerate(file.contigs.names):
        if contig in bin_of:
            members.setdefault(bin_of[contig], []).append(row)
    chosen = {tuple(rows) for rows in members.values()}
    return tuple(
        _candidate(labels, settings, index, file.contigs.lengths, chosen, min_bin_size)
        for labels, settings in zip(
            file.tensors["labels"], file.provenance.options["partitions"], strict=True
        )
    )


def _candidate(
    labels: NDArray[np.int32],
    settings: Mapping[str, Any],
    index: MarkerIndex,
    lengths: NDArray[np.int64],
    chosen: set[tuple[int, ...]],
    min_bin_size: int,
) -> Candidate:
    import numpy as np

    from llmbin_core.bins.quality import estimate
    from llmbin_core.bins.writing import quality_class
    from llmbin_core.report.facts import Candidate

    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    clusters = [
        rows
        for rows in np.split(order, cuts)
        if len(rows) and labels[rows[0]] >= 0 and lengths[rows].sum() >= min_bin_size
    ]
    quality = estimate(index, clusters)
    pairs = zip(quality.completeness.tolist(), quality.contamination.tolist(), strict=True)
    shown = {k: v for k, v in settings.items() if k not in ("method", "random_seed", "seeded")}
    return Candidate(
        str(settings["method"]),
        shown,
        Counter(quality_class(*pair) for pair in pairs),
        sum(tuple(rows.tolist()) in chosen for rows in clusters),
    )
