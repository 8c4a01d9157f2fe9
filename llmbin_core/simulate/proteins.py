"""The marker proteins of made-up genomes: each genome gets its own version of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from llmbin_core.errors import InputError
from llmbin_core.simulate.composition import RESIDUE_SHARES, RESIDUES, Codes

# Residues that replace each other most often; the others change into anything.
_ALIKE = ("ILVM", "FYW", "KRH", "DENQ", "STAG")
_ALIKE_SHARE = 0.6
# Letters for several residues, and the rare ones, as their most common reading.
_AMBIGUOUS = str.maketrans("XBZJUO", "ADELCK")


def encode_proteins(proteins: Mapping[str, str]) -> dict[str, Codes]:
    """Indices into `RESIDUES` of proteins that begin with M (one is put in front if need be).

    Raises
    ------
    InputError
        A letter that is no amino acid, or a protein without letters.
    """
    encoded = {}
    for name, text in proteins.items():
        letters = text.upper().translate(_AMBIGUOUS).rstrip("*")
        indices = [RESIDUES.find(letter) for letter in letters]
        if not letters or -1 in indices:
            bad = letters[indices.index(-1)] if letters else ""
            raise InputError(
                f"marker protein '{name}': '{bad}' is no amino acid; give proteins in one-letter "
                "code"
            )
        start = [] if letters[0] == "M" else [RESIDUES.index("M")]
        encoded[name] = np.array(start + indices, dtype=np.uint8)
    return encoded


def diverge(rng: np.random.Generator, protein: Codes, rate: float) -> Codes:
    """A protein with a share `rate` of its residues replaced, mostly by similar ones.

    The first residue stays.
    """
    change = rng.random(len(protein)) < rate
    change[0] = False
    places = np.flatnonzero(change)
    ahead = _REPLACEMENTS[protein[places]]
    changed = protein.copy()
    changed[places] = (ahead <= rng.random(len(places))[:, None]).sum(axis=1)
    return changed


def _replacements() -> NDArray[np.float64]:
    """Cumulative probabilities of what a residue (row) changes into."""
    n = len(RESIDUES)
    anything = np.where(np.eye(n, dtype=bool), 0.0, RESIDUE_SHARES)
    alike = np.array([[_is_alike(a, b) for b in RESIDUES] for a in RESIDUES], dtype=np.float64)
    alone = alike.sum(axis=1) == 0
    alike[alone] = anything[alone]
    table = _ALIKE_SHARE * alike / alike.sum(axis=1, keepdims=True)
    table += (1 - _ALIKE_SHARE) * anything / anything.sum(axis=1, keepdims=True)
    cumulative = np.cumsum(table, axis=1)
    return np.asarray(cumulative / cumulative[:, -1:])


def _is_alike(a: str, b: str) -> bool:
    return a != b and any(a in group and b in group for group in _ALIKE)


_REPLACEMENTS = _replacements()
