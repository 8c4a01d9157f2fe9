"""One page that holds all of a run: HTML with its style, script and data, nothing from outside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import PurePath
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llmbin_core import __version__
from llmbin_core.bintable import COLUMNS, DEPTH, Bin, BinTable
from llmbin_core.contigs import n50
from llmbin_core.report import plots
from llmbin_core.report.facts import Candidate, Contigs, Facts
from llmbin_core.report.findings import findings
from llmbin_core.wording import duration, megabases, percent

_PACKAGE = "llmbin_core.report"
_SCRIPTS = ("dom.js", "table.js", "figure.js", "bins.js", "contigs.js", "others.js")


class Cell(NamedTuple):
    """One cell of the table: as written in the file, and as a person reads it."""

    value: str
    text: str


class Column(NamedTuple):
    """One column of the table of bins."""

    name: str
    label: str
    about: str
    number: bool


class CandidateRow(NamedTuple):
    """One line of the table of candidates; widths of its bar in percent."""

    label: str
    counts: list[int]
    chosen: int
    widths: list[float]
    is_result: bool


class StageCost(NamedTuple):
    """Time and memory of a stage; `share` is that of the longest stage, in percent."""

    name: str
    seconds: float
    text: str
    cpu: str
    memory: str
    share: float


def render(facts: Facts) -> str:
    """The page as text; the same facts give the same page."""
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    columns = _columns(facts.bins)
    classes = list(facts.bins.classes)
    return environment.get_template("report.html.j2").render(
        version=__version__,
        title=facts.title,
        headline=headline(facts),
        findings=findings(facts),
        tiles=list(_tiles(facts)),
        columns=columns,
        rows=[_row(one, columns) for one in facts.bins.bins],
        classes=classes,
        links=facts.links,
        sections=list(_facts(facts)),
        stages=_stages(facts.record),
        candidates=_candidates(facts, classes),
        samples=list(_samples(facts.contigs)),
        data=_data(facts, classes),
        style=_raw("report.css"),
        script=Markup("\n").join(_raw(name) for name in _SCRIPTS),
    )


def _raw(name: str) -> Markup:
    # Ours, not the user's: it goes into the page as it is.
    return Markup(resources.files(_PACKAGE).joinpath("templates", name).read_text("utf-8"))


def headline(facts: Facts) -> str:
    """The result in one sentence."""
    bins = facts.bins.bins
    if not bins:
        return "No bins were recovered."
    counts = ", ".join(f"{len(found)} {name}" for name, found in facts.bins.classes.items())
    total = sum(one.bp for one in bins)
    text = f"{len(bins)} bin{'s' if len(bins) > 1 else ''} of {megabases(total)}: {counts}."
    if facts.contigs:
        share = facts.contigs.binned_bp / max(facts.contigs.bp, 1)
        text += f" They hold {percent(share)} of the bases of {len(facts.contigs.table):,} contigs."
    return text


def _tiles(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Class, number and label of each figure at the top."""
    for name, found in facts.bins.classes.items():
        size = f", {megabases(sum(one.bp for one in found))}" if found else ""
        yield name, str(len(found)), f"{name}{size}"
    contigs = facts.contigs
    if contigs is None:
        return
    yield "", percent(contigs.binned_bp / max(contigs.bp, 1)), "of the bases in bins"
    if contigs.samples:
        mapped = contigs.sample_depth
        share = float(mapped @ contigs.sample_binned / max(mapped.sum(), 1e-12))
        yield "", percent(share), "of the mapped bases on bins"
    yield "", f"{megabases(contigs.bp - contigs.binned_bp)}", "in no bin"


def _columns(table: BinTable) -> list[Column]:
    found = []
    for name in table.columns:
        label, about = COLUMNS.get(name, (name, ""))
        if name.startswith(DEPTH):
            label = f"depth {name.removeprefix(DEPTH)}"
            about = "Mean depth in this sample."
        cells = [one.cells[name] for one in table.bins]
        found.append(Column(name, label, about, bool(cells) and all(map(_is_number, cells))))
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _row(one: Bin, columns: Sequence[Column]) -> list[Cell]:
    return [Cell(one.cells[c.name], _readable(c, one.cells[c.name])) for c in columns]


def _readable(column: Column, value: str) -> str:
    if column.name in ("bp", "n50", "contigs"):
        return f"{int(value):,}"
    if column.name == "gc":
        return f"{100 * float(value):.1f}"
    if column.name in ("completeness", "contamination", "redundancy"):
        return f"{float(value):.1f}"
    return value


def _facts(facts: Facts) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Heading and pairs of the lists that say what the run was."""
    contigs, record = facts.contigs, facts.record
    if contigs is not None:
        lengths = contigs.table.lengths
        yield (
            "Input",
            [
                *_files(record),
                ("contigs", f"{len(lengths):,}"),
                ("bases", f"{contigs.bp:,} bp"),
                ("N50", f"{n50(lengths):,} bp"),
                ("longest", f"{int(lengths.max(initial=0)):,} bp"),
                ("samples", str(len(contigs.samples)) if contigs.samples else "not given"),
            ],
        )
    method = [("mode", str(record["mode"]))] if "mode" in record else []
    method += _models(facts)
    if facts.seed is not None:
        method += [("random seed", str(facts.seed)), ("views per contig", str(facts.n_views))]
    if method:
        yield "Method", method
    if record:
        yield "Run", list(_run(record))
        yield "Options", _options(record)


_FILE_OPTIONS = {
    "contigs": "assembly",
    "bams": "alignments",
    "depth_tables": "depth tables",
}


def _files(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names of the input files; their folders are nobody's business."""
    given = record.get("options", {})
    return [
        (label, ", ".join(map(_name, given[option])))
        for option, label in _FILE_OPTIONS.items()
        if given.get(option)
    ]


