"""What a report tells, gathered from the files of a run; everything but the bins may be missing."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmbin_core.bintable import Bin, BinTable
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import InputError
from llmbin_core.files import open_input
from llmbin_core.stagefile import StageFile, check_same_contigs

UNBINNED = -1


@dataclass(frozen=True)
class Contigs:
    """The contigs that were binned, n of them.

    Attributes
    ----------
    table : ContigTable
    bin_of : int64 [n]
        Row of the bin in its table, `UNBINNED` for none.
    gc : float64 [n], optional
        Share of G and C.
    samples : tuple of str
        Names of the S samples; none without coverage.
    depth : float64 [n, S]
        Mean depth.
    mapped_reads : mapping
        Sample -> reads, None where a table gave its depth.
    latent : float32 [n, d], optional
    """

    table: ContigTable
    bin_of: NDArray[np.int64]
    gc: NDArray[np.float64] | None
    samples: tuple[str, ...]
    depth: NDArray[np.float64]
    mapped_reads: Mapping[str, int | None]
    latent: NDArray[np.float32] | None

    @property
    def bp(self) -> int:
        """Bases of all contigs."""
        return int(self.table.lengths.sum())

    @property
    def binned_bp(self) -> int:
        """Bases of the contigs in bins."""
        return int(self.table.lengths[self.bin_of != UNBINNED].sum())

    @property
    def sample_depth(self) -> NDArray[np.float64]:
        """Mean depth over all bases: [S]."""
        weights = self.table.lengths.astype(np.float64)
        return np.asarray(weights @ self.depth / max(weights.sum(), 1.0), dtype=np.float64)

    @property
    def sample_binned(self) -> NDArray[np.float64]:
        """Share of the mapped bases that lie on contigs in bins: [S]."""
        mapped = self.table.lengths[:, None] * self.depth
        total = np.maximum(mapped.sum(axis=0), 1e-12)
        return np.asarray(mapped[self.bin_of != UNBINNED].sum(axis=0) / total, dtype=np.float64)


@dataclass(frozen=True)
class Candidate:
    """What one partition alone would have given.

    Attributes
    ----------
    method : str
    settings : mapping
    classes : mapping
        Quality class -> clusters of it, of those that are large enough for a bin.
    chosen : int
        Bins of the result that are exactly a cluster of this partition.
    """

    method: str
    settings: Mapping[str, Any]
    classes: Mapping[str, int]
    chosen: int


@dataclass(frozen=True)
class Facts:
    """Everything a report tells.

    Attributes
    ----------
    title : str
        Name of the sample or assembly.
    bins : BinTable
    links : mapping
        Bin -> its FASTA file, as seen from the report.
    contigs : Contigs, optional
    candidates : tuple of Candidate
    curves : mapping
        Sample (``""`` where all share one model) -> column of its training curve -> values.
    models : mapping
        Sample, as above -> card of the encoder.
    seed, n_views : int, optional
    record : mapping
        The run record (``run.json``).
    """

    title: str
    bins: BinTable
    links: Mapping[str, str] = field(default_factory=dict)
    contigs: Contigs | None = None
    candidates: tuple[Candidate, ...] = ()
    curves: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int | None = None
    n_views: int | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


def read_contigs_table(path: Path) -> tuple[ContigTable, NDArray[np.float64]]:
    """Names and lengths of the contigs, and their GC shares [n], from ``contigs.tsv``."""
    rows = _rows(path, ("contig", "length", "gc"), "llmbin-prepare")
    try:
        lengths = np.array([int(row["length"]) for row in rows], dtype=np.int64)
        gc = np.array([float(row["gc"]) for row in rows], dtype=np.float64)
    except ValueError as error:
        raise InputError(
            f"{path}: a length or GC share is no number ({error}); write it with llmbin-prepare"
        ) from None
    return ContigTable(tuple(row["contig"] for row in rows), lengths), gc


_SAMPLE = "sample"


def read_curves(path: Path) -> dict[str, dict[str, list[float]]]:
    """Training curves: sample (``""`` without such a column) -> column -> values."""
    found: dict[str, dict[str, list[float]]] = {}
    for number, row in enumerate(_rows(path, ("epoch", "loss"), "llmbin-train"), 2):
        columns = found.setdefault(row.get(_SAMPLE, ""), {})
        for name, text in row.items():
            try:
                if name != _SAMPLE:
                    columns.setdefault(name, []).append(float(text))
            except ValueError:
                raise InputError(
                    f"{path}: line {number}: {name} {text!r} is no number; write it with "
                    "llmbin-train"
                ) from None
    return found


def model_cards(options: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The encoders that made latents, from what their file says: model file -> card."""
    return dict(options["models"])


def _rows(path: Path, columns: Sequence[str], writer: str) -> list[dict[str, str]]:
    open_input(path).close()  # a missing or unreadable file is reported as such
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            rows = [] if missing else list(reader)
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path}: is not a table; write it with {writer}") from None
    if missing:
        raise InputError(f"{path}: line 1 has no column '{missing[0]}'; write it with {writer}")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InputError(f"{path}: line {number} is cut short; write it with {writer}")
    return rows


def read_record(path: Path) -> dict[str, Any]:
    """A run record as far as a report uses it."""
    open_input(path).close()
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["stages"][0:0]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a run record; give the run.json of llmbin run") from None
    return dict(record)


def place_contigs(
    table: ContigTable, source: Path, bins: Sequence[Bin], contig2bin: Mapping[str, str]
) -> NDArray[np.int64]:
    """Row of the bin of every contig.

    Raises
    ------
    InputError
        The tables name contigs or bins that the others do not have.
    """
    row_of = {one.name: row for row, one in enumerate(bins)}
    unknown = contig2bin.keys() - set(table.names)
    strange = set(contig2bin.values()) - row_of.keys()
    if unknown or strange:
        what = f"contig '{min(unknown)}'" if unknown else f"bin '{min(strange)}'"
        raise InputError(
            f"{what} of the contig2bin table is in {'no line of ' if unknown else 'none of the '}"
            f"{source if unknown else 'bins of the table of bins'}; give files of one run"
        )
    places = [row_of[contig2bin[c]] if c in contig2bin else UNBINNED for c in table.names]
    return np.array(places, dtype=np.int64)


def joined_contigs(
    table: ContigTable,
    source: Path,
    bin_of: NDArray[np.int64],
    gc: NDArray[np.float64] | None,
    coverage: StageFile | None,
    latent: StageFile | None,
) -> Contigs:
    """Contigs with what stage files know of them; files of other contigs are refused."""
    for file in (coverage, latent):
        if file is not None:
            check_same_contigs(file, table, source)
    options = coverage.provenance.options if coverage else {}
    samples = tuple(options.get("samples", ()))
    depth = coverage.tensors["mean"][:, 0] if coverage else np.empty((len(table), 0))
    return Contigs(
        table,
        bin_of,
        gc,
        samples,
        depth.astype(np.float64),
        dict(options.get("mapped_reads", {})),
        latent.tensors["latent"] if latent else None,
    )
