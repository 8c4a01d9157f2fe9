"""The result of a run in Python, and the last lines that a run says."""

from __future__ import annotations

import logging
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import report_files
from llmbin_tools import _common
from llmbin_tools.run import _show

import llmbin_core
from llmbin_core import outputs, results
from llmbin_core.errors import InputError, UsageError
from llmbin_core.runner import Step
from llmbin_core.runoptions import RunOptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_files.write_run(tmp_path_factory.mktemp("run"))


def test_a_run_gets_its_options_and_gives_a_typed_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[RunOptions] = []

    def spy(options: RunOptions) -> list[Step]:
        seen.append(options)
        return [Step("bin", None)]

    monkeypatch.setattr(results.pipeline, "run", spy)
    result = llmbin_core.run("a.fa", folder, bams=["b.bam", "c.bam"], seed=3)
    assert seen == [
        RunOptions(contigs=(Path("a.fa"),), out=folder, bams=(Path("b.bam"), Path("c.bam")), seed=3)
    ]
    assert isinstance(result, llmbin_core.RunResult)
    assert result.steps == (Step("bin", None),)
    first, lines = result.bins[0], (folder / outputs.BINS_TABLE).read_text().splitlines()
    cells = dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))
    assert (first.name, first.bp, first.quality) == ("bin.001", int(cells["bp"]), cells["class"])
    assert first.depths == {s: float(cells[f"depth:{s}"]) for s in ("S1", "S2", "S3")}
    assert first.cells["column of tomorrow"] == "note 0"
    assert result.fasta(first).read_text().startswith(">")
    assert set(result.contig2bin().values()) == {one.name for one in result.bins}
    assert [stage.name for stage in result.stages][-1] == "bin"
    assert result.report == folder / outputs.REPORT


def test_wrong_options_are_refused() -> None:
    with pytest.raises(UsageError, match="either alignments or depth tables"):
        llmbin_core.run("a.fa", "out")
    with pytest.raises(TypeError, match="colour"):
        llmbin_core.run("a.fa", "out", bams=["b"], colour="red")
    with pytest.raises(AttributeError, match="has no attribute 'walk'"):
        llmbin_core.walk  # noqa: B018


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bins\.tsv: no such file"):
        results.read_result(tmp_path)


def test_importing_the_library_loads_nothing_heavy() -> None:
    code = "import sys, llmbin_core; print({'numpy', 'torch', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    handler = _Lines()
    monkeypatch.setattr(_common.log, "handlers", [handler])
    monkeypatch.setattr(_common.log, "level", logging.INFO)
    return handler.lines


def test_the_last_lines_add_up(folder: Path, lines: list[str]) -> None:
    _show(results.read_result(folder, [Step("bin", "asked for"), Step("train", None)]))
    rows = {" ".join(line.split()[:2]): line.split() for line in lines}
    shares = [float(line.split()[-2]) for line in lines[1:5]]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    counts = [int(line.split()[1]) for line in lines[1:4]]
    assert sum(counts) == 6
    assert rows["bin 4"][1:5] == ["4", "min", "44", "s"]  # 283.5 s in the record
    assert "train (before)" in rows
    assert not any(line.startswith("prepare") for line in lines)  # no stage of this run
    assert lines[-1] == str(folder / outputs.REPORT)


def test_one_line_a_minute_with_rate_and_remaining_time(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(_common.time, "monotonic", lambda: clock[0])
    task = _common._LogLines("embedding", 1000, "bp")
    for _ in range(18):
        clock[0] += 10
        task.advance(20)
    assert lines == [
        "embedding: 120 of 1000 bp, 2 bp/s, 7 min 20 s left",
        "embedding: 240 of 1000 bp, 2 bp/s, 6 min 20 s left",
        "embedding: 360 of 1000 bp, 2 bp/s, 5 min 20 s left",
    ]


_ON_A_TERMINAL = """
import time
from llmbin_tools import _common
from llmbin_core import progress
def body(args):
    with progress.task("counting", 100, "contigs") as task:
        for k in range(10):
            task.advance(10)
            time.sleep(0.15)
            if k == 5:
                _common.log.info("a line between")
_common.run_tool(_common.make_parser("x", "", "").parser, body, [])
"""


def test_a_bar_on_a_terminal_with_lines_above_it() -> None:
    """On a terminal of its own: a bar with rate and remaining time, and log lines left whole."""
    pty = pytest.importorskip("pty", reason="no terminals on this system")
    import fcntl
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen([sys.executable, "-c", _ON_A_TERMINAL], stderr=follower) as process:
        os.close(follower)
        text = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:
                break
            if not part:
                break
            text += part
        process.wait(20)
    os.close(leader)
    shown = text.decode()
    assert "counting:" in shown
    assert "contigs/s]" in shown
    assert any(
        part.endswith("llmbin-x: a line between") for part in shown.replace("\r", "\n").split("\n")
    )
