"""What the tests of one session share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import images

ROOT = Path(__file__).resolve().parents[3]
# Of no project: that the label says it comes from the argument of the build.
SOURCE = "https://example.org/sources"


@dataclass(frozen=True)
class Built:
    """An image, the recipe it is from, and a text that its build knew and nobody may find."""

    tag: str
    recipe: images.Recipe
    canary: str
