"""Score binnings against a gold standard, by base pairs and by contigs, as AMBER does.

The numbers follow AMBER 2 (Meyer et al., GigaScience 2018; Nature Protocols 2021) for the genome
binning of one sample. Where this module differs:

- The genome of a bin is the one with most bp; on equal bp AMBER takes the one that comes first in
  the file, here the one with more contigs, the smaller genome, then the name decides. So the order
  of lines never matters.
- AMBER counts *bins* above the thresholds of completeness and contamination, here *genomes* are
  counted. The two differ only when a contig lies in several bins.
- Bins named ``-1`` or ``unbinned``, or without a name, are what a binner left out, not bins.
- A minimum size of bins, which AMBER lacks, leaves smaller bins out of every number.
- A gold standard gives each contig one genome; files of several samples are not read.
- A binning without bins is scored (completeness 0, purity unknown); AMBER stops there.

Sizes and completeness refer to the contigs of the gold standard: the assembled part of a genome is
its whole.
"""

from __future__ import annotations

from llmbin_core.evaluate.read import Binning, Gold, read_binning, read_gold
from llmbin_core.evaluate.score import LEVELS, BinScore, Evaluation, GenomeScore, evaluate
from llmbin_core.evaluate.write import write_bins, write_genomes, write_summary

__all__ = [
    "LEVELS",
    "BinScore",
    "Binning",
    "Evaluation",
    "GenomeScore",
    "Gold",
    "evaluate",
    "read_binning",
    "read_gold",
    "write_bins",
    "write_genomes",
    "write_summary",
]
