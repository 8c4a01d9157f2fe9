"""Stages killed halfway and runs killed as a whole: nothing half-written, the same result after."""

from __future__ import annotations

import filecmp
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

LLMBIN = str(Path(sys.executable).with_name("llmbin"))
# Files that tell how long the stages took.
HOLDS_TIMES = ("run.json", "report.html")
# Stage, seconds of its life, and whether the run dies with it.
KILLS = [
    ("coverage", 0.2, False),
    ("embed", 0.5, False),
    ("markers", 1.5, True),
    ("train", 0.1, False),
    ("train", 4.0, True),
    ("cluster", 0.3, False),
    ("bin", 0.3, True),
]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("community")
    subprocess.run(
        [LLMBIN, "simulate", "--n-genomes", "2", "--genome-size", "0.3", "0.4", "--samples", "2",
         "--depth", "8", "--out", str(folder)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    bams = [str(p) for p in sorted(folder.glob("*.bam"))]
    return [LLMBIN, "run", "--contigs", str(folder / "contigs.fasta.gz"), "--bam", *bams,
            "--min-bin-size", "50000", "--threads", "2", "--out"]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    subprocess.run([*command, str(out)], check=True, capture_output=True)
    return out


def _files(folder: Path) -> dict[str, Path]:
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    for name in HOLDS_TIMES:
        found.pop(name, None)
    return found


def _stage_process(parent: int) -> psutil.Process | None:
    try:
        children = psutil.Process(parent).children()
        return next((c for c in children if "spawn_main" in " ".join(c.cmdline())), None)
    except psutil.NoSuchProcess:
        return None


def _kill_during(command: list[str], stage: str, delay: float, whole: bool) -> tuple[int, str]:
    """Exit code and standard error of a run whose stage, or which itself, was killed."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        lines = []
        for line in run.stderr:
            lines.append(line)
            if f", {stage}: " in line and "up to date" not in line:
                break
        time.sleep(delay)
        child = _stage_process(run.pid)
        if whole:
            run.kill()
        elif child is not None:
            child.kill()
        lines += run.stderr
        code = run.wait()
    if child is not None:
        psutil.wait_procs([child], timeout=20)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    return code, "".join(lines)


def test_every_kill_is_survived(command: list[str], undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    expected = _files(undisturbed)
    for stage, delay, whole in KILLS:
        code, text = _kill_during([*command, str(out)], stage, delay, whole)
        if whole:
            assert code == -signal.SIGKILL
        else:
            assert code == 4, text
            assert f"error: stage {stage} was killed (SIGKILL), most likely because" in text
            assert "Traceback" not in text
        for name, path in _files(out).items():
            if not path.name.startswith(".") and "checkpoint" not in name:
                assert filecmp.cmp(path, expected[name], shallow=False), f"{name} after {stage}"
    done = subprocess.run([*command, str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "markers: up to date" in done.stderr
    found = _files(out)
    assert found.keys() == expected.keys()
    assert all((out / name).exists() for name in HOLDS_TIMES)
    different = [n for n, p in found.items() if not filecmp.cmp(p, expected[n], shallow=False)]
    assert not different


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_cleans_up(
    command: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    with subprocess.Popen([*command, str(out)], stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if ", markers: " in line:
                break
        time.sleep(1)
        child = _stage_process(run.pid)
        run.send_signal(number)
        text = run.stderr.read()
    assert run.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number] in text
    assert child is None or not child.is_running()
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == []
    assert '"status": "interrupted"' in (out / "run.json").read_text()
