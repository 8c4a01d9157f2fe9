"""Marker profiles (HMMs) and the sets of markers that tell how complete a genome is.

The profiles that come with LLMBin were made from public genomes by `llmbin_core.markers.build`;
any other HMMER 3 file can take their place.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pyhmmer.easel import Alphabet
from pyhmmer.plan7 import HMM, Background, HMMFile

from llmbin_core.errors import InputError
from llmbin_core.files import open_decompressed
from llmbin_core.markertable import MarkerSets

DATA = Path(__file__).parent / "data"
HMM_FILE = "markers.hmm.gz"
SETS_FILE = "markers.json"

Model: TypeAlias = "HMM[Alphabet]"


@dataclass(frozen=True)
class Profiles:
    """Profiles and marker sets that belong together.

    Attributes
    ----------
    models : tuple of HMM
        Protein profiles, each with a name of its own.
    sets : mapping of str to tuple of tuple of str
        For each domain (``bacteria``, ``archaea``, ``reduced``; ``all`` for profiles given without
        sets) the collocated sets of marker names. Within one domain a marker is in one set.
    exclusive : bool
        Families do not overlap, so a gene belongs to the one profile that fits it best. False for
        a user's profiles: collections such as Pfam and TIGRFAM cover a gene more than once.
    """

    models: tuple[Model, ...]
    sets: MarkerSets
    exclusive: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the profiles, in file order."""
        return tuple(model.name for model in self.models)

    @property
    def lengths(self) -> Mapping[str, int]:
        """Number of match columns of each profile."""
        return {model.name: model.M for model in self.models}


@lru_cache(maxsize=1)
def bundled_profiles() -> Profiles:
    """The profiles that come with LLMBin."""
    described = json.loads((DATA / SETS_FILE).read_text(encoding="utf-8"))
    sets = {
        domain: tuple(tuple(names) for names in groups)
        for domain, groups in described["sets"].items()
    }
    return Profiles(_read_models(DATA / HMM_FILE), MappingProxyType(sets), True)


def load_profiles(path: Path, marker_sets: Path | None = None) -> Profiles:
    """Profiles of a user's HMM file.

    Parameters
    ----------
    path : Path
        HMMER 3 protein profiles, plain or compressed.
    marker_sets : Path, optional
        CheckM marker-set file (``.ms``) whose markers are names or accessions of the profiles.
        Without it each profile is a set of its own. A domain without a marker among the profiles
        is left out.

    Raises
    ------
    InputError
        A file is missing or malformed, or the two have no marker in common.
    """
    models = _read_models(path)
    if marker_sets is None:
        return Profiles(models, MappingProxyType({"all": tuple((m.name,) for m in models)}), False)
    known = {model.accession: model.name for model in models if model.accession}
    known |= {model.name: model.name for model in models}
    sets = {}
    for domain, groups in read_checkm_sets(marker_sets).items():
        found = (tuple(known[name] for name in group if name in known) for group in groups)
        # Nothing can be said of the completeness of genomes without a marker.
        if kept := tuple(group for group in found if group):
            sets[domain] = kept
    if not sets:
        raise InputError(
            f"{marker_sets}: none of its markers is a name or accession in {path}; "
            "give the marker sets made for these profiles"
        )
    return Profiles(models, MappingProxyType(sets), False)


