"""A browser, and pages of runs that never were."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "unit"))
import report_files

from llmbin_core import stages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("LLMBIN_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), "")
    if not found:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_api.sync_playwright() as playwright:
        # Without a sandbox, which containers do not allow; the pages are our own.
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page that is being looked at, with what it said and asked for."""

    def __init__(self, browser: Browser, file: Path, **options: Any) -> None:
        self.page: Page = browser.new_page(
            **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())

    @property
    def tip(self) -> str:
        """What the tooltip says; empty when there is none."""
        tip = self.page.locator("#tip")
        return tip.inner_text() if tip.is_visible() else ""


@pytest.fixture
def look(browser: Browser) -> Iterator[Any]:
    """``look(file, **options)`` opens a page; at the end none may have complained."""
    opened: list[Opened] = []

    def open_page(file: Path, **options: Any) -> Opened:
        opened.append(Opened(browser, file, **options))
        return opened[-1]

    yield open_page
    for one in opened:
        one.page.close()
        assert one.said == []
        assert all(url.startswith(("file:", "blob:")) for url in one.asked), one.asked


def make_report(folder: Path, **options: Any) -> Path:
    """A run with its report; returns its folder."""
    run = report_files.write_run(folder, **options)
    stages.report(
        run / "bins.tsv", run, contig2bin=run / "contig2bin.tsv", contigs_table=run / "contigs.tsv",
        coverage=run / "coverage.safetensors", latent=run / "latent.safetensors",
        partitions=run / "partitions.safetensors", markers=run / "markers.tsv",
        sets=run / "marker_sets.json", curve=run / "training.tsv", bin_files=run / "bins",
        record=run / "run.json",
    )  # fmt: skip
    return run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_report(tmp_path_factory.mktemp("run"), n_contigs=900, n_bins=24)
