"""Progress of long loops, reported to whoever listens.

The library only counts; a front end installs a reporter with `use_reporter` and decides what a
person sees. Without one, counting costs nothing and shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Task(Protocol):
    """One running loop."""

    def advance(self, amount: int = 1) -> None:
        """Count `amount` more units as done."""

    def close(self) -> None:
        """The loop ended."""


class _Silent:
    def advance(self, amount: int = 1) -> None:
        pass

    def close(self) -> None:
        pass


Reporter = Callable[[str, int, str], Task]
_reporter: Reporter | None = None


def use_reporter(reporter: Reporter | None) -> None:
    """Install what is called as ``reporter(label, total, unit)`` at the start of every loop."""
    global _reporter
    _reporter = reporter


@contextmanager
def task(label: str, total: int, unit: str) -> Iterator[Task]:
    """Announce a loop of `total` units (contigs, bp, epochs ...)."""
    current = _reporter(label, total, unit) if _reporter else _Silent()
    try:
        yield current
    finally:
        current.close()
