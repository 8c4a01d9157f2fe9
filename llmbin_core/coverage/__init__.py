"""Coverage: mean and variance of the per-base depth of every view of every contig, per sample.

Sources are alignments (BAM, CRAM) or the depth tables of other programs. One file of one sample
can be computed on its own; `merge_coverage` joins such files into the bytes that computing all
samples at once gives.
"""

from __future__ import annotations

from llmbin_core.coverage.alignments import DepthFilter
from llmbin_core.coverage.samples import Coverage, Sample, merge_coverage, name_samples
from llmbin_core.coverage.sources import (
    alignment_coverage,
    coverage_samples,
    read_contig_table,
    table_coverage,
)

__all__ = [
    "Coverage",
    "DepthFilter",
    "Sample",
    "alignment_coverage",
    "coverage_samples",
    "merge_coverage",
    "name_samples",
    "read_contig_table",
    "table_coverage",
]
