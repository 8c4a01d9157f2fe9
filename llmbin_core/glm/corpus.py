"""Genomes packed to 2 bits per base, memory-mapped, for pretraining.

A corpus is a folder:

``corpus.json``   format name and version, numbers of genomes, runs and bases
``bases.2bit``    runs of known bases; A, C, G, T = 0..3, first base in the two high bits, every run
                  starts on a byte boundary
``runs.npy``      int64 [n_runs, 2]: first byte of a run in ``bases.2bit``, its number of bases
``genomes.tsv``   name, first run, number of runs, bases, then the columns of the catalog

All offsets are 64-bit and nothing but the index of one genome is held in memory while packing, so
that hundreds of gigabases fit. Stretches of unknown bases are left out; they separate runs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from llmbin_core.errors import InputError
from llmbin_core.files import atomic_folder, open_decompressed, open_input
from llmbin_core.glm.alphabet import UNKNOWN, encode
from llmbin_core.glm.base import Codes

_FORMAT, _VERSION = "llmbin-corpus", 1
_SUFFIXES = (".fna", ".fa", ".fasta", ".fas")
_COMPRESSED = ("", ".gz", ".bz2", ".xz", ".zst")
# Runs shorter than this teach nothing and would swell the index.
MIN_RUN = 200
_LETTERS_AT_ONCE = 1 << 24

# For each byte the four codes in it.
_UNPACK = ((np.arange(256)[:, None] >> np.array([6, 4, 2, 0])) & 3).astype(np.uint8)


@dataclass(frozen=True)
class Genome:
    """One genome of a corpus.

    Attributes
    ----------
    name : str
    first_run, n_runs : int
    bases : int
    labels : mapping
        Column -> value of the catalog (taxa and others); empty without a catalog.
    """

    name: str
    first_run: int
    n_runs: int
    bases: int
    labels: Mapping[str, str] = field(default_factory=dict)


class Corpus:
    """A packed corpus, opened for reading; bases are mapped, not loaded.

    Parameters
    ----------
    path : Path
        Folder written by `pack`.

    Raises
    ------
    InputError
        Not a corpus, one of a newer format, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        head = _read_head(path)
        self.path = path
        self.runs: NDArray[np.int64] = np.load(path / "runs.npy", mmap_mode="r", allow_pickle=False)
        size = (path / "bases.2bit").stat().st_size
        if len(self.runs) != head["runs"] or size != head["bytes"]:
            raise InputError(f"{path}: the corpus is cut short; pack the genomes again")
        empty = np.zeros(0, dtype=np.uint8)
        self._bytes = np.memmap(path / "bases.2bit", dtype=np.uint8, mode="r") if size else empty
        self.genomes = _read_genomes(path / "genomes.tsv")

    def __len__(self) -> int:
        return len(self.genomes)

    def read(self, run: int, start: int, length: int) -> Codes:
        """Codes of ``length`` bases of a run from ``start`` on, uint8 [length]."""
        offset, size = (int(v) for v in self.runs[run])
        if start < 0 or length < 0 or start + length > size:
            raise IndexError(f"bases {start}..{start + length} of a run of {size}")
        packed = self._bytes[offset + start // 4 : offset + (start + length + 3) // 4]
        codes: Codes = _UNPACK[packed].reshape(-1)[start % 4 : start % 4 + length]
        return codes

    def longest(self, genome: int, limit: int) -> Codes:
        """The first ``limit`` bases at most of the longest run of a genome."""
        entry = self.genomes[genome]
        sizes = self.runs[entry.first_run : entry.first_run + entry.n_runs, 1]
        run = entry.first_run + int(sizes.argmax())
        return self.read(run, 0, min(limit, int(sizes.max())))

    def fragment(self, genome: int, length: int, rng: np.random.Generator) -> Codes:
        """A random stretch of a genome, every start equally likely.

        Parameters
        ----------
        genome : int
        length : int
            Bases; less is given when no run is that long (then the longest run).
        rng : numpy Generator

        Returns
        -------
        uint8 [<= length]
        """
        entry = self.genomes[genome]
        sizes = self.runs[entry.first_run : entry.first_run + entry.n_runs, 1]
        length = min(length, int(sizes.max()))
        ends = np.cumsum(np.maximum(sizes - length + 1, 0))
        place = int(rng.integers(int(ends[-1])))
        k = int(np.searchsorted(ends, place, side="right"))
        start = place - (int(ends[k - 1]) if k else 0)
        return self.read(entry.first_run + k, start, length)


def fasta_files(folder: Path) -> list[Path]:
    """FASTA files (plain or compressed) in a folder, sorted by name.

    Raises
    ------
    InputError
        There is none.
    """
    endings = tuple(s + c for s in _SUFFIXES for c in _COMPRESSED)
    files = sorted(p for p in folder.glob("*") if p.name.lower().endswith(endings))
    if not files:
        raise InputError(
            f"{folder}: holds no FASTA file ({', '.join(_SUFFIXES)}, compressed or not)"
        )
    return files


def genome_name(path: Path) -> str:
    """Name of a genome file without its FASTA and compression endings."""
    name = path.name
    for ending in (*(c for c in _COMPRESSED if c), *_SUFFIXES):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def read_catalog(path: Path) -> dict[str, dict[str, str]]:
    """A TSV table with a header and a column ``id``: genome name -> its row.

    Raises
    ------
    InputError
        No column ``id``, or an id given twice.
    """
    with open_decompressed(path) as handle:
        try:
            lines = handle.read().decode().splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: is not UTF-8 text ({error}); save it as UTF-8") from None
        rows = csv.DictReader(lines, delimiter="\t")
        if "id" not in (rows.fieldnames or ()):
            raise InputError(f"{path}: a catalog is a TSV file with a header and a column 'id'")
        catalog: dict[str, dict[str, str]] = {}
        for row in rows:
            if row["id"] in catalog:
                raise InputError(f"{path}: genome '{row['id']}' is listed twice")
            catalog[row["id"]] = {k: v or "" for k, v in row.items() if k and k != "id"}
    return catalog


def pack(
    files: Sequence[Path], out: Path, catalog: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    """Pack FASTA files, one genome each, into a corpus folder; atomic.

    Parameters
    ----------
    files : sequence of Path
    out : Path
    catalog : mapping, optional
        Genome name -> labels. Genomes that it lacks are an error.

    Raises
    ------
    InputError
        A genome missing in the catalog, two files of one name, or no base at all.
    """
    names = [genome_name(f) for f in files]
    doubled = {n for n in names if names.count(n) > 1} if len(set(names)) < len(names) else set()
    if doubled:
        raise InputError(f"two genome files have the name '{min(doubled)}'; rename one")
    columns = sorted({c for labels in (catalog or {}).values() for c in labels})
    with atomic_folder(out) as folder:
        with (
            (folder / "bases.2bit").open("wb") as bases,
            (folder / "runs.raw").open("wb") as runs,
            (folder / "genomes.tsv").open("w", encoding="utf-8", newline="\n") as table,
        ):
            table.write("\t".join(["name", "first_run", "n_runs", "bases", *columns]) + "\n")
            total = 0
            for name, file in zip(names, files, strict=True):
                if catalog is not None and name not in catalog:
                    raise InputError(f"{file}: the catalog has no genome with the id '{name}'")
                index = _write_runs(bases, _runs(read_fasta(file)))
                index.tofile(runs)
                values = [str(v) for v in (total, len(index), int(index[:, 1].sum()))]
                labels = [(catalog or {}).get(name, {}).get(c, "") for c in columns]
                table.write("\t".join([name, *values, *labels]) + "\n")
                total += len(index)
        _finish(folder, len(files), total)
        if not total:
            raise InputError(f"no run of at least {MIN_RUN} known bases in any of the genomes")


def read_fasta(path: Path) -> Iterator[Iterator[Codes]]:
    """Sequences of a FASTA file, each as an iterator over pieces of codes."""
    with open_decompressed(path) as handle:
        lines = iter(handle)
        first = next(lines, b"")
        if not first.startswith(b">"):
            raise InputError(f"{path}: not FASTA; it does not begin with '>'")
        more = True
        while more:
            state = {"more": False}

            def pieces(state: dict[str, bool] = state) -> Iterator[Codes]:
                kept: list[bytes] = []
                size = 0
                for line in lines:
                    if line.startswith(b">"):
                        state["more"] = True
                        break
                    kept.append(line.strip())
                    size += len(line)
                    if size > _LETTERS_AT_ONCE:
                        yield encode(b"".join(kept))
                        kept, size = [], 0
                yield encode(b"".join(kept))

            yield pieces()
            more = state["more"]


def _runs(sequences: Iterable[Iterable[Codes]]) -> Iterator[Codes]:
    """Maximal stretches of known bases of at least MIN_RUN."""
    for sequence in sequences:
        rest = np.zeros(0, dtype=np.uint8)
        for piece in sequence:
            codes = np.concatenate((rest, piece))
            edges = np.concatenate(([-1], np.flatnonzero(codes == UNKNOWN), [len(codes)]))
            for left, right in zip(edges[:-2] + 1, edges[1:-1], strict=True):
                if right - left >= MIN_RUN:
                    yield codes[left:right]
            rest = codes[edges[-2] + 1 :]
        if len(rest) >= MIN_RUN:
            yield rest


def _write_runs(handle: BinaryIO, runs: Iterable[Codes]) -> NDArray[np.int64]:
    index: list[tuple[int, int]] = []
    for codes in runs:
        index.append((handle.tell(), len(codes)))
        quads = np.concatenate((codes, np.zeros(-len(codes) % 4, dtype=np.uint8))).reshape(-1, 4)
        packed = quads[:, 0] << 6 | quads[:, 1] << 4 | quads[:, 2] << 2 | quads[:, 3]
        handle.write(packed.astype(np.uint8).tobytes())
    return np.array(index, dtype=np.int64).reshape(-1, 2)


def _finish(folder: Path, n_genomes: int, n_runs: int) -> None:
    raw = folder / "runs.raw"
    with (folder / "runs.npy").open("wb") as handle:
        header = {"descr": "<i8", "fortran_order": False, "shape": (n_runs, 2)}
        np.lib.format.write_array_header_1_0(handle, header)
        with raw.open("rb") as source:
            while chunk := source.read(1 << 24):
                handle.write(chunk)
    raw.unlink()
    head = {
        "format": _FORMAT,
        "version": _VERSION,
        "genomes": n_genomes,
        "runs": n_runs,
        "bytes": (folder / "bases.2bit").stat().st_size,
    }
    (folder / "corpus.json").write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")


def _read_head(path: Path) -> dict[str, int]:
    try:
        with open_input(path / "corpus.json") as handle:
            head = json.loads(handle.read())
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise InputError(f"{path}: corpus.json is damaged; pack the genomes again") from None
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise InputError(f"{path}: not a packed corpus")
    if head["version"] > _VERSION:
        raise InputError(f"{path}: corpus format {head['version']}, this program reads {_VERSION}")
    return head


def _read_genomes(path: Path) -> list[Genome]:
    genomes = []
    with open_input(path) as handle:
        lines = handle.read().decode().splitlines()
    columns = lines[0].split("\t")[4:]
    for line in lines[1:]:
        name, first, count, bases, *labels = line.split("\t")
        entry = dict(zip(columns, labels, strict=True))
        genomes.append(Genome(name, int(first), int(count), int(bases), entry))
    return genomes
