"""Stages in processes of their own: results, errors, signals, log and progress."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pipeline_fakes as fakes
import psutil
import pytest

from llmbin_core import progress
from llmbin_core.childprocess import Defect, call
from llmbin_core.errors import EnvironmentFault, InputError


@pytest.fixture
def lines() -> Iterator[list[str]]:
    log = logging.getLogger("llmbin")
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler, level = Keep(), log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield found
    log.removeHandler(handler)
    log.setLevel(level)


def test_log_and_progress_reach_the_parent(lines: list[str]) -> None:
    seen: list[object] = []

    class Task:
        def advance(self, amount: int = 1) -> None:
            seen.append(amount)

        def close(self) -> None:
            seen.append("closed")

    def report(label: str, total: int, unit: str) -> progress.Task:
        seen.append((label, total, unit))
        return Task()

    progress.use_reporter(report)
    try:
        call("talk", fakes.talk, {})
    finally:
        progress.use_reporter(None)
    assert lines == [f"a line with {object}"]
    assert seen[0] == ("counting", 5, "things")
    assert seen[-1] == "closed"
    assert sum(n for n in seen[1:-1] if isinstance(n, int)) == 5


def test_expected_errors_keep_class_and_message() -> None:
    with pytest.raises(InputError, match=r"^reads\.bam: cut short; copy it again$"):
        call("x", fakes.refuse, {})
    with pytest.raises(InputError, match=r"^1 is not 2$"):
        call("x", fakes.refuse_specially, {})


def test_defect_carries_the_traceback_of_the_child() -> None:
    with pytest.raises(Defect, match=r"(?s)stage x: KeyError: 'missing'.*in be_defective"):
        call("stage x", fakes.be_defective, {})


def test_out_of_memory_inside_python_is_a_fault_of_the_machine() -> None:
    with pytest.raises(EnvironmentFault, match="out of memory; use a machine with more"):
        call("x", fakes.exhaust_memory, {})


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, r"stage x was killed \(SIGKILL\), most likely because memory ran out"),
        (signal.SIGSEGV, r"stage x crashed \(SIGSEGV\) in a library"),
        (signal.SIGTERM, r"stage x was ended by SIGTERM"),
        (signal.SIGXCPU, r"stage x used up its CPU time"),
    ],
)
def test_a_signal_is_a_fault_of_the_machine_with_advice(number: int, message: str) -> None:
    with pytest.raises(EnvironmentFault, match=message + ".*give the same command again"):
        call("stage x", fakes.die, {"number": int(number)})


def test_an_end_without_a_result_is_noticed() -> None:
    with pytest.raises(EnvironmentFault, match=r"ended without a result \(exit code 3\)"):
        call("x", fakes.leave, {})


def test_usage_is_that_of_the_child() -> None:
    small = call("x", fakes.spend, {"seconds": 0.5})
    large = call("x", fakes.take_memory, {"mib": 600})
    assert 0.5 <= small.cpu_seconds < 5
    assert small.wall_seconds >= 0.5
    assert large.peak_mib >= 600


def _wait_for(ready: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not ready() and time.monotonic() < end:
        time.sleep(0.05)
    return ready()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_child_and_its_workers_end_with_the_parent(tmp_path: Path, number: int) -> None:
    pids = tmp_path / "pids"
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "import pipeline_fakes as fakes\n"
        "from llmbin_core.childprocess import call\n"
        "if __name__ == '__main__':\n"
        "    call('x', fakes.sleep_with_worker, {'pids': pathlib.Path(sys.argv[2])})\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    here = str(Path(__file__).parent)
    parent = subprocess.Popen(
        [sys.executable, str(script), here, str(pids)], stderr=subprocess.DEVNULL
    )
    assert _wait_for(pids.exists)
    children = [int(p) for p in pids.read_text().split()]
    os.kill(parent.pid, number)
    parent.wait(timeout=30)

    def gone(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    assert _wait_for(lambda: all(gone(pid) for pid in children))
