"""Tables of evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from llmbin_core.evaluate.score import LEVELS, BinScore, Evaluation, GenomeScore
from llmbin_core.files import write_text


def write_summary(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write one line per binning (TSV); ``recovered_90_5`` is > 90 % complete, < 5 % foreign."""
    tables = {"bins", "genomes", "recovered", "name"}
    plain = [f.name for f in fields(Evaluation) if f.name not in tables]
    levels = [f"recovered_{complete}_{foreign}" for complete, foreign in LEVELS]
    lines = ["\t".join(["binning", "genomes", "bins", *levels, *plain])]
    for e in evaluations:
        head = [e.name, len(e.genomes), len(e.bins), *(e.recovered[level] for level in LEVELS)]
        lines.append("\t".join(map(_text, [*head, *(getattr(e, name) for name in plain)])))
    write_text(path, "\n".join(lines) + "\n")


def write_genomes(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write one line per binning and genome (TSV)."""
    _write_scores(path, GenomeScore, evaluations, lambda e: e.genomes)


def write_bins(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write one line per binning and bin (TSV)."""
    _write_scores(path, BinScore, evaluations, lambda e: e.bins)


def _write_scores(
    path: Path,
    kind: type[BinScore] | type[GenomeScore],
    evaluations: Sequence[Evaluation],
    rows: Callable[[Evaluation], Sequence[BinScore | GenomeScore]],
) -> None:
    names = [f.name for f in fields(kind)]
    lines = ["\t".join(["binning", *names])]
    for e in evaluations:
        lines += ["\t".join([e.name, *(_text(getattr(s, n)) for n in names)]) for s in rows(e)]
    write_text(path, "\n".join(lines) + "\n")


def _text(value: object) -> str:
    if value is None:
        return "NA"
    return f"{value:.6f}" if isinstance(value, float) else str(value)
