"""Functions of the pipeline, called by Groovy: table of samples, samples of a set, provenance."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine import HERE, NEXTFLOW, PACKAGES, groovy_jars, missing_tools

from llmbin_core.contigs import ContigTable
from llmbin_core.stagefile import Provenance, write_stage

MAIN = NEXTFLOW / "main.nf"
BINS = NEXTFLOW / "subworkflows" / "llmbin" / "bins" / "main.nf"


def _call(script: Path, *calls: str) -> list[dict[str, Any]]:
    if reason := missing_tools(PACKAGES):
        pytest.skip(reason)
    command = ["java", "-cp", groovy_jars(PACKAGES), "groovy.ui.GroovyMain"]
    done = subprocess.run(
        [*command, str(HERE / "functions.groovy"), str(script), json.dumps({"calls": calls})],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _table(folder: Path, *rows: str, name: str = "samples.csv") -> str:
    """A call that reads a table with the files that it names."""
    for file in ("a.fa", "b.fa", "x.bam", "y.bam", "reads.fq"):
        (folder / file).touch()
    text = "\n".join(("sample,assembly,bam,group", *rows)).replace("@", f"{folder}/")
    path = folder / name
    path.write_text(text.replace(",", "\t") if name.endswith(".tsv") else text)
    return (
        f"readRows('{path}', null, null).groupBy {{ row -> row[0] }}"
        ".collect { id, rows -> readSet(id, rows) }"
    )


def test_modes_by_the_table_of_samples(tmp_path: Path) -> None:
    rows = [
        "s2,@b.fa,@y.bam,apart", "s1,@a.fa,@x.bam,apart",
        "t1,@a.fa,@x.bam,together", "t2,@a.fa,@y.bam,together", "alone,@a.fa,@x.bam,",
    ]  # fmt: skip
    tables = [_table(tmp_path, *rows, name=name) for name in ("samples.csv", "samples.tsv")]
    comma, tab = _call(MAIN, *tables)
    assert comma == tab
    sets = {meta["id"]: (meta, *rest) for meta, *rest in comma["value"]}
    a, b, x, y = (f"{tmp_path}/{file}" for file in ("a.fa", "b.fa", "x.bam", "y.bam"))
    # Assembly, name and alignment of a sample stay together, whatever the order of the rows.
    assert sets["apart"][1:] == ([a, b], ["s1", "s2"], [["s1", x], ["s2", y]])
    assert sets["together"][1:] == ([a], [], [["t1", x], ["t2", y]])
    assert sets["alone"][1:] == ([a], [], [["alone", x]])
    assert {name: meta["multi"] for name, (meta, *_) in sets.items()} == {
        "apart": True, "together": False, "alone": False,
    }  # fmt: skip
    assert sets["apart"][0]["origin"] == [f"s1={a},{x}", f"s2={b},{y}"]


WRONG = [
    (["s1,@a.fa,,"], "line 2: no value for 'bam'"),
    (["s1,@a.fa,@x.bam,", "s 2,@a.fa,@y.bam,"], "line 3: 's 2' cannot name a sample"),
    (["s1,@a.fa,@x.bam,../g"], "line 2: '../g' cannot name a sample"),
    (["s1,@a.fa,@reads.fq,"], "line 2: '@reads.fq' is no alignment"),
    (["s1,@none.fa,@x.bam,"], "No such file: @none.fa"),
    (["s1,@a.fa,@x.bam,g", "s1,@a.fa,@y.bam,g"], "group 'g' has sample s1 more than once"),
    (
        ["s1,@a.fa,@x.bam,g", "s2,@a.fa,@y.bam,g", "s3,@b.fa,@y.bam,g"],
        "group 'g' has 3 samples and 2 assemblies",
    ),
]


def test_wrong_tables_are_refused(tmp_path: Path) -> None:
    tables = [_table(tmp_path, *rows, name=f"{n}.csv") for n, (rows, _) in enumerate(WRONG)]
    for answer, (_, message) in zip(_call(MAIN, *tables), WRONG, strict=True):
        assert message.replace("@", f"{tmp_path}/") in answer["error"]


def test_contigs_and_alignments_instead_of_a_table(tmp_path: Path) -> None:
    _table(tmp_path)
    fasta, bam = f"{tmp_path}/a.fa", f"{tmp_path}/x.bam"
    good, none, both = _call(
        MAIN,
        f"readRows(null, '{fasta}', '{bam}')",
        f"readRows(null, '{fasta}', null)",
        f"readRows('t.csv', '{fasta}', '{bam}')",
    )
    assert good["value"] == [["a", "x", fasta, bam]]
    assert "give --input SAMPLESHEET, or --contigs" in none["error"]
    assert "exclude each other" in both["error"]


def test_provenance_is_what_the_stage_file_says(tmp_path: Path) -> None:
    table = ContigTable(("a",), np.array([5]))
    options = {"k": 4, "text": "ü"}
    written = Provenance("composition", 7, 6, options, {"contigs": "sha256:1"})
    write_stage(tmp_path / "x.safetensors", table, {}, written)
    (tmp_path / "stub").touch()
    real, stub = _call(
        MAIN,
        f"provenanceOf(file('{tmp_path}/x.safetensors'))",
        f"provenanceOf(file('{tmp_path}/stub'))",
    )
    found = real["value"]
    assert (found["schema"], found["seed"], found["n_views"]) == ("composition", 7, 6)
    assert (found["options"], found["inputs"]) == (options, {"contigs": "sha256:1"})
    assert found["contig_digest"] == table.digest
    assert stub["value"] == {}


def test_samples_of_a_set(tmp_path: Path) -> None:
    """Samples without a contig that is long enough have no task; the table of a stub is empty."""
    (tmp_path / "t").write_text("contig\tsample\tlength\nS2:a\tS2\t9\nS1:a\tS1\t9\nS1:b\tS1\t9\n")
    (tmp_path / "stub").write_text("contig\tsample\n")
    samples = "samples: ['S1', 'S2', 'S3']"
    answers = _call(
        BINS,
        f"samplesOf([multi: true, {samples}], file('{tmp_path}/t'))",
        f"samplesOf([multi: false, {samples}], file('{tmp_path}/t'))",
        f"samplesOf([multi: true, {samples}], file('{tmp_path}/stub'))",
        "setOf([id: 'x', sample: 's'])",
    )
    assert [a["value"] for a in answers] == [["S1", "S2"], [""], ["S1", "S2", "S3"], {"id": "x"}]
