"""The file between stages: tensors of one set of contigs, with their provenance.

A stage file is a safetensors file. It carries the names and lengths of the contigs its rows stand
for, and one JSON document with the schema, the program version, the random seed, the number of
views, all options and the digests of the inputs. Files of different contig sets, seeds or view
counts do not join.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from llmbin_core import __version__
from llmbin_core.contigs import ContigTable
from llmbin_core.errors import EnvironmentFault, InputError
from llmbin_core.files import atomic_path, compression_of

# One key holds the whole document: safetensors keeps metadata in a hash map, so several keys
# would come out in another order at every write.
_KEY = "llmbin"
_NAMES, _LENGTHS = "contig_names", "contig_lengths"
_SCHEMA_VERSION = 1

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Provenance:
    """How a stage file came to be.

    Attributes
    ----------
    schema : str
        What the file holds: ``composition``, ``coverage``, ``embedding``, ``latent`` or
        ``partitions``.
    seed, n_views : int or None
        Of the views the rows were computed on; None where views play no part.
    options : mapping
        The options of the stage and what it found (JSON values).
    inputs : mapping
        Base name of each input file -> its digest.
    rows : (int, int) or None
        Rows of the whole contig set that a shard holds; None for a whole file.
    """

    schema: str
    seed: int | None = None
    n_views: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[int, int] | None = None


@dataclass(frozen=True)
class StageFile:
    """A stage file that was read: where from, whose contigs, what and how."""

    path: Path
    contigs: ContigTable
    provenance: Provenance
    tensors: Tensors


def write_stage(
    path: Path, contigs: ContigTable, tensors: Mapping[str, NDArray[Any]], provenance: Provenance
) -> StageFile:
    """Write a stage file atomically and return it; the same content always gives the same bytes."""
    names = np.frombuffer("\n".join(contigs.names).encode(), dtype=np.uint8)
    document = {
        "schema": provenance.schema,
        "schema_version": _SCHEMA_VERSION,
        "llmbin_version": __version__,
        "contig_digest": contigs.digest,
        "seed": provenance.seed,
        "n_views": provenance.n_views,
        "options": dict(provenance.options),
        "inputs": dict(provenance.inputs),
        "rows": list(provenance.rows) if provenance.rows else None,
    }
    payload = {name: np.ascontiguousarray(t) for name, t in tensors.items()}
    payload |= {_NAMES: names, _LENGTHS: np.asarray(contigs.lengths, dtype=np.int64)}
    with atomic_path(path) as temporary:
        try:
            save_file(payload, temporary, metadata={_KEY: json.dumps(document, sort_keys=True)})
        except SafetensorError as error:  # it wraps what the system says
            raise EnvironmentFault(
                f"{path}: cannot be written ({error}); check free disk space and permissions"
            ) from error
    return StageFile(path, contigs, provenance, dict(tensors))


def read_provenance(path: Path) -> Provenance:
    """Read only the provenance of a stage file (no tensor is loaded)."""
    return _parse(path, _document(path))


def read_stage(path: Path, schema: str | None = None) -> StageFile:
    """Read a stage file.

    Parameters
    ----------
    path : Path
    schema : str, optional
        What the file must hold.

    Raises
    ------
    InputError
        Not a stage file, one of another schema or of a newer version, or a damaged one.
    """
    document = _document(path)
    if schema is not None and document["schema"] != schema:
        raise InputError(
            f"{path}: holds {document['schema']}, but {schema} is needed; "
            f"give the output of llmbin-{_WRITER.get(schema, schema)}"
        )
    with safe_open(path, framework="numpy") as handle:
        tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    if not {_NAMES, _LENGTHS} <= tensors.keys():
        raise InputError(
            f"{path}: holds {document['schema']}, which is not about contigs; give outputs of "
            "stages such as llmbin-composition"
        )
    text = tensors.pop(_NAMES).tobytes().decode()
    lengths = tensors.pop(_LENGTHS)
    contigs = ContigTable(tuple(text.split("\n")) if len(lengths) else (), lengths)
    if contigs.digest != document["contig_digest"]:
        raise InputError(f"{path}: its contigs do not match its own digest; make the file again")
    return StageFile(path, contigs, _parse(path, document), tensors)


_WRITER = {"latent": "encode", "partitions": "cluster", "embedding": "embed"}


def _document(path: Path) -> dict[str, Any]:
    compression_of(path)  # a missing or unreadable file is reported as such
    try:
        with safe_open(path, framework="numpy") as handle:
            text = (handle.metadata() or {}).get(_KEY)
    except SafetensorError as error:
        raise InputError(
            f"{path}: not a stage file, or cut short ({error}); run the stage that makes it again"
        ) from None
    if text is None:
        raise InputError(f"{path}: a safetensors file, but none that an LLMBin stage wrote")
    document: dict[str, Any] = json.loads(text)
    if document["schema_version"] > _SCHEMA_VERSION:
        raise InputError(
            f"{path}: written by LLMBin {document['llmbin_version']} in format "
            f"{document['schema_version']}, this is {__version__}, which reads up to format "
            f"{_SCHEMA_VERSION}; use the newer version"
        )
    return document


def _parse(path: Path, document: dict[str, Any]) -> Provenance:
    rows = document["rows"]
    return Provenance(
        document["schema"],
        document["seed"],
        document["n_views"],
        document["options"],
        document["inputs"],
        (rows[0], rows[1]) if rows else None,
    )


def check_join(files: Sequence[StageFile]) -> None:
    """Refuse stage files whose contigs, random seeds or view counts differ.

    Raises
    ------
    InputError
        Names the two files and the first difference.
    """
    for other in files[1:]:
        first = files[0]
        pair = f"{first.path} and {other.path} do not belong together"
        if first.contigs.digest != other.contigs.digest:
            difference = first.contigs.first_difference(other.contigs)
            raise InputError(f"{pair}: {difference}; make both from the same contigs")
        _check_same_views(first, other)


def _check_same_views(one: StageFile, other: StageFile) -> None:
    for key, label in (("seed", "random seed"), ("n_views", "number of views")):
        mine, theirs = getattr(one.provenance, key), getattr(other.provenance, key)
        if mine is not None and theirs is not None and mine != theirs:
            raise InputError(
                f"{one.path} and {other.path} do not belong together: {label} {mine} and {theirs}; "
                "make both with the same one"
            )


def rows_for(file: StageFile, tensor: str, part: StageFile) -> NDArray[Any]:
    """A tensor of the contigs of another stage file, which may be fewer, such as one sample's.

    Raises
    ------
    InputError
        Contigs are missing or have another length, or random seed or number of views differ.
    """
    row_of = {name: row for row, name in enumerate(file.contigs.names)}
    rows = [row_of.get(name, -1) for name in part.contigs.names]
    what = f"{file.path} and {part.path} do not belong together: contig"
    for name, row, length in zip(part.contigs.names, rows, part.contigs.lengths, strict=True):
        if row < 0:
            raise InputError(f"{what} '{name}' is missing in {file.path}; make both from the same")
        if file.contigs.lengths[row] != length:
            raise InputError(
                f"{what} '{name}' has {file.contigs.lengths[row]} and {length} bp; make both from "
                "the same contigs"
            )
    _check_same_views(file, part)
    return np.asarray(file.tensors[tensor][rows])


def check_same_contigs(file: StageFile, contigs: ContigTable, source: Path) -> None:
    """Refuse a stage file made from other contigs than those of an assembly.

    Raises
    ------
    InputError
        Names both files and the first difference.
    """
    if file.contigs.digest != contigs.digest:
        difference = file.contigs.first_difference(contigs)
        raise InputError(
            f"{file.path} was not made from {source}: {difference}; give the contigs it was made "
            "from, or make it again"
        )


def shard_rows(lengths: NDArray[np.int64], shard: int, n_shards: int) -> tuple[int, int]:
    """Rows begin..end-1 of shard 1..n: contiguous, about equal in bp, together all rows."""
    if not 1 <= shard <= n_shards:
        raise InputError(f"shard {shard}/{n_shards}: the first number must be within 1..{n_shards}")
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    cuts = [int(np.searchsorted(ends, total * k // n_shards, "right")) for k in range(n_shards)]
    cuts = [0, *cuts[1:], len(lengths)]
    return cuts[shard - 1], cuts[shard]


def merge_shards(files: Sequence[StageFile]) -> StageFile:
    """Join the shards of one stage into the file that an unsharded run would have written.

    Raises
    ------
    InputError
        Shards of different stages, options, inputs or seeds; a missing or doubled shard.
    """
    ordered = sorted(files, key=lambda f: f.provenance.rows or (0, 0))
    first = ordered[0]
    begin = 0
    for file in ordered:
        mine, theirs = first.provenance, file.provenance
        if theirs.rows is None:
            raise InputError(f"{file.path}: is a whole file, not a shard; nothing to merge")
        if (mine.schema, mine.seed, mine.n_views, mine.options, mine.inputs) != (
            theirs.schema,
            theirs.seed,
            theirs.n_views,
            theirs.options,
            theirs.inputs,
        ):
            raise InputError(
                f"{first.path} and {file.path} are not shards of one run: stage, inputs, random "
                "seed or options differ; make all shards with the same ones"
            )
        if theirs.rows[0] != begin:
            raise InputError(
                f"{file.path}: begins at contig {theirs.rows[0] + 1}, but the shards before it end "
                f"at {begin}; give every shard once"
            )
        begin = theirs.rows[1]
    if begin != first.provenance.options["n_contigs"]:
        raise InputError(
            f"{ordered[-1].path}: the shards end at contig {begin} of "
            f"{first.provenance.options['n_contigs']}; give every shard once"
        )
    names = tuple(n for f in ordered for n in f.contigs.names)
    lengths = np.concatenate([f.contigs.lengths for f in ordered])
    tensors = {k: np.concatenate([f.tensors[k] for f in ordered]) for k in first.tensors}
    p = first.provenance
    whole = Provenance(p.schema, p.seed, p.n_views, p.options, p.inputs, None)
    return StageFile(first.path, ContigTable(names, lengths), whole, tensors)
