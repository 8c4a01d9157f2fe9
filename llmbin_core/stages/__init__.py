"""One function per stage: read its files, do the work, write its files.

The executables and the pipeline both call these; everything heavy is imported when it is needed.
Options are keyword arguments whose defaults are the program's defaults; each stage records them in
what it writes.
"""

from __future__ import annotations

from llmbin_core.stages.binning import cluster, make_bins
from llmbin_core.stages.encoding import encode, merge_latents, train
from llmbin_core.stages.features import (
    composition,
    coverage,
    embed,
    markers,
    merge_coverage,
    merge_markers,
    merge_shards,
    prepare,
)
from llmbin_core.stages.joining import merge_bins, merge_partitions
from llmbin_core.stages.reporting import report

__all__ = [
    "cluster",
    "composition",
    "coverage",
    "embed",
    "encode",
    "make_bins",
    "markers",
    "merge_bins",
    "merge_coverage",
    "merge_latents",
    "merge_markers",
    "merge_partitions",
    "merge_shards",
    "prepare",
    "report",
    "train",
]
