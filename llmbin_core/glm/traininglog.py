"""The log of a training run: a TSV table and its plot."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from llmbin_core.files import write_text

_FIXED = ("step", "seconds", "loss", "learning_rate")
_COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#6f4e7c", "#00798c", "#8d96a3", "#2e4057")
_WIDTH, _HEIGHT, _MARGIN = 720, 360, 48


@dataclass
class TrainingLog:
    """Rows of figures by step, and the running mean of the loss.

    Attributes
    ----------
    rows : list of dict
        Column -> value.
    loss : float
        Exponentially smoothed training loss (nan before the first step).
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    loss: float = float("nan")
    _began: float = field(default_factory=time.monotonic)

    def smooth(self, loss: float, keep: float) -> None:
        """Take one step's loss into the running mean."""
        self.loss = loss if self.loss != self.loss else keep * self.loss + (1 - keep) * loss

    def add(self, step: int, rate: float, figures: dict[str, float]) -> None:
        """Add a row with the running loss and the time spent so far (without interruptions)."""
        now = time.monotonic()
        seconds = (self.rows[-1]["seconds"] if self.rows else 0.0) + now - self._began
        self._began = now
        self.rows.append(
            {"step": step, "seconds": round(seconds, 1), "loss": self.loss}
            | {"learning_rate": rate}
            | figures
        )

    def write(self, folder: Path) -> None:
        """Write ``log.tsv`` and ``log.svg``."""
        columns = list(self.rows[0]) if self.rows else list(_FIXED)
        lines = ["\t".join(columns)]
        lines += [
            "\t".join(f"{row.get(c, float('nan')):.6g}" for c in columns) for row in self.rows
        ]
        write_text(folder / "log.tsv", "\n".join(lines) + "\n")
        write_text(folder / "log.svg", self.plot())

    @classmethod
    def read(cls, path: Path, step: int) -> TrainingLog:
        """The rows up to a step of a log on disk; an empty log when there is none."""
        found = cls()
        if not path.is_file():
            return found
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        for line in lines:
            row = dict(zip(head.split("\t"), map(float, line.split("\t")), strict=True))
            if row["step"] <= step:
                found.rows.append(row)
        if found.rows:
            found.loss = found.rows[-1]["loss"]
        return found

    def plot(self) -> str:
        """Loss and validation figures against steps as SVG, each scaled to its own range."""
        names = [c for c in (self.rows[0] if self.rows else {}) if c not in ("step", "seconds")]
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
            'font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
        ]
        steps = [row["step"] for row in self.rows]
        for i, name in enumerate(names):
            values = [row.get(name, float("nan")) for row in self.rows]
            colour = _COLOURS[i % len(_COLOURS)]
            points = _points(steps, values)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
            text = f"{name} {min(values):.4g}..{max(values):.4g}"
            parts.append(
                f'<text x="{_MARGIN + 4}" y="{_MARGIN + 13 * i}" fill="{colour}">{text}</text>'
            )
        last = f"{steps[-1]:.0f} steps" if steps else "no step"
        parts.append(
            f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 16}" text-anchor="end">{last}</text>'
        )
        return "\n".join([*parts, "</svg>"]) + "\n"


def _points(steps: list[float], values: list[float]) -> str:
    """Coordinates of a curve within the margins."""
    low, high = min(values), max(values)
    span, end = (high - low) or 1.0, steps[-1] or 1.0
    wide, tall = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    return " ".join(
        f"{_MARGIN + wide * s / end:.1f},{_HEIGHT - _MARGIN - tall * (v - low) / span:.1f}"
        for s, v in zip(steps, values, strict=True)
    )
