"""The report of a run: what it tells, from which files, and that it is always the same."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_files
from llmbin_tools.report import main as llmbin_report
from report_files import files_of, table, text_of

from llmbin_core import outputs, wording
from llmbin_core.bins.writing import quality_class
from llmbin_core.bintable import COLUMNS, read_bins, read_contig2bin
from llmbin_core.errors import InputError, UsageError
from llmbin_core.report import plots
from llmbin_core.stagefile import read_stage, write_stage
from llmbin_core.stages import report

WRITTEN = (
    outputs.REPORT, outputs.MULTIQC_STATISTICS, outputs.MULTIQC_CLASSES, outputs.MULTIQC_QUALITY,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_files.write_run(tmp_path_factory.mktemp("run"))


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', html)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_same_files_give_the_same_bytes(run: Path, tmp_path: Path) -> None:
    for out in (tmp_path / "one", tmp_path / "two"):
        report(out=out, **files_of(run))
    for name in WRITTEN:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_page_needs_nothing_from_outside(run: Path, tmp_path: Path) -> None:
    report(out=tmp_path, **files_of(run))
    html = text_of(tmp_path)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|\.\./|\./|[a-z/._]*bins/)[^"']*""", html)
    assert not re.findall(r"@import|url\(", html)
    assert set(re.findall(r"https?://[^\s\"'<]*", html)) == {"http://www.w3.org/2000/svg"}


class _Tags(HTMLParser):
    """Checks that tags are closed in the order in which they were opened."""

    void = frozenset({"meta", "input", "br", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.seen: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_markup_in_names_stays_text(tmp_path: Path) -> None:
    names = ["</script><img/src=x/onerror=alert(1)>", "<!--", "a&amp;b", "é", "${x}{{1}}"]
    bad = '"><script>alert(1)</script>'
    run = report_files.write_run(tmp_path / "run", names=names, samples=("<b>S1</b>", "S2"))
    text = (run / outputs.BINS_TABLE).read_text()
    (run / outputs.BINS_TABLE).write_text(text.replace("note 0", bad).replace("bacteria", "<i>x"))
    report(out=tmp_path, title="<h1>&", **files_of(run))
    html = text_of(tmp_path)
    assert data_of(html)["contigs"]["names"].split("\n")[:5] == names
    parser = _Tags()
    parser.feed(html)
    # Two scripts are ours, nothing else came to life.
    assert (parser.seen["script"], parser.seen["img"], parser.seen["i"]) == (2, 0, 0)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))


def test_every_cell_of_the_table_is_shown(run: Path, tmp_path: Path) -> None:
    report(out=tmp_path, **files_of(run))
    cells = re.findall(r'data-value="([^"]*)"', text_of(tmp_path))
    rows = table(run / outputs.BINS_TABLE)
    assert cells == [value for row in rows for value in row.values()]


def test_figures_at_the_top(run: Path, tmp_path: Path) -> None:
    facts = report(out=tmp_path, **files_of(run))
    contigs = {row["contig"]: int(row["length"]) for row in table(run / outputs.CONTIGS_TABLE)}
    binned = read_contig2bin(run / outputs.CONTIG2BIN)
    assert facts.contigs is not None
    assert facts.contigs.bp == sum(contigs.values())
    assert facts.contigs.binned_bp == sum(contigs[name] for name in binned)
    share = f"{100 * sum(contigs[n] for n in binned) / sum(contigs.values()):.1f} %"
    assert f"<b>{share}</b><span>of the bases in bins</span>" in text_of(tmp_path)
    for sample, depth, inside in zip(facts.contigs.samples, facts.contigs.sample_depth,
                                     facts.contigs.sample_binned, strict=True):  # fmt: skip
        column = facts.contigs.samples.index(sample)
        bases = {n: contigs[n] * facts.contigs.depth[i, column] for i, n in enumerate(contigs)}
        assert depth == pytest.approx(sum(bases.values()) / sum(contigs.values()))
        assert inside == pytest.approx(sum(bases[n] for n in binned) / sum(bases.values()))
    counts = Counter(row["class"] for row in table(run / outputs.BINS_TABLE))
    assert {n: len(b) for n, b in facts.bins.classes.items() if b} == dict(counts)


