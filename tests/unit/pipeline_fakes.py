"""Small functions that stand for stages; they run in processes of their own, so they live here."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from llmbin_core import progress
from llmbin_core.errors import InputError
from llmbin_core.files import atomic_path, write_text
from llmbin_core.runner import Stage

log = logging.getLogger("llmbin")


def join(texts: Sequence[Path], out: Path, *, suffix: str = "", threads: int = 1) -> None:
    """Write the texts one after the other; count the calls in a file beside the folder."""
    write_text(out, "".join(p.read_text() for p in texts) + suffix)
    with (out.parent.parent / "calls").open("a") as calls:
        calls.write(f"{out.name}\n")


def chain(folder: Path, source: Path, *, suffix: str = "", threads: int = 1) -> list[Stage]:
    """source -> a -> b -> d; a -> c -> d."""

    def stage(name: str, inputs: tuple[Path, ...], options: dict[str, object]) -> Stage:
        out = folder / name
        return Stage(name, join, {"texts": inputs}, {"out": out}, (out,), options,
                     {"threads": threads})  # fmt: skip

    a, b, c = folder / "a", folder / "b", folder / "c"
    return [
        stage("a", (source,), {}),
        stage("b", (a,), {"suffix": suffix}),
        stage("c", (a,), {}),
        stage("d", (b, c), {}),
    ]


def calls(folder: Path) -> str:
    """The letters of the stages called since the last time."""
    file = folder.parent / "calls"
    text = file.read_text().replace("\n", "") if file.exists() else ""
    file.unlink(missing_ok=True)
    return text


def talk() -> None:
    log.info("a line with %s", object)
    log.debug("not shown")
    with progress.task("counting", 5, "things") as task:
        for _ in range(5):
            task.advance()


def refuse() -> None:
    raise InputError("reads.bam: cut short; copy it again")


class Special(InputError):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} is not {b}")


def refuse_specially() -> None:
    raise Special(1, 2)


def be_defective() -> None:
    {}["missing"]


def exhaust_memory() -> None:
    raise MemoryError


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def leave() -> None:
    os._exit(3)


def write_half(out: Path) -> None:
    """Be killed with a file half written."""
    with atomic_path(out) as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


def sleep_with_worker(pids: Path) -> None:
    """Start a worker, tell both process numbers and wait."""
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    write_text(pids, f"{os.getpid()} {worker.pid}")
    worker.wait()


def take_memory(mib: int) -> None:
    block = bytearray(mib << 20)
    block[::4096] = b"x" * len(block[::4096])


def spend(seconds: float) -> None:
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        pass
