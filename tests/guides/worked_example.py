"""The commands of a guide and what they print: run, compared, or written anew (``--write``).

In blocks marked ``console`` a line that begins with ``$`` is a command; what follows up to the next
one is its output.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "worked_example.md"
_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
# The last digits of an estimate depend on the processor that trained the encoder.
_TOLERANCE = 0.02


@dataclass(frozen=True)
class Command:
    """A command of a guide and the output that the guide shows."""

    text: str
    output: str


def blocks(guide: str) -> list[list[Command]]:
    """The commands of every block."""
    found = []
    for block in _BLOCK.findall(guide):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
        found.append([Command(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)])
    return found


def run(command: str, folder: Path) -> str:
    """What a command prints; a failure is an error."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{command}\nended with {done.returncode}\n{done.stderr}")
    return done.stdout + done.stderr


def same(shown: str, printed: str) -> bool:
    """Whether two outputs agree, numbers within a tolerance and all else exactly."""
    words = [re.split(r"(\s+)", text) for text in (shown, printed)]
    return len(words[0]) == len(words[1]) and all(map(_same_word, *words))


def _same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        a, b = float(one), float(other)
    except ValueError:
        return False
    return abs(a - b) <= _TOLERANCE * max(abs(a), abs(b), 1.0)


def written_anew(guide: str, folder: Path) -> str:
    """The guide with the outputs that its commands have now."""

    def block(match: re.Match[str]) -> str:
        commands = re.findall(r"^\$ (.*)\n", match[0], re.MULTILINE)
        return "".join(f"$ {command}\n{run(command, folder)}" for command in commands)

    return _BLOCK.sub(block, guide)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: worked_example.py --write")
    with tempfile.TemporaryDirectory() as name:
        GUIDE.write_text(written_anew(GUIDE.read_text(encoding="utf-8"), Path(name)))