def _options(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Options that were set, those of training among them."""
    given = dict(record.get("options", {}))
    given |= given.pop("training", {})
    hidden = {*_FILE_OPTIONS, "out"}
    return [
        (name.replace("_", " "), _name(value))
        for name, value in given.items()
        if name not in hidden and value not in (None, "", [], {})
    ]


def _name(value: Any) -> str:
    return PurePath(value).name if isinstance(value, str) else str(value)


def _models(facts: Facts) -> Iterator[tuple[str, str]]:
    if not facts.models:
        return
    cards = list(facts.models.values())
    yield "embedding (gLM)", ", ".join(sorted({_glm(card) for card in cards}))
    trained = (
        "given" if facts.record.get("options", {}).get("model") else "trained on these contigs"
    )
    yield "encoder", trained if len(cards) == 1 else f"{len(cards)}, one per sample, {trained}"
    contigs = sum(int(sample["contigs"]) for c in cards for sample in c.get("trained_on", ()))
    epochs = sorted({int(card.get("epochs_run", 0)) for card in cards})
    yield "trained on", f"{contigs:,} contigs in {_range(epochs)} epochs"
    losses = sorted(round(float(card.get("final_loss", 0.0)), 3) for card in cards)
    yield "final loss", _range(losses)


def _glm(card: Mapping[str, Any]) -> str:
    return str((card.get("embedder") or {}).get("name", "none"))


def _range(ordered: Sequence[float]) -> str:
    low, high = ordered[0], ordered[-1]
    return str(low) if low == high else f"{low} to {high}"


def _run(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    stages = _done(record)
    yield "started", str(record.get("started", "unknown"))
    yield "time of all stages", duration(sum(s["wall_seconds"] for s in stages))
    peak = max((s["peak_mib"] for s in stages), default=0.0)
    yield "most memory", f"{peak / 1024:.1f} GiB"
    platform = record.get("platform", {})
    yield "machine", f"{platform.get('system')} {platform.get('machine')}, " \
        f"{platform.get('cpus')} CPUs"  # fmt: skip
    versions = record.get("versions", {})
    yield "versions", ", ".join(f"{name} {number}" for name, number in versions.items())


def _done(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [s for s in record.get("stages", ()) if s.get("status") == "done"]


def _stages(record: Mapping[str, Any]) -> list[StageCost]:
    done = _done(record)
    longest = max((s["wall_seconds"] for s in done), default=0.0) or 1.0
    return [
        StageCost(
            s["name"],
            s["wall_seconds"],
            duration(s["wall_seconds"]),
            duration(s["cpu_seconds"]),
            f"{s['peak_mib']:,.0f} MiB",
            round(100 * s["wall_seconds"] / longest, 1),
        )
        for s in done
    ]


# The bar of a candidate shows the classes that are worth having.
_WORTH = 2


def _candidates(facts: Facts, classes: Sequence[str]) -> list[CandidateRow]:
    """The result, then what each partition alone would have given, best first."""
    if not facts.candidates:
        return []
    found = [
        (_label(one), [one.classes.get(name, 0) for name in classes], one.chosen, False)
        for one in facts.candidates
    ]
    found.sort(key=lambda row: [-count for count in row[1]])
    result = [len(bins) for bins in facts.bins.classes.values()]
    found.insert(0, ("the result, over all of them", result, sum(result), True))
    most = max(sum(counts[:_WORTH]) for _, counts, _, _ in found) or 1
    return [
        CandidateRow(
            label, counts, chosen, [round(100 * c / most, 2) for c in counts[:_WORTH]], is_result
        )
        for label, counts, chosen, is_result in found
    ]


def _label(candidate: Candidate) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in candidate.settings.items())
    return f"{candidate.method}: {settings}" if settings else candidate.method


def _samples(contigs: Contigs | None) -> Iterator[tuple[str, str, str, str]]:
    """Name, reads, depth and share in bins of every sample."""
    if contigs is None:
        return
    columns = (contigs.samples, contigs.sample_depth, contigs.sample_binned)
    for name, depth, share in zip(*columns, strict=True):
        reads = contigs.mapped_reads.get(name)
        yield (
            name,
            "from a table" if reads is None else f"{reads:,}",
            f"{depth:.2f}",
            percent(share),
        )


def _data(facts: Facts, classes: Sequence[str]) -> dict[str, Any]:
    """What the script of the page draws."""
    bins = facts.bins.bins
    data: dict[str, Any] = {
        "title": facts.title,
        "classes": list(classes),
        "bins": plots.bins_plot(bins, classes),
        "depths": None,
        "contigs": None,
        "curves": {
            sample: {
                name: [v if math.isfinite(v) else None for v in values]
                for name, values in columns.items()
            }
            for sample, columns in facts.curves.items()
        },
    }
    if facts.bins.samples:
        data["depths"] = plots.depths_plot(bins, facts.bins.samples)
    if facts.contigs is not None and len(facts.contigs.table):
        data["contigs"] = plots.contigs_plot(facts.contigs, len(bins), facts.seed or 0)
    return data
