"""What the executables share: option families, logging, progress, exit codes.

Nothing heavy is imported here, so that ``--help`` and ``--version`` answer at once; the thread
count is put into the environment before numpy or torch are loaded.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from io import UnsupportedOperation
from types import FrameType
from typing import Any, NamedTuple

from llmbin_core import __version__, defaults, progress
from llmbin_core.errors import EnvironmentFault, InputError, LlmbinError
from llmbin_core.wording import duration

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Idle threads of a pool sleep instead of spinning: on shared cores spinning costs more than waking.
_THREAD_SETTINGS = {"OMP_WAIT_POLICY": "PASSIVE"}
_LOG_EVERY_SECONDS = 60.0
# What the system says of a path that somebody gave, wherever it is first looked at.
_PATH_FAULTS = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EACCES}
_GREATEST = 2**31 - 1  # some libraries hold seeds and sizes in 32 bits

log = logging.getLogger("llmbin")


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults come from the parser, never typed into a help text; examples keep their lines."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, (), argparse.SUPPRESS) or isinstance(action.default, bool):
            return action.help
        return super()._get_help_string(action)


class Cli(NamedTuple):
    """A parser and its two groups of stage options, shown before the options all stages share."""

    parser: argparse.ArgumentParser
    main: argparse._ArgumentGroup
    advanced: argparse._ArgumentGroup


def default_threads() -> int:
    """GALAXY_SLOTS where Galaxy sets it, else the CPUs this process may use."""
    slots = os.environ.get("GALAXY_SLOTS", "")
    if slots.isdigit() and int(slots) > 0:
        return int(slots)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def positive(text: str) -> int:
    """An integer of at least 1."""
    if natural(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return natural(text)


def natural(text: str) -> int:
    """An integer of at least 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    if value > _GREATEST:
        raise argparse.ArgumentTypeError(f"{text} is above {_GREATEST}")
    return value


def number(text: str) -> float:
    """A number of at least 0."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return value


def fraction(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not within 0..1")
    return value


def share(text: str) -> tuple[int, int]:
    """Part K of N, written ``K/N``."""
    part, slash, parts = text.partition("/")
    if not (slash and part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"'{text}' is not K/N with K from 1 to N")
    return int(part), int(parts)


def above_zero(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def make_parser(
    stage: str, description: str, example: str, *, seed: bool = False, device: bool = False
) -> Cli:
    """Parser of one executable with the options that all share.

    Parameters
    ----------
    stage : str
        Word of the stage; the executable is ``llmbin-<stage>`` (``llmbin run`` for the run).
    description, example : str
        First lines and last lines of the help.
    seed, device : bool
        Whether the stage draws random numbers, whether it can use an accelerator.
    """
    name = "llmbin run" if stage == "run" else f"llmbin-{stage}"
    parser = argparse.ArgumentParser(prog=name, **_form(description, example))
    parser.add_argument("--version", action="version", version=f"{name} {__version__}")
    main = parser.add_argument_group("main options")
    advanced = parser.add_argument_group("advanced options")
    other = parser.add_argument_group("other options")
    other.add_argument(
        "--threads", type=positive, default=default_threads(), metavar="N", help="CPU threads"
    )
    if seed:
        other.add_argument(
            "--seed", type=natural, default=defaults.RANDOM_SEED, metavar="N", help="random seed"
        )
    if device:
        other.add_argument(
            "--device",
            default="auto",
            metavar="NAME",
            help="auto, cpu, cuda, cuda:N or mps; auto takes an accelerator when there is one",
        )
    _add_volume(other)
    return Cli(parser, main, advanced)


def add_command(
    commands: Any, name: str, description: str, example: str
) -> argparse.ArgumentParser:
    """A command of an executable that has several (``llmbin-models list``).

    Parameters
    ----------
    commands
        What `add_subparsers` of the parser gave.
    name, description, example : str
        The first line of the description is also shown in the list of commands.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=description.split("\n")[0].rstrip("."), **_form(description, example)
    )
    # Given before or after the command: without a default, one does not undo the other.
    _add_volume(parser.add_argument_group("other options"), default=argparse.SUPPRESS)
    return parser


def _form(description: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "epilog": f"example:\n  {example}",
        "formatter_class": _Formatter,
        "allow_abbrev": False,
    }


def _add_volume(group: argparse._ArgumentGroup, default: object = False) -> None:
    volume = group.add_mutually_exclusive_group()
    volume.add_argument(
        "--quiet",
        action="store_true",
        default=default,
        help="only warnings and errors on standard error",
    )
    volume.add_argument(
        "--verbose", action="store_true", default=default, help="more detail on standard error"
    )
    group.add_argument(
        "--debug", action="store_true", default=default, help="show the traceback of an error"
    )


