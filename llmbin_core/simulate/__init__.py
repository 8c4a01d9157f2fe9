"""Simulated communities: contigs, alignments of several samples and a gold standard.

Genomes come from a folder or are made up (`genomes`): Markov chains of order 3 to 5 between genes,
genes in the genome's own codon usage, and one version of each marker protein. An assembler is
imitated by cutting genomes into contigs (`community`), an aligner by knowing where reads come from
(`reads`, `pairs`, `longreads`). Strains are therefore assembled apart and their reads never
confused: real data is harder. In mode "multi" a read that fits contigs of several assemblies goes
to one of them at random with a low mapping quality, as with real aligners.

Same options, seed and library versions give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmbin_core.simulate.options import SimulateOptions

if TYPE_CHECKING:
    from llmbin_core.simulate.run import SimulatedCommunity, simulate

__all__ = ["SimulateOptions", "SimulatedCommunity", "simulate"]


def __getattr__(name: str) -> Any:
    """Load numpy and the rest only when something is simulated; the options need none of it."""
    if name in ("SimulatedCommunity", "simulate"):
        from llmbin_core.simulate import run

        return getattr(run, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
