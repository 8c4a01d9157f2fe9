"""What a person should know before trusting the bins, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from llmbin_core.contigs import n50
from llmbin_core.report.facts import Contigs, Facts
from llmbin_core.wording import percent

# Below these a reader should look twice.
_FEW_CONTIGS = 500
_SHORT_N50 = 2500
_LOW_DEPTH = 1.0
_SMALL_SHARE = 0.25
# MIMAG: a draft above this contamination is not even of medium quality (%).
_CONTAMINATED = 10.0


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes
    ----------
    what : str
        The fact.
    so : str
        What follows from it, or what to do.
    """

    what: str
    so: str


def findings(facts: Facts) -> list[Finding]:
    """All that holds of a run, gravest first."""
    return [*_of_run(facts), *_of_bins(facts), *_of_contigs(facts)]


def _of_run(facts: Facts) -> Iterator[Finding]:
    for stage in facts.record.get("stages", ()):
        if stage.get("status") == "failed":
            yield Finding(
                f"The stage {stage.get('name')} failed: {stage.get('error')}",
                "The results below may be those of an earlier run.",
            )


def _of_bins(facts: Facts) -> Iterator[Finding]:
    bins = facts.bins.bins
    if not bins:
        yield Finding(
            "There are no bins.",
            "No cluster of contigs reached the smallest size of a bin. Assemble more reads, or "
            "lower --min-bin-size.",
        )
        return
    if not any(one.markers for one in bins):
        yield Finding(
            "No marker gene was found in any bin.",
            "Completeness and contamination cannot be estimated; a quality of 0 % means unknown. "
            "Viruses, plasmids and eukaryotes have none of these genes.",
        )
    mixed = sum(one.contamination >= _CONTAMINATED for one in bins)
    if mixed:
        yield Finding(
            f"{_count(mixed, 'bin')} of {len(bins)} hold {_CONTAMINATED:.0f} % contamination or "
            "more.",
            "They mix several genomes: leave them out of analyses of single genomes.",
        )


def _of_contigs(facts: Facts) -> Iterator[Finding]:
    contigs = facts.contigs
    if contigs is None:
        return
    if len(contigs.table) < _FEW_CONTIGS:
        yield Finding(
            f"There are only {_count(len(contigs.table), 'contig')}.",
            "An encoder learns little from so few; a model trained on more samples "
            "(--model) may do better.",
        )
    middle = n50(contigs.table.lengths)
    if 0 < middle < _SHORT_N50:
        yield Finding(
            f"Half of the bases lie in contigs shorter than {middle} bp (N50).",
            "Short contigs say little about their genome: expect incomplete bins.",
        )
    yield from _of_samples(contigs)
    share = contigs.binned_bp / max(contigs.bp, 1)
    if facts.bins.bins and share < _SMALL_SHARE:
        yield Finding(
            f"Only {percent(share)} of the bases are in bins.",
            "Most genomes were assembled in part only; deeper sequencing or co-assembly helps.",
        )


def _of_samples(contigs: Contigs) -> Iterator[Finding]:
    if len(contigs.samples) == 1:
        yield Finding(
            "There is one sample only.",
            "Genomes of like composition are told apart by how their depth varies between "
            "samples. Map the reads of related samples to this assembly as well, where there "
            "are any.",
        )
    from_tables = [s for s in contigs.samples if contigs.mapped_reads.get(s, 0) is None]
    if from_tables:
        yield Finding(
            "Depths come from a table, not from alignments.",
            "A table knows one depth per contig, alignments know that of every fragment, which "
            "training learns from. Give BAM files where you have them.",
        )
    for sample, depth in zip(contigs.samples, contigs.sample_depth, strict=True):
        if depth < _LOW_DEPTH:
            yield Finding(
                f"Sample {sample} covers the contigs {depth:.2g} times on average.",
                "Check that its reads were mapped to this assembly; so little depth adds noise.",
            )
    bare = contigs.depth.sum(axis=1) == 0
    if contigs.samples and bare.any():
        bp = int(contigs.table.lengths[bare].sum())
        yield Finding(
            f"{_count(int(bare.sum()), 'contig')} ({bp:,} bp) have no reads in any sample.",
            "What was assembled from reads should be covered by them: check that the assembly "
            "and the alignments belong together.",
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
