"""Stages that work on contigs one by one: what is known of each of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llmbin_core import defaults, outputs, progress
from llmbin_core.errors import InputError, UsageError

if TYPE_CHECKING:
    from llmbin_core.contigs import ContigSet, Prepared
    from llmbin_core.markertable import MarkerHit
    from llmbin_core.stagefile import StageFile

log = logging.getLogger("llmbin")

Shard = tuple[int, int]


def prepare(
    assemblies: Sequence[Path],
    out: Path,
    *,
    min_length: int | Literal["auto"] = defaults.MIN_LENGTH,
    sample_names: Sequence[str] | None = None,
    separator: str = defaults.SEPARATOR,
    joined: bool = False,
    circular: Path | None = None,
) -> Prepared:
    """Check assemblies and write the contigs that are binned, with their table, into a folder.

    Parameters
    ----------
    assemblies : sequence of Path
    out : Path
        Folder.
    min_length : int or "auto"
        Shorter contigs are left out (bp).
    sample_names : sequence of str, optional
        One per assembly.
    separator : str
        Between sample and contig where there are several assemblies.
    joined : bool
        The contigs of the one assembly are named ``sample<separator>contig`` already.
    circular : Path, optional
        Flye's ``assembly_info.txt`` or a list of the circular contigs of one assembly.
    """
    from llmbin_core import contigs
    from llmbin_core.circularity import read_circular_names

    if circular is not None and len(assemblies) > 1:
        raise UsageError("--circular belongs to one assembly; prepare each of them on its own")

    named = contigs.name_samples(assemblies, sample_names, separator)
    fasta, table = out / outputs.CONTIGS_FASTA, out / outputs.CONTIGS_TABLE
    closed = read_circular_names(circular) if circular else ()
    made = contigs.prepare(named, fasta, table, min_length, separator, joined, closed)
    log.info(
        "kept %d contigs (%d bp) of at least %d bp, left out %d (%d bp)",
        made.kept,
        made.kept_bp,
        made.min_length,
        made.dropped,
        made.dropped_bp,
    )
    if not made.kept:
        log.warning("no contig is %d bp or longer: there will be no bins", made.min_length)
    return made


def composition(
    contigs: Path,
    out: Path,
    *,
    n_views: int = defaults.N_VIEWS,
    seed: int = defaults.RANDOM_SEED,
    shard: Shard = (1, 1),
) -> StageFile:
    """Write the 4-mer composition of the views: ``composition`` float32 [n, V, 136].

    Parameters
    ----------
    contigs : Path
        Assembly (output of prepare, or any FASTA).
    out : Path
    n_views, seed : int
        Number of views per contig and their random seed.
    shard : (int, int)
        Part k of n of the contigs.
    """
    from llmbin_core.composition import composition as spectra
    from llmbin_core.contigs import read_contigs
    from llmbin_core.views import views

    whole = read_contigs(contigs)
    starts, ends = views(whole.table.lengths, seed, n_views)
    rows = _shard(whole.table.lengths, shard)
    part = whole.rows(*rows)
    table = spectra(part, starts[slice(*rows)], ends[slice(*rows)])
    options = {"k": 4, "n_contigs": len(whole)}
    tensors = {"composition": table}
    return _write_rows(
        out, part, tensors, "composition", seed, n_views, options, contigs, rows, shard
    )


def coverage(
    contigs: Path,
    out: Path,
    *,
    alignments: Sequence[Path] = (),
    tables: Sequence[Path] = (),
    sample_names: Sequence[str] | None = None,
    reference: Path | None = None,
    min_mapq: int = defaults.MIN_MAPQ,
    min_identity: float = defaults.MIN_IDENTITY,
    n_views: int = defaults.N_VIEWS,
    seed: int = defaults.RANDOM_SEED,
    reads: str = defaults.READS,
    threads: int = 1,
) -> StageFile:
    """Write depth of the views: ``mean`` and ``variance``, float32 [n, V, S].

    Parameters
    ----------
    contigs, out, n_views, seed
        As for `composition`.
    alignments, tables : sequence of Path
        BAM or CRAM files, or depth tables; one of the two.
    sample_names : sequence of str, optional
        One per file or table column.
    reference : Path, optional
        FASTA that CRAM files were written against.
    min_mapq, min_identity
        Reads below are left out.
    """
    from llmbin_core import coverage as depth
    from llmbin_core.stagefile import write_stage

    if bool(alignments) == bool(tables):
        raise UsageError("coverage needs either alignments or depth tables")
    passing = depth.DepthFilter(min_mapq, min_identity, reads)
    table = depth.read_contig_table(contigs)
    if tables:
        result = depth.table_coverage(table, tables, seed, n_views, sample_names)
        log.info("depth tables know no views: every view has the depth of its contig")
    else:
        result = depth.alignment_coverage(
            table,
            depth.name_samples(alignments, sample_names),
            seed,
            n_views,
            passing,
            reference=reference,
            threads=threads,
        )
    result = result.with_input(contigs)
    written = write_stage(out, table, result.tensors, result.provenance)
    for sample, reads in sorted(result.provenance.options["mapped_reads"].items()):
        log.info("sample %s: %s", sample, "from a table" if reads is None else f"{reads} reads")
    return written


def merge_coverage(parts: Sequence[Path], out: Path) -> None:
    """Join the coverage of different samples of the same contigs into one file."""
    from llmbin_core import coverage as depth
    from llmbin_core.stagefile import read_stage, write_stage

    whole = depth.merge_coverage([read_stage(part, "coverage") for part in parts])
    write_stage(out, whole.contigs, whole.tensors, whole.provenance)
    log.info("samples: %s", ", ".join(whole.provenance.options["samples"]))


def embed(
    contigs: Path,
    out: Path,
    *,
    glm: str,
    n_views: int = defaults.N_VIEWS,
    seed: int = defaults.RANDOM_SEED,
    shard: Shard = (1, 1),
    device: str = "auto",
    per_view: bool = False,
    trust_remote_code: bool = False,
) -> StageFile:
    """Write the gLM embedding of the views: ``embedding`` float16 [n, V, D].

    Contigs of only unknown bases have zero vectors and 1 in ``unknown``, uint8 [n].

    Parameters
    ----------
    contigs, out, n_views, seed, shard
        As for `composition`.
    glm : str
        Name of a bundled gLM or baseline, or a gLM folder.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:n`` or ``mps``.
    per_view : bool
        Run the model on each view instead of pooling one pass over the contig.
    trust_remote_code : bool
        Let the transformers library run Python code that comes with a gLM of others.
    """
    import numpy as np

    from llmbin_core.contigs import read_contigs
    from llmbin_core.device import choose_device
    from llmbin_core.glm.embed import embed_views
    from llmbin_core.glm.hub import load_embedder
    from llmbin_core.views import views

    target = choose_device(device)
    embedder = load_embedder(glm, target, trust_remote_code=trust_remote_code)
    whole = read_contigs(contigs)
    starts, ends = views(whole.table.lengths, seed, n_views)
    rows = _shard(whole.table.lengths, shard)
    part = whole.rows(*rows)
    sequences = [part.sequence(i) for i in range(len(part))]
    vectors = embed_views(
        embedder, sequences, starts[slice(*rows)], ends[slice(*rows)], per_view=per_view
    )
    options = {
        "embedder": embedder.name,
        "embedder_digest": embedder.digest,
        "per_view": per_view,
        "n_contigs": len(whole),
    }
    unknown = np.array([bool((s > 3).all()) for s in sequences], dtype=np.uint8)
    if unknown.any():
        log.warning("%d contigs hold only unknown bases; their embedding is zero", unknown.sum())
    tensors = {"embedding": vectors.astype(np.float16), "unknown": unknown}
    return _write_rows(
        out, part, tensors, "embedding", seed, n_views, options, contigs, rows, shard
    )


def merge_shards(parts: Sequence[Path], out: Path) -> None:
    """Join the shards of composition or embed into one file."""
    from llmbin_core import stagefile

    merged = stagefile.merge_shards([stagefile.read_stage(p) for p in parts])
    stagefile.write_stage(out, merged.contigs, merged.tensors, merged.provenance)


def markers(
    contigs: Path,
    out: Path,
    sets_out: Path,
    *,
    profiles: Path | None = None,
    marker_sets: Path | None = None,
    shard: Shard = (1, 1),
    threads: int = 1,
) -> list[MarkerHit]:
    """Find marker genes; write the table of hits and the marker sets that belong to it.

    Parameters
    ----------
    contigs : Path
    out, sets_out : Path
        Table of hits (TSV) and marker sets (JSON).
    profiles, marker_sets : Path, optional
        A user's HMM file and CheckM marker sets instead of the bundled ones.
    shard : (int, int)
        Part k of n of the contigs.
    threads : int
    """
    from llmbin_core.contigs import read_contigs
    from llmbin_core.markers.profiles import bundled_profiles, load_profiles
    from llmbin_core.markers.search import find_markers
    from llmbin_core.markertable import write_marker_sets, write_markers

    if marker_sets is not None and profiles is None:
        raise UsageError("--marker-sets belongs to a profile file: give --profiles as well")
    library = load_profiles(profiles, marker_sets) if profiles else bundled_profiles()
    whole = read_contigs(contigs)
    begin, end = _shard(whole.table.lengths, shard)
    part = whole.rows(begin, end)
    with progress.task("markers", int(part.table.lengths.sum()), "bp") as task:
        hits = find_markers(_read(part, task), library, threads)
    if not hits:
        log.warning("no marker gene was found: completeness cannot be estimated")
    write_markers(out, hits)
    write_marker_sets(sets_out, library.sets)
    log.info("%d marker genes on %d contigs", len(hits), len({h.contig for h in hits}))
    return hits


def _read(contigs: ContigSet, task: progress.Task) -> Iterator[tuple[str, bytes]]:
    """Names and letters of contigs, counted as they are asked for."""
    for row, name in enumerate(contigs.table.names):
        letters = contigs.letters(row)
        yield name, letters
        task.advance(len(letters))


def merge_markers(parts: Sequence[Path], out: Path) -> None:
    """Join the marker tables of all shards, given in the order of the shards."""
    from llmbin_core.markertable import read_markers, write_markers

    owner: dict[str, Path] = {}
    hits = []
    for part in parts:
        found = read_markers(part)
        for contig in {hit.contig for hit in found}:
            if contig in owner:
                raise InputError(
                    f"{owner[contig]} and {part} both hold contig '{contig}'; give every shard once"
                )
        owner |= {hit.contig: part for hit in found}
        hits += found
    write_markers(out, hits)


def _shard(lengths: Any, shard: Shard) -> tuple[int, int]:
    from llmbin_core.stagefile import shard_rows

    return shard_rows(lengths, *shard)


def _write_rows(
    out: Path, part: Any, tensors: dict[str, Any], schema: str, seed: int, n_views: int,
    options: dict[str, Any], contigs: Path, rows: tuple[int, int], shard: Shard,
) -> StageFile:  # fmt: skip
    """Write a per-contig stage file; a single shard is a whole file."""
    from llmbin_core.files import fingerprint
    from llmbin_core.stagefile import Provenance, write_stage

    of_shard = None if shard == (1, 1) else rows
    inputs = {contigs.name: fingerprint(contigs)}
    provenance = Provenance(schema, seed, n_views, options, inputs, of_shard)
    return write_stage(out, part.table, tensors, provenance)
