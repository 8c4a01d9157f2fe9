"""A function in a process of its own: its memory goes back, its log and progress come through.

The child leads a process group, so that ending it ends its workers as well, and it ends itself
when the parent is gone. Log records, progress and the result travel over one pipe.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from llmbin_core import progress
from llmbin_core.errors import EnvironmentFault, InputError, LlmbinError, UsageError

log = logging.getLogger("llmbin")

_EXPECTED = {e.__name__: e for e in (LlmbinError, UsageError, InputError, EnvironmentFault)}
# Time that a child gets to remove its temporary files before it is killed.
_GRACE_SECONDS = 10.0
_PROGRESS_SECONDS = 0.2


@dataclass(frozen=True)
class Usage:
    """What a function cost.

    Attributes
    ----------
    wall_seconds, cpu_seconds : float
        CPU time includes workers.
    peak_mib : float
        Memory of the largest process; 0 where the system does not tell.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


class Defect(Exception):
    """An exception that no stage should raise; the message ends with the child's traceback."""


def call(name: str, function: Callable[..., object], arguments: Mapping[str, Any]) -> Usage:
    """Run ``function(**arguments)`` in a process of its own and wait for it.

    Parameters
    ----------
    name : str
        What messages call it.
    function : callable
        Importable by name.
    arguments : mapping
        Whatever pickles.

    Raises
    ------
    LlmbinError
        As raised by the function, with its class.
    EnvironmentFault
        A signal ended the process.
    Defect
        Any other exception of the function.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    level = log.getEffectiveLevel()
    process = context.Process(
        target=_child, name=name, args=(theirs, level, function, dict(arguments))
    )
    begin = time.monotonic()
    process.start()
    theirs.close()
    try:
        result = _follow(ours, process.sentinel)
        process.join(_GRACE_SECONDS)
    except BaseException:
        _end(process)
        raise
    finally:
        # What a worker of the child left running ends with it.
        _signal_group(process.pid, signal.SIGKILL)
        ours.close()
    if result is None:
        raise _sudden_end(name, process.exitcode or 0)
    kind, *details = result
    if kind == "done":
        return Usage(time.monotonic() - begin, *details)
    if kind == "expected":
        raise _EXPECTED[details[0]](details[1])
    raise Defect(f"{name}: {details[0]}\n{details[1]}")


def _follow(pipe: Connection, sentinel: int) -> tuple[Any, ...] | None:
    """Pass on what the child says until it ends; its last word, None when there was none."""
    loops = _Loops()
    try:
        while True:
            # The pipe comes first: the last words of a child that has ended are still in it.
            if pipe not in connection.wait([pipe, sentinel]):
                return None
            try:
                kind, *content = pipe.recv()
            except (EOFError, OSError):
                return None
            if kind == "log":
                log.handle(content[0])
            elif kind == "loop":
                loops.tell(*content)
            else:
                return (kind, *content)
    finally:
        loops.close()


class _Loops:
    """The child's progress, shown by the parent's reporter."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[progress.Task, ExitStack]] = {}

    def tell(self, number: int, event: str, *content: Any) -> None:
        """One event of one loop: it begins, advances or ends."""
        if event == "begin":
            stack = ExitStack()
            self._open[number] = stack.enter_context(progress.task(*content)), stack
        elif event == "advance":
            self._open[number][0].advance(*content)
        else:
            self._open.pop(number)[1].close()

    def close(self) -> None:
        """The child has ended."""
        for _, stack in self._open.values():
            stack.close()


def _sudden_end(name: str, code: int) -> LlmbinError:
    if code >= 0:
        return EnvironmentFault(f"{name} ended without a result (exit code {code})")
    try:
        which = signal.Signals(-code).name
    except ValueError:
        which = f"signal {-code}"
    again = "give the same command again: it goes on with this stage"
    if -code == signal.SIGKILL:
        return EnvironmentFault(
            f"{name} was killed ({which}), most likely because memory ran out; use a machine with "
            f"more memory, or fewer --threads or --views, then {again}"
        )
    if -code == signal.SIGXCPU:
        return EnvironmentFault(
            f"{name} used up its CPU time ({which}); raise the limit and {again}"
        )
    if -code in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE):
        return EnvironmentFault(
            f"{name} crashed ({which}) in a library; check that the installed packages are made "
            f"for this machine, and {again}"
        )
    return EnvironmentFault(f"{name} was ended by {which}; {again}")


def _end(process: Any) -> None:
    """Ask the child to end as Ctrl-C would, wait a little; the caller kills what is left."""
    if process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGINT)
        process.join(_GRACE_SECONDS)
        _signal_group(process.pid, signal.SIGKILL)
        process.join()


def _signal_group(group: int | None, which: int) -> None:
    # A child that has not become the leader of its group yet has no group of that number.
    if group is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, which)


# ---- in the child


def _child(
    pipe: Connection, level: int, function: Callable[..., object], arguments: dict[str, Any]
) -> None:
    with suppress(PermissionError):
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    channel = _Channel(pipe)
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    log.handlers[:] = [channel]
    log.setLevel(level)
    log.propagate = False
    progress.use_reporter(channel.task)
    try:
        function(**arguments)
    except LlmbinError as error:
        channel.send("expected", _class_name(error), str(error))
    except MemoryError:
        text = "out of memory; use a machine with more, or fewer threads and views"
        channel.send("expected", EnvironmentFault.__name__, text)
    except KeyboardInterrupt:
        os._exit(130)
    except Exception as error:
        channel.send("defect", f"{type(error).__name__}: {error}", traceback.format_exc())
    else:
        channel.send("done", *_cost())


def _class_name(error: LlmbinError) -> str:
    """The nearest class that the parent knows."""
    return next(c.__name__ for c in type(error).__mro__ if c.__name__ in _EXPECTED)


def _end_with_parent(pipe: Connection) -> None:
    """The parent never writes: the pipe becomes readable when it has ended."""
    with suppress(OSError, EOFError):
        pipe.poll(None)
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _cost() -> tuple[float, float]:
    """CPU seconds and peak memory (MiB) of this process and the workers it had."""
    try:
        import resource
        import sys
    except ImportError:
        return time.process_time(), 0.0
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(p.ru_utime + p.ru_stime for p in parts)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return cpu, max(p.ru_maxrss for p in parts) / unit


class _Channel(logging.Handler):
    """Sends log records and progress to the parent."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self._pipe = pipe
        self._sending = threading.Lock()
        self._loops = 0

    def send(self, *message: Any) -> None:
        with self._sending:
            self._pipe.send(message)

    def emit(self, record: logging.LogRecord) -> None:
        # Arguments may not pickle; the text does.
        record.msg, record.args = record.getMessage(), None
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        self.send("log", record)

    def task(self, label: str, total: int, unit: str) -> progress.Task:
        with self._sending:
            self._loops += 1
            number = self._loops
        self.send("loop", number, "begin", label, total, unit)
        return _Task(self, number)


class _Task:
    """Sends how far a loop is, a few times a second at most."""

    def __init__(self, channel: _Channel, number: int) -> None:
        self._channel, self._number = channel, number
        self._unsent, self._last = 0, 0.0

    def advance(self, amount: int = 1) -> None:
        self._unsent += amount
        if time.monotonic() - self._last >= _PROGRESS_SECONDS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._channel.send("loop", self._number, "end")

    def _flush(self) -> None:
        if self._unsent:
            self._channel.send("loop", self._number, "advance", self._unsent)
            self._unsent, self._last = 0, time.monotonic()