def test_options_and_names_of_files_but_no_folders(tmp_path: Path) -> None:
    run = report_files.write_run(tmp_path / "run")
    record = json.loads((run / outputs.RUN_RECORD).read_text())
    record["options"] = {
        "contigs": ["/home/me/secret/asm.fa"], "bams": ["/home/me/secret/a.bam", "b.bam"],
        "out": "/home/me/secret/out", "model": None, "grid": "full", "compress": False,
        "profiles": "/home/me/secret/own.hmm", "training": {"epochs": 7},
    }  # fmt: skip
    (run / outputs.RUN_RECORD).write_text(json.dumps(record))
    report(out=tmp_path, **files_of(run))
    html = text_of(tmp_path)
    assert "secret" not in html
    for name, value in (("assembly", "asm.fa"), ("alignments", "a.bam, b.bam"), ("grid", "full"),
                        ("compress", "False"), ("profiles", "own.hmm"),
                        ("epochs", "7")):  # fmt: skip
        assert f"<dt>{name}</dt><dd>{value}</dd>" in html


def test_the_bins_alone_are_enough(run: Path, tmp_path: Path) -> None:
    report(out=tmp_path, **files_of(run, "bins"))
    html = text_of(tmp_path)
    for heading in ("Contigs", "Training", "Candidate"):
        assert f'<h2 id="h-{heading.lower()}' not in html
    assert "bin.001" in html
    assert data_of(html)["contigs"] is None


def test_files_that_need_one_another(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give contig2bin as well"):
        report(out=tmp_path, **files_of(run, "bins", "latent"))
    with pytest.raises(UsageError, match="partitions, markers, marker sets and contig2bin"):
        report(out=tmp_path, **files_of(run, "bins", "contig2bin", "partitions"))


def test_files_of_different_runs_are_refused(run: Path, tmp_path: Path) -> None:
    other = report_files.write_run(tmp_path / "other", n_contigs=200)
    mixed = files_of(run) | {"latent": other / outputs.LATENT}
    with pytest.raises(InputError, match=r"was not made from .*contigs\.tsv"):
        report(out=tmp_path, **mixed)
    with pytest.raises(InputError, match=r"contig 'k141_200' .* give files of one run"):
        report(out=tmp_path, **files_of(run, "bins", "contig2bin")
               | {"contigs_table": other / outputs.CONTIGS_TABLE})  # fmt: skip
    few = report_files.write_run(tmp_path / "few", n_bins=3)
    with pytest.raises(InputError, match=r"bin 'bin.004' .* none of the bins"):
        report(out=tmp_path, **files_of(run) | {"bins": few / outputs.BINS_TABLE})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bins", "", "line 1 has no column 'bin'"),
        ("bins", "bin\tcontigs\n", "line 1 has no column 'bp'"),
        ("contig2bin", "a\tb\n", "line 1 is not 'contig', 'bin'"),
        ("contig2bin", "contig\tbin\nx\n", "line 2 has no tab"),
        ("contig2bin", "contig\tbin\nx\ty\nx\ty\n", "line 3 holds a contig for the second time"),
        ("contigs_table", "contig\tlength\n", "line 1 has no column 'gc'"),
        ("contigs_table", "contig\tlength\tgc\na\tb\t0.5\n", "length or GC share is no number"),
        ("contigs_table", "contig\tlength\tgc\na\n", "line 2 is cut short"),
        ("curve", "epoch\tloss\n1\tx\n", r"line 2: loss 'x' is no number"),
        ("record", "{}", "not a run record"),
        ("record", "[", "not a run record"),
    ],
)
def test_damaged_files(run: Path, tmp_path: Path, name: str, content: str, message: str) -> None:
    bad = tmp_path / "bad"
    bad.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        report(out=tmp_path / "out", **files_of(run) | {name: bad})
    assert str(bad) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_line_of_the_table_of_bins_is_damaged(run: Path, tmp_path: Path) -> None:
    text = (run / outputs.BINS_TABLE).read_text()
    size = table(run / outputs.BINS_TABLE)[2]["bp"]
    for old, new, message in (
        ("bacteria\t", "bacteria", "line 2 has 14 columns, the header 15"),
        (size, "many", r"line 4: .*'many'"),
    ):
        (tmp_path / "bins.tsv").write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=message):
            read_bins(tmp_path / "bins.tsv")


