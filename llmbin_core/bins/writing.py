"""Writing bins: FASTA files, the contig-to-bin tables and the summary of bins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmbin_core import outputs
from llmbin_core.bins.quality import Quality
from llmbin_core.contigs import ContigSet, n50
from llmbin_core.files import atomic_folder, atomic_path, gzip_writer, write_text

# MIMAG classes by completeness and contamination (Bowers et al. 2017); the rRNA and tRNA genes
# that the standard also asks of a high-quality draft are not looked for, hence "near-complete".
_CLASSES = (("near-complete", 90.0, 5.0), ("medium", 50.0, 10.0))
_LINE = 80


@dataclass(frozen=True)
class Depths:
    """Mean depth of whole contigs per sample: float32 [n, S]."""

    samples: tuple[str, ...]
    mean: NDArray[np.float32]


def quality_class(completeness: float, contamination: float) -> str:
    """MIMAG class of a bin: ``near-complete``, ``medium`` or ``low``."""
    for name, least, most in _CLASSES:
        if completeness > least and contamination < most:
            return name
    return "low"


def number_names(prefix: str, count: int) -> list[str]:
    """Names of bins: ``prefix.001``, ``prefix.002``, ..."""
    digits = max(3, len(str(count)))
    return [f"{prefix}.{number:0{digits}d}" for number in range(1, count + 1)]


def write_bins(
    folder: Path,
    contigs: ContigSet,
    bins: Sequence[NDArray[np.int64]],
    quality: Quality,
    domains: Sequence[str],
    depths: Depths | None = None,
    compress: bool = False,
    names: Sequence[str] | None = None,
) -> None:
    """Write everything that follows from the chosen bins.

    Parameters
    ----------
    folder : Path
        ``bins/`` with a FASTA file per bin, the unbinned contigs, ``bins.tsv``,
        ``contig2bin.tsv`` (with a header) and ``contig2bin.dastool.tsv`` (without).
    contigs : ContigSet
        n contigs.
    bins : sequence of int64 [size]
        Rows of the contigs of each bin, best bin first.
    quality : Quality
        Of the bins.
    domains : sequence of str
        Names behind `Quality.domain`.
    depths : Depths, optional
    compress : bool
        Gzip the FASTA files.
    names : sequence of str, optional
        Of the bins; without them ``bin.001``, ``bin.002``, ...
    """
    names = number_names("bin", len(bins)) if names is None else names
    ordered = [np.sort(rows) for rows in bins]
    ending = ".gz" if compress else ""
    with atomic_folder(folder / outputs.BINS_FOLDER) as temporary:
        for name, rows in zip(names, ordered, strict=True):
            _write_fasta(temporary / f"{name}.fa{ending}", contigs, rows.tolist(), compress)
    binned = np.zeros(len(contigs), dtype=bool)
    for rows in ordered:
        binned[rows] = True
    write_unbinned(
        folder / f"{outputs.UNBINNED}{ending}", contigs, np.flatnonzero(~binned).tolist()
    )
    pairs = [
        f"{contigs.table.names[row]}\t{name}\n"
        for name, rows in zip(names, ordered, strict=True)
        for row in rows
    ]
    write_text(folder / outputs.CONTIG2BIN, "contig\tbin\n" + "".join(pairs))
    write_text(folder / outputs.CONTIG2BIN_DASTOOL, "".join(pairs))
    write_text(
        folder / outputs.BINS_TABLE, _summary(names, contigs, ordered, quality, domains, depths)
    )


def write_unbinned(path: Path, contigs: ContigSet, rows: Sequence[int]) -> None:
    """Write the contigs in no bin; compressed when the name ends in ``.gz``."""
    with atomic_path(path) as temporary:
        _write_fasta(temporary, contigs, rows, path.suffix == ".gz")


def _write_fasta(path: Path, contigs: ContigSet, rows: Sequence[int], compress: bool) -> None:
    with gzip_writer(path) if compress else path.open("wb") as handle:
        for row in rows:
            letters = contigs.letters(row)
            handle.write(b">%s\n" % contigs.table.names[row].encode())
            for begin in range(0, len(letters), _LINE):
                handle.write(letters[begin : begin + _LINE] + b"\n")


def _summary(
    names: Sequence[str],
    contigs: ContigSet,
    bins: Sequence[NDArray[np.int64]],
    quality: Quality,
    domains: Sequence[str],
    depths: Depths | None,
) -> str:
    header = [
        "bin", "contigs", "bp", "n50", "gc", "completeness", "completeness_error", "contamination",
        "redundancy", "class", "domain", "markers",
    ]  # fmt: skip
    header += [f"depth:{sample}" for sample in depths.samples] if depths else []
    lines = ["\t".join(header)]
    for number, (name, rows) in enumerate(zip(names, bins, strict=True)):
        lengths = contigs.table.lengths[rows]
        completeness = float(quality.completeness[number])
        contamination = float(quality.contamination[number])
        cells = [
            name,
            str(len(rows)),
            str(lengths.sum()),
            str(n50(lengths)),
            f"{_gc(contigs, rows):.4f}",
            f"{completeness:.2f}",
            f"{quality.error[number]:.2f}",
            f"{contamination:.2f}",
            f"{quality.redundancy[number]:.2f}",
            quality_class(completeness, contamination),
            domains[quality.domain[number]] if quality.markers[number] else "unknown",
            str(quality.markers[number]),
        ]
        if depths:
            mean = np.average(depths.mean[rows], axis=0, weights=lengths)
            cells += [f"{depth:.4g}" for depth in mean.tolist()]
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def _gc(contigs: ContigSet, rows: NDArray[np.int64]) -> float:
    counts = np.zeros(5, dtype=np.int64)
    for row in rows.tolist():
        counts += np.bincount(contigs.sequence(row), minlength=5)
    return float((counts[1] + counts[2]) / max(counts[:4].sum(), 1))