def read_checkm_sets(path: Path) -> MarkerSets:
    """Parse a CheckM marker-set file.

    After a header line, a line holds tab-separated: a bin or taxon name, the number of marker
    sets, then for each of them an identifier, a lineage, a number of genomes and the collocated
    sets written as a Python list of sets of names.

    Returns
    -------
    sets : mapping of str to tuple of tuple of str
        Keyed ``bacteria`` or ``archaea`` when the lineage names that domain, else by the lineage.
        The first marker set of a lineage counts.
    """
    with open_decompressed(path) as handle:
        lines = handle.read().decode("utf-8", "replace").splitlines()
    sets: dict[str, tuple[tuple[str, ...], ...]] = {}
    for number, line in enumerate(lines, 1):
        if line.startswith("#") or not line.strip():
            continue
        fields = line.rstrip("\n").split("\t")
        for start in range(2, len(fields) - 3, 4):
            groups = re.findall(r"\{[^}]*\}|\bset\(\[[^\]]*\]\)", fields[start + 3])
            parsed = tuple(tuple(sorted(re.findall(r"'([^']+)'", group))) for group in groups)
            sets.setdefault(_domain_of(fields[start + 1]), tuple(filter(None, parsed)))
        if len(fields) < 6 or not all(sets.values()):
            raise InputError(
                f"{path}: line {number} is not a CheckM marker set (name, number of sets, then "
                "identifier, lineage, genomes and a list of sets); write it again with CheckM"
            )
    if not sets:
        raise InputError(f"{path}: holds no marker set; give a CheckM .ms file")
    return sets


def cutoff_of(model: Model) -> float | None:
    """Score cutoff for a whole gene, in bits: gathering, else trusted; None when it has neither."""
    gathering, trusted = model.cutoffs.gathering1, model.cutoffs.trusted1
    return trusted if gathering is None else gathering


def information(model: Model) -> NDArray[np.float64]:
    """Share of the profile's information held by its first columns.

    Returns
    -------
    share : array of float64, shape (length + 1,)
        ``share[k]`` is the relative entropy of match columns 1..k against the background amino
        acid frequencies, as a share of that of all columns; from 0 to 1.
    """
    background = np.asarray(Background(model.alphabet).residue_frequencies, dtype=np.float64)
    match = match_emissions(model)
    bits = (match * np.log2(np.maximum(match, 1e-12) / background)).sum(axis=1)
    total = np.concatenate([[0.0], np.cumsum(np.maximum(bits, 0.0))])
    return np.asarray(total / total[-1])


def match_emissions(model: Model) -> NDArray[np.float64]:
    """Probability of each amino acid at each match column, shape (length, 20)."""
    # The first row of the matrix belongs to no column.
    matrix = model.match_emissions  # type: ignore[attr-defined]  # missing from pyhmmer's stubs
    return np.asarray(matrix, dtype=np.float64)[1:]


def consensus_proteins(profiles: Profiles) -> dict[str, str]:
    """Consensus protein of each profile, upper case, unknown residues as the commonest one."""
    symbols = Alphabet.amino().symbols[:20]
    proteins = {}
    for model in profiles.models:
        commonest = match_emissions(model).argmax(axis=1)
        proteins[model.name] = "".join(symbols[index] for index in commonest)
    return proteins


def _domain_of(lineage: str) -> str:
    found = re.search(r"bacteria\b|archaea\b", lineage, re.IGNORECASE)
    return found.group().lower() if found else lineage


def _read_models(path: Path) -> tuple[Model, ...]:
    amino = Alphabet.amino()
    remedy = "give protein profiles as written by HMMER 3 (hmmbuild)"
    with open_decompressed(path) as handle:
        text = handle.read()
    if not text.strip():
        raise InputError(f"{path}: holds no profile; {remedy}")
    try:
        with HMMFile(BytesIO(text)) as reader:
            models = tuple(reader)
    except (ValueError, RuntimeError, EOFError) as error:
        raise InputError(f"{path}: is not a valid HMM file ({error}); {remedy}") from None
    # The parser takes a model whose head is cut short for the end of the file.
    if not text.rstrip().endswith(b"\n//"):
        raise InputError(f"{path}: ends within a profile; fetch or copy the file again")
    wrong = next((model.name for model in models if model.alphabet != amino), None)
    if wrong is not None:
        raise InputError(f"{path}: profile {wrong} is not of proteins; {remedy}")
    twice = next((name for name, n in Counter(m.name for m in models).items() if n > 1), None)
    if twice is not None:
        raise InputError(f"{path}: profile {twice} occurs twice; keep one of each name")
    return models
