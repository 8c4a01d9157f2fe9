"""The warnings of the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import report_files
from report_files import files_of, table, text_of

from llmbin_core import outputs
from llmbin_core.bintable import read_bins
from llmbin_core.contigs import ContigTable
from llmbin_core.report.facts import Contigs, Facts
from llmbin_core.report.findings import findings
from llmbin_core.stages import report


def _findings(run: Path, out: Path, *names: str) -> str:
    report(out=out, **files_of(run, *names))
    html = text_of(out)
    return html[html.index("<main>") : html.index("<noscript>")]


def test_warnings(tmp_path: Path) -> None:
    run = report_files.write_run(tmp_path / "run", samples=("only",))
    text = _findings(run, tmp_path)
    for part in ("only 300 contigs", "one sample only", "hold 10 % contamination"):
        assert part in text
    many = report_files.write_run(tmp_path / "many", n_contigs=2000)
    assert "only" not in _findings(many, tmp_path / "o")


def test_warning_of_no_bins(tmp_path: Path) -> None:
    run = report_files.write_run(tmp_path / "run", n_bins=0)
    assert "There are no bins." in _findings(run, tmp_path)
    assert "No bins were recovered." in text_of(tmp_path)


def test_warning_of_no_markers(tmp_path: Path) -> None:
    run = report_files.write_run(tmp_path / "run")
    rows = table(run / outputs.BINS_TABLE)
    lines = ["\t".join(rows[0]), *("\t".join((r | {"markers": "0"}).values()) for r in rows)]
    (run / outputs.BINS_TABLE).write_text("\n".join(lines) + "\n")
    assert "No marker gene was found in any bin." in _findings(run, tmp_path, "bins")


def test_warning_of_a_failed_stage(tmp_path: Path) -> None:
    run = report_files.write_run(tmp_path / "run")
    record = json.loads((run / outputs.RUN_RECORD).read_text())
    record["stages"][3] |= {"status": "failed", "error": "disk <full>"}
    (run / outputs.RUN_RECORD).write_text(json.dumps(record))
    text = _findings(run, tmp_path, "bins", "record")
    assert "The stage embed failed: disk &lt;full&gt;" in text


def test_every_warning_of_contigs(tmp_path: Path) -> None:
    run = report_files.write_run(tmp_path)
    lengths = np.full(600, 1200)
    depth = np.full((600, 2), 0.5)
    depth[:3] = 0
    contigs = Contigs(
        ContigTable(tuple(map(str, range(600))), lengths), np.where(np.arange(600) < 60, 0, -1),
        None, ("a", "b"), depth, {"a": None, "b": 5}, None,
    )  # fmt: skip
    text = " ".join(
        one.what for one in findings(Facts("t", read_bins(run / outputs.BINS_TABLE), {}, contigs))
    )
    for part in ("shorter than 1200 bp (N50)", "Depths come from a table",
                 "Only 10.0 % of the bases",
                 "Sample a covers the contigs 0.5 times",
                 "3 contigs (3,600 bp) have no reads"):  # fmt: skip
        assert part in text
    assert "only" not in text