def test_links_lead_to_the_files(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a b" / "bins"
    shutil.copytree(run / outputs.BINS_FOLDER, folder)
    (folder / "bin.002.fa").rename(folder / "bin.002.fa.gz")
    (folder / "bin.003.fa").unlink()
    facts = report(out=tmp_path, **files_of(run) | {"bin_files": folder})
    assert facts.links["bin.001"] == "./a%20b/bins/bin.001.fa"
    assert facts.links["bin.002"] == "./a%20b/bins/bin.002.fa.gz"
    assert "bin.003" not in facts.links
    assert text_of(tmp_path).count('class="file"') == len(facts.bins.bins) - 1


def test_candidates_against_a_direct_count(run: Path, tmp_path: Path) -> None:
    """Every marker of the four is a set of its own: completeness is their number x 25 %."""
    facts = report(out=tmp_path, min_bin_size=0, **files_of(run))
    hits = {row["contig"]: row["marker"] for row in table(run / outputs.MARKERS)}
    members: dict[str, set[str]] = {}
    for contig, name in read_contig2bin(run / outputs.CONTIG2BIN).items():
        members.setdefault(name, set()).add(contig)

    def classes(clusters: list[set[str]]) -> Counter[str]:
        found: Counter[str] = Counter()
        for cluster in clusters:
            markers = [hits[c] for c in cluster if c in hits]
            extra = len(markers) - len(set(markers))
            found[quality_class(25.0 * len(set(markers)), 25.0 * extra)] += 1
        return found

    whole = [members[name] for name in sorted(members)]
    order = [row["contig"] for row in table(run / outputs.CONTIGS_TABLE)]
    halves = [{c for c in m if order.index(c) % 2 == side} for m in whole for side in (0, 1)]
    pairs = [a | b for a, b in zip(whole[::2], whole[1::2], strict=True)]
    expected = [(whole, len(whole)), (halves, 0), (pairs, 0), (halves, 0), (whole, len(whole))]
    got = [(dict(c.classes), c.chosen) for c in facts.candidates]
    assert got == [(dict(classes(clusters)), chosen) for clusters, chosen in expected]
    assert facts.candidates[0].settings == {"bandwidth": 0.1, "resolution": 1}


# ---- what the page draws


def _numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def test_points_are_those_of_the_contigs(run: Path, tmp_path: Path) -> None:
    report(out=tmp_path, **files_of(run))
    drawn = data_of(text_of(tmp_path))["contigs"]
    rows = table(run / outputs.CONTIGS_TABLE)
    binned = read_contig2bin(run / outputs.CONTIG2BIN)
    names = [row["bin"] for row in table(run / outputs.BINS_TABLE)]
    assert drawn["names"].split("\n") == [row["contig"] for row in rows]
    assert _numbers(drawn["length"], "<i4").tolist() == [int(row["length"]) for row in rows]
    places = [names.index(binned[r["contig"]]) if r["contig"] in binned else -1 for r in rows]
    assert _numbers(drawn["bin"], "<i4").tolist() == places
    axis = drawn["cover"]["x"]
    steps = _numbers(axis["steps"], "<u2") / 65535
    gc = axis["min"] + steps * (axis["max"] - axis["min"])
    assert gc == pytest.approx([float(row["gc"]) for row in rows], abs=1e-4)


def test_of_many_contigs_the_longest_are_drawn(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_POINTS", 40)
    report(out=tmp_path, **files_of(run))
    drawn = data_of(text_of(tmp_path))["contigs"]
    rows = table(run / outputs.CONTIGS_TABLE)
    longest = sorted(rows, key=lambda row: -int(row["length"]))[:40]
    assert sorted(drawn["names"].split("\n")) == sorted(row["contig"] for row in longest)
    assert "the 40 longest of 300 are shown" in text_of(tmp_path)


def test_bins_of_one_colour_lie_apart() -> None:
    points = np.array([[x, 0.0] for x in range(16)])
    found = plots._colours(points, np.arange(16), 16)
    assert set(found) == set(range(plots.N_COLOURS))
    assert all(a != b for a, b in itertools.pairwise(found))


def test_a_thousand_bins_stay_below_5_mb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"NODE_{i}_length_{i * 7 + 1000}_cov_{i / 7:.6f}" for i in range(60_000)]
    samples = [f"sample_{i}" for i in range(12)]
    run = report_files.write_run(tmp_path, len(names), 1000, samples, names)
    # The layout is not what is measured here.
    monkeypatch.setattr(plots, "latent_map", lambda latent, seed: latent[:, :2].astype(float))
    facts = report(out=tmp_path, **files_of(run))
    assert len(facts.bins.bins) == 1000
    assert (tmp_path / outputs.REPORT).stat().st_size < 5_000_000


def test_a_model_and_a_curve_for_each_sample(run: Path, tmp_path: Path) -> None:
    curve = tmp_path / "training.tsv"
    curve.write_text("epoch\tloss\tsample\n1\t3\tgut\n2\t2\tgut\n1\tnan\tsoil\n")
    file = read_stage(run / outputs.LATENT)
    (card,) = file.provenance.options["models"].values()
    cards = {"models": {"gut": card, "soil": card | {"final_loss": 0.5}}}
    write_stage(tmp_path / "latent", file.contigs, file.tensors,
                replace(file.provenance, options=cards))  # fmt: skip
    report(out=tmp_path, **files_of(run) | {"curve": curve, "latent": tmp_path / "latent"})
    html = text_of(tmp_path)
    assert data_of(html)["curves"] == {
        "gut": {"epoch": [1, 2], "loss": [3, 2]}, "soil": {"epoch": [1], "loss": [None]},
    }  # fmt: skip
    assert "2, one per sample, trained on these contigs" in html
    assert "<dd>0.5 to 0.63</dd>" in html


# ---- MultiQC and the executable


def test_multiqc_files(run: Path, tmp_path: Path) -> None:
    report(out=tmp_path, **files_of(run))
    rows = table(run / outputs.BINS_TABLE)
    lines = (tmp_path / outputs.MULTIQC_STATISTICS).read_text().splitlines()
    assert lines[-2].split("\t") == [
        "Sample", "llmbin_bins", "llmbin_near_complete", "llmbin_medium", "llmbin_binned",
    ]  # fmt: skip
    assert lines[-1].split("\t")[:2] == ["assembly", str(len(rows))]
    points = json.loads((tmp_path / outputs.MULTIQC_QUALITY).read_text())["data"]
    assert {(name, p["x"], p["y"]) for name, p in points.items()} == {
        (f"assembly {r['bin']}", float(r["completeness"]), float(r["contamination"])) for r in rows
    }


def test_the_executable_takes_a_folder_or_files(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    assert llmbin_report(["--run", str(folder)]) == 0
    files = [t for n, p in files_of(folder).items() for t in (f"--{n.replace('_', '-')}", str(p))]
    assert llmbin_report([*files, "--out", str(tmp_path / "other")]) == 0
    for name in WRITTEN[1:]:
        assert (folder / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    # Only the links differ.
    assert text_of(folder).replace('"./bins', '"./../run/bins') == text_of(tmp_path / "other") \
        .replace('"../run/bins', '"./../run/bins')  # fmt: skip


def test_the_executable_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmbin_report([]) == 2
    assert "give either --run, or --bins and --out" in capsys.readouterr().err
    assert llmbin_report(["--run", str(tmp_path)]) == 3
    assert f"{tmp_path / outputs.BINS_TABLE}: no such file" in capsys.readouterr().err


def test_every_column_that_is_written_is_explained() -> None:
    from llmbin_core.bins import writing

    source = Path(writing.__file__).read_text()
    header = re.search(r"header = \[(.*?)\]", source, re.DOTALL)
    assert header
    assert set(re.findall(r'"([a-z_0-9]+)"', header[1])) == COLUMNS.keys()


def test_numbers_as_a_person_says_them() -> None:
    assert wording.megabases(999) == "1 kb"
    assert wording.megabases(2_345_000) == "2.3 Mb"
    assert [wording.duration(s) for s in (0, 59.94, 59.96, 3599.6)] == [
        "0.0 s", "59.9 s", "1 min 00 s", "1 h 00 min",
    ]  # fmt: skip
    assert [wording.counted(n, "bin") for n in (0, 1, 2345)] == ["0 bins", "1 bin", "2,345 bins"]
