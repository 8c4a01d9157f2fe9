"""The files for MultiQC, read by MultiQC."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import make_report


@pytest.fixture(scope="module")
def multiqc() -> str:
    found = os.environ.get("LLMBIN_MULTIQC", "")
    if not Path(found).is_file():
        pytest.skip("MultiQC is not installed (LLMBIN_MULTIQC names its executable)")
    return found


def test_two_runs_in_one_report(multiqc: str, tmp_path: Path) -> None:
    counts = {}
    for sample, n_bins in (("gut", 14), ("soil", 9)):
        run = make_report(tmp_path / "runs" / sample, n_bins=n_bins, samples=(sample,))
        with (run / "bins.tsv").open(newline="") as handle:
            counts[sample] = list(csv.DictReader(handle, delimiter="\t"))
    done = subprocess.run(
        [multiqc, str(tmp_path / "runs"), "--outdir", str(tmp_path / "out"), "--strict",
         "--no-version-check", "--data-format", "json"],
        capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "out" / "multiqc_data" / "multiqc_data.json").read_text())
    general = data["report_general_stats_data"]
    tables = general.values() if isinstance(general, dict) else general
    found: dict[str, dict[str, float]] = {}
    for table in tables:
        for sample, values in table.items():
            row = values[0]["data"] if isinstance(values, list) else values
            found.setdefault(sample, {}).update(row)
    for sample, rows in counts.items():
        assert found[sample]["llmbin_bins"] == len(rows)
        near = sum(row["class"] == "near-complete" for row in rows)
        assert found[sample]["llmbin_near_complete"] == near
    plots = data["report_plot_data"]
    assert {"llmbin_classes_plot", "llmbin_quality_plot"} <= set(plots)
    points = json.dumps(plots["llmbin_quality_plot"])
    for sample, rows in counts.items():
        for row in rows:
            assert f"{sample} {row['bin']}" in points
    html = (tmp_path / "out" / "multiqc_report.html").read_text()
    assert "LLMBin: quality of bins" in html
