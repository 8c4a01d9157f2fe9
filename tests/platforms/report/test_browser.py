"""The report in a browser: drawn, sorted, filtered, pointed at, walked with keys, printed."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import make_report

Look = Any
NAME = "tbody tr:not([hidden]) .pick"


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "bins.tsv").open(newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def contig2bin(run: Path) -> dict[str, str]:
    with (run / "contig2bin.tsv").open(newline="") as handle:
        return {row["contig"]: row["bin"] for row in csv.DictReader(handle, delimiter="\t")}


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_draws_everything_within_the_width(
    look: Look, run: Path, width: int, scheme: str
) -> None:
    page = look(run / "report.html", color_scheme=scheme,
                viewport={"width": width, "height": 900}).page  # fmt: skip
    assert page.locator("#quality-plot path[data-bin]").count() == len(rows_of(run))
    assert page.locator("#curve-plots svg").count() == 2
    for plot in ("map-plot", "cover-plot", "depth-plot"):
        # Something is on the canvas: more than a few colours that are not the background.
        colours = page.evaluate(
            """id => { const c = document.querySelector(`#${id} canvas`), seen = new Set();
            const p = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            for (let i = 0; i < p.length; i += 4)
                if (p[i + 3]) seen.add(p[i] << 16 | p[i + 1] << 8 | p[i + 2]);
            return seen.size; }""",
            plot,
        )
        assert colours > 8, plot
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("LLMBIN_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"report-{width}-{scheme}.png", full_page=True)


def test_sorting(look: Look, run: Path) -> None:
    page = look(run / "report.html").page
    rows = rows_of(run)
    head = page.locator('th[data-name="bp"]')
    for direction in ("descending", "ascending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == direction
        expected = sorted(rows, key=lambda r: int(r["bp"]), reverse=direction == "descending")
        assert page.locator(NAME).all_inner_texts() == [row["bin"] for row in expected]
    page.locator('th[data-name="class"] button').click()
    expected = sorted(rows, key=lambda r: r["class"])
    assert page.locator(NAME).all_inner_texts() == [row["bin"] for row in expected]
    assert head.get_attribute("aria-sort") is None


def test_filtering_and_saving(look: Look, run: Path) -> None:
    page = look(run / "report.html").page
    rows = rows_of(run)
    page.locator('input[value="low"]').uncheck()
    page.locator('input[name="completeness"]').fill("70")
    page.locator('input[name="contamination"]').fill("4")
    kept = [r for r in rows if r["class"] != "low" and float(r["completeness"]) >= 70
            and float(r["contamination"]) <= 4]  # fmt: skip
    assert 0 < len(kept) < len(rows)
    assert page.locator(NAME).all_inner_texts() == [row["bin"] for row in kept]
    assert page.locator("#bin-count").inner_text().startswith(f"{len(kept)} of {len(rows)} bins")
    dim = page.locator("#quality-plot path.dim[data-bin]").count()
    assert dim == len(rows) - len(kept)

    page.locator('th[data-name="bp"] button').click()
    with page.expect_download() as download:
        page.locator("#save-tsv").click()
    saved = Path(download.value.path()).read_text().splitlines()
    lines = (run / "bins.tsv").read_text().splitlines()
    expected = sorted(kept, key=lambda r: -int(r["bp"]))
    assert saved == [lines[0], *("\t".join(row.values()) for row in expected)]
    assert lines[0] == "\t".join(rows[0])

    page.locator('#bin-controls button[type="reset"]').click()
    page.locator('input[name="text"]').fill("NOTE 7")
    assert page.locator(NAME).all_inner_texts() == ["bin.008"]


def test_depths_can_be_shown_in_the_table(look: Look, run: Path) -> None:
    page = look(run / "report.html").page
    depth = page.locator('th[data-name="depth:S2"]')
    assert not depth.is_visible()
    page.locator('input[name="depths"]').check()
    assert depth.is_visible()


def test_pointing_at_a_bin(look: Look, run: Path) -> None:
    opened = look(run / "report.html")
    row = min(rows_of(run), key=lambda r: int(r["bp"]))  # the smallest lies on top
    mark = opened.page.locator(f'path[data-bin="{row["bin"]}"]')
    mark.hover()
    assert opened.tip.startswith(f"{row['bin']}\n{row['class']}: ")
    assert f"{float(row['completeness']):.1f} % complete" in opened.tip
    opened.page.mouse.move(2, 2)
    assert opened.tip == ""
    mark.click()
    assert opened.page.locator("#selection").is_visible()
    assert row["bin"] in opened.page.locator("#selection").inner_text()
    assert opened.page.locator("tbody tr.here .pick").inner_text() == row["bin"]
    opened.page.keyboard.press("Escape")
    assert not opened.page.locator("#selection").is_visible()


@pytest.mark.parametrize("plot", ["map-plot", "cover-plot"])
def test_pointing_at_a_contig(look: Look, run: Path, plot: str) -> None:
    opened = look(run / "report.html")
    canvas = opened.page.locator(f"#{plot} canvas")
    canvas.scroll_into_view_if_needed()
    box, places, seen = canvas.bounding_box(), contig2bin(run), {}
    for y in range(10, int(box["height"]), 17):
        for x in range(60, int(box["width"]), 23):
            opened.page.mouse.move(box["x"] + x, box["y"] + y)
            if opened.tip:
                first, _, *rest = opened.tip.split("\n")
                seen[first.removeprefix("contig ")] = rest[0]
    assert len(seen) > 20
    for contig, where in seen.items():
        assert where == places.get(contig, "in no bin")


def test_a_part_of_the_map_can_be_enlarged(look: Look, run: Path) -> None:
    opened = look(run / "report.html")
    canvas = opened.page.locator("#cover-plot canvas")
    canvas.scroll_into_view_if_needed()
    ticks = opened.page.locator("#cover-plot .tick")
    before, box = ticks.all_inner_texts(), canvas.bounding_box()
    x, y = box["x"] + 0.4 * box["width"], box["y"] + 0.3 * box["height"]
    opened.page.mouse.move(x, y)
    opened.page.mouse.down()
    opened.page.mouse.move(x + 90, y + 90, steps=4)
    opened.page.mouse.up()
    assert ticks.all_inner_texts() != before
    canvas.dblclick(position={"x": 3, "y": 3})
    assert ticks.all_inner_texts() == before


def test_keys_alone(look: Look, run: Path) -> None:
    opened = look(run / "report.html")
    page, rows = opened.page, rows_of(run)
    best = sorted(rows, key=lambda r: -float(r["completeness"]))
    page.locator("#quality-plot").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert opened.tip.startswith(best[1]["bin"])
    assert page.locator("#spoken").inner_text().startswith(best[1]["bin"])
    page.keyboard.press("Enter")
    assert page.locator("tbody tr.here .pick").inner_text() == best[1]["bin"]
    for plot in ("map-plot", "cover-plot", "depth-plot"):
        page.locator(f"#{plot}").focus()
        page.keyboard.press("ArrowRight")
        assert opened.tip.startswith("bin."), plot
    # Every control is reached with Tab alone, none is a trap.
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(400):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"quality-plot", "text", "class", "save-tsv", "map-plot", "depth-plot"} <= reached


def _contrast(page: Any, front: str, back: str) -> float:
    """Contrast of two colours of the style (WCAG 2.1, definition of contrast ratio)."""

    def luminance(name: str) -> float:
        text = page.evaluate(
            f'getComputedStyle(document.documentElement).getPropertyValue("--{name}")'
        ).strip()
        digits = text[1:] if len(text) == 7 else "".join(2 * c for c in text[1:])
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(front), luminance(back)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(look: Look, run: Path, scheme: str) -> None:
    """4.5 for text and 3 for marks that carry meaning (WCAG 2.1, 1.4.3 and 1.4.11)."""
    page = look(run / "report.html", color_scheme=scheme).page
    for front in ("ink", "soft", "accent"):
        for back in ("paper", "panel"):
            assert _contrast(page, front, back) >= 4.5, (front, back)
    assert _contrast(page, "ink", "warn") >= 4.5
    for mark in (*(f"c{k}" for k in range(4)), *(f"b{k}" for k in range(8))):
        assert _contrast(page, mark, "paper") >= 3, mark


def test_classes_differ_by_shape_as_well(look: Look, run: Path) -> None:
    page = look(run / "report.html").page
    shapes = {
        page.locator(f"#quality-plot path.c{k}").first.get_attribute("d").count("L")
        for k in range(3)
    }
    assert len(shapes) == 3


def test_print(look: Look, run: Path, tmp_path: Path) -> None:
    page = look(run / "report.html", color_scheme="dark").page
    page.emulate_media(media="print")
    assert not page.locator("#bin-controls").is_visible()
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # The table is whole, not a window on it.
    hidden = page.evaluate(
        "(() => { const s = document.querySelector('#bins .scroll');"
        " return s.scrollHeight - s.clientHeight; })()"
    )
    assert hidden <= 1
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 20_000


def test_a_hostile_name_does_nothing(look: Look, tmp_path: Path) -> None:
    evil = "</script><img/src=x/onerror=window.pwned=1>"
    run = make_report(tmp_path, names=[evil, "<svg/onload=window.pwned=1>"], samples=(evil, "S2"))
    opened = look(run / "report.html")
    assert opened.page.evaluate("window.pwned") is None
    assert evil in opened.page.locator("#samples table").inner_text()
    opened.page.locator("#depth-plot").focus()
    opened.page.keyboard.press("ArrowRight")
    assert evil in opened.tip
    assert opened.page.evaluate("window.pwned") is None


@pytest.mark.parametrize("options", [{"n_bins": 0}, {"n_contigs": 3, "n_bins": 1}])
def test_runs_with_next_to_nothing(look: Look, tmp_path: Path, options: dict[str, int]) -> None:
    run = make_report(tmp_path, **options)
    page = look(run / "report.html").page
    assert page.locator("main .findings li").count() >= 1
    assert page.locator(NAME).count() == options["n_bins"]


def test_without_javascript_the_tables_are_there(look: Look, run: Path) -> None:
    page = look(run / "report.html", java_script_enabled=False).page
    assert page.locator(NAME).count() == len(rows_of(run))
    assert "need JavaScript" in page.locator("noscript").inner_text()
    assert not page.locator("#bin-controls").is_visible()