def run_tool(
    parser: argparse.ArgumentParser,
    body: Callable[[argparse.Namespace], None],
    argv: Sequence[str] | None,
) -> int:
    """Parse, set up threads, logging and progress, do the work, turn errors into an exit code."""
    args = parser.parse_args(argv)
    os.environ.update({variable: str(args.threads) for variable in _THREAD_VARIABLES})
    for name, value in _THREAD_SETTINGS.items():
        os.environ.setdefault(name, value)
    _set_up_logging(parser.prog, args)
    code = _outcome(parser.prog, body, args)
    _reader_left()
    return code


def _outcome(
    program: str, body: Callable[[argparse.Namespace], None], args: argparse.Namespace
) -> int:
    """Exit code of the work; what went wrong is said."""
    try:
        _end_cleanly_on_sigterm()
        body(args)
    except LlmbinError as error:
        return _fail(program, error, str(error), error.exit_code, args.debug)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_left():
            return 0
        if error.errno not in _PATH_FAULTS or not error.filename:
            text = f"this is a defect of the program: {type(error).__name__}: {error}"
            return _fail(program, error, text, 1, debug=True)
        text = f"{error.filename}: {error.strerror}; check the path and its permissions"
        return _fail(program, error, text, InputError.exit_code, args.debug)
    except MemoryError as error:
        text = "out of memory; use a machine with more, or fewer threads and views"
        return _fail(program, error, text, EnvironmentFault.exit_code, args.debug)
    except KeyboardInterrupt:
        log.error("interrupted")
        return 130
    except _Terminated:
        log.error("terminated")
        return 143
    except Exception as error:
        text = f"this is a defect of the program: {type(error).__name__}: {error}"
        return _fail(program, error, text, 1, debug=True)
    return 0


def _reader_left() -> bool:
    """Write out what print holds back; whether nobody reads it any more (``| head``)."""
    try:
        sys.stdout.flush()
        # A long text that was refused is not held back: then the pipe itself tells.
        pipe = select.poll()
        pipe.register(sys.stdout.fileno(), 0)
        left = any(events & select.POLLERR for _, events in pipe.poll(0))
    except BrokenPipeError:
        left = True
    except UnsupportedOperation:  # no file behind it
        left = False
    if left:
        # The interpreter writes out once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return left


class _Terminated(BaseException):
    """SIGTERM arrived: temporary files are removed on the way out, as with Ctrl-C."""


def _end_cleanly_on_sigterm() -> None:
    process = os.getpid()

    def end(signum: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            raise _Terminated
        # A worker that was forked from this process just ends.
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


def _fail(program: str, error: BaseException, text: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    print(f"{program}: error: {text}", file=sys.stderr)
    return code


def _set_up_logging(program: str, args: argparse.Namespace) -> None:
    level = logging.WARNING if args.quiet else logging.DEBUG if args.verbose else logging.INFO
    handler = _BesideBars(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s {program}: %(message)s", "%H:%M:%S"))
    log.handlers[:] = [handler]
    log.setLevel(level)
    log.propagate = False
    progress.use_reporter(None if args.quiet else _report)


def _report(label: str, total: int, unit: str) -> progress.Task:
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(
            total=total, desc=label, unit=unit, unit_scale=True, leave=False, dynamic_ncols=True
        )
        return _Bar(bar.update, bar.close)
    return _LogLines(label, total, unit)


class _BesideBars(logging.StreamHandler):  # type: ignore[type-arg]  # generic from 3.11 on
    """Lines of the log above the progress bar, where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        if "tqdm" not in sys.modules:
            super().emit(record)
            return
        from tqdm import tqdm

        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)


class _Bar:
    def __init__(self, update: Callable[[int], object], close: Callable[[], None]) -> None:
        self._update, self._close = update, close

    def advance(self, amount: int = 1) -> None:
        self._update(amount)

    def close(self) -> None:
        self._close()


class _LogLines:
    """One line a minute where standard error is a file."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.begin = self.last = time.monotonic()

    def advance(self, amount: int = 1) -> None:
        self.done += amount
        now = time.monotonic()
        if now - self.last < _LOG_EVERY_SECONDS:
            return
        self.last = now
        rate = self.done / (now - self.begin)
        left = (self.total - self.done) / rate if rate else 0
        log.info(
            "%s: %d of %d %s, %.3g %s/s, %s left",
            self.label,
            self.done,
            self.total,
            self.unit,
            rate,
            self.unit,
            duration(left),
        )

    def close(self) -> None:
        pass
