"""Files that MultiQC finds by their names: its "custom content".

One row or group of points per run, so that the reports of many runs make one table. Names of bins
are told apart by the run they come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llmbin_core.bintable import CLASSES
from llmbin_core.report.facts import Facts

_COLOURS = {"near-complete": "#0072b2", "medium": "#c47600", "low": "#7d8590"}
_OTHER = "#8a4fae"
_ABOUT = (
    "LLMBin recovers genomes from metagenomes; completeness and contamination are estimated by "
    "single-copy marker genes."
)


def statistics(facts: Facts) -> str:
    """The row of this run in the general statistics: a TSV with its configuration on top."""
    found = facts.bins.classes
    columns: list[tuple[str, str, dict[str, Any]]] = [
        ("bins", str(len(facts.bins.bins)), {"title": "Bins", "description": "Bins of any quality",
         "min": 0, "format": "{:,.0f}", "scale": "Blues"}),
        ("near_complete", str(len(found["near-complete"])), {"title": "Near-complete",
         "description": "Bins > 90 % complete, < 5 % contaminated", "min": 0, "format": "{:,.0f}",
         "scale": "Greens"}),
        ("medium", str(len(found["medium"])), {"title": "Medium",
         "description": "Bins > 50 % complete, < 10 % contaminated", "min": 0, "format": "{:,.0f}",
         "scale": "Oranges"}),
    ]  # fmt: skip
    if facts.contigs is not None:
        share = 100 * facts.contigs.binned_bp / max(facts.contigs.bp, 1)
        settings = {"title": "Binned", "description": "Share of the bases that is in bins",
                    "min": 0, "max": 100, "suffix": " %", "format": "{:,.1f}",
                    "scale": "Purples"}  # fmt: skip
        columns.append(("binned", f"{share:.2f}", settings))
    # A prefix, because names of columns are common to all tools in a MultiQC report.
    headers = {f"llmbin_{name}": settings for name, _, settings in columns}
    config = {"id": "llmbin_statistics", "plot_type": "generalstats", "headers": headers}
    return _table(config, ["Sample", *headers], [[facts.title, *(v for _, v, _ in columns)]])


def classes(facts: Facts) -> str:
    """Bins by quality class as the row of a bar graph."""
    found = facts.bins.classes
    config = {
        "id": "llmbin_classes",
        "section_name": "LLMBin: bins by quality",
        "description": f"Bins by MIMAG class. {_ABOUT}",
        "plot_type": "bargraph",
        "categories": {
            name: {"name": name, "color": _COLOURS.get(name, _OTHER)} for name in found
        },
        "pconfig": {"id": "llmbin_classes_plot", "title": "LLMBin: bins by quality",
                    "ylab": "bins", "cpswitch_counts_label": "bins"},
    }  # fmt: skip
    counts = [str(len(bins)) for bins in found.values()]
    return _table(config, ["Sample", *found], [[facts.title, *counts]])


def quality(facts: Facts) -> str:
    """Completeness and contamination of the bins as a scatter plot (JSON)."""
    points = {
        f"{facts.title} {one.name}": {
            "x": one.completeness,
            "y": one.contamination,
            "color": _COLOURS.get(one.quality, _OTHER),
        }
        for one in facts.bins.bins
    }
    document = {
        "id": "llmbin_quality",
        "section_name": "LLMBin: quality of bins",
        "description": f"Each point is a bin: {', '.join(f'{_name(c)} {c}' for c in CLASSES)}. "
        f"{_ABOUT}",
        "plot_type": "scatter",
        "pconfig": {
            "id": "llmbin_quality_plot",
            "title": "LLMBin: completeness and contamination",
            "xlab": "completeness (%)",
            "ylab": "contamination (%)",
            "xmin": 0,
            "xmax": 100,
            "ymin": 0,
        },
        "data": points,
    }
    return json.dumps(document, indent=1) + "\n"


def _name(quality_class: str) -> str:
    return {"near-complete": "blue", "medium": "orange", "low": "grey"}[quality_class]


def _table(config: Mapping[str, Any], header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # MultiQC reads the comment lines as YAML, and JSON is YAML.
    top = [f"# {key}: {json.dumps(value)}" for key, value in config.items()]
    lines = [*top, *("\t".join(cells) for cells in (header, *rows))]
    return "\n".join(lines) + "\n"
