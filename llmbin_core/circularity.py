"""Which contigs are circles: what assemblers say in names, headers and tables, and equal ends.

Signs in use: names that end in ``c`` after a contig number (hifiasm, hifiasm-meta: ``ptg000012c``,
``s3.ctg000012c``) or in ``_c`` after a depth (metaMDBG before version 1: ``ctg12_20x_c``); words
such as ``circular=yes`` (metaMDBG), ``circular=true`` (Unicycler), ``suggestCircular=yes`` (Canu),
``_circular-yes_`` (myloasm) and ``[topology=circular]`` (NCBI); the column ``circ.`` of Flye's
``assembly_info.txt``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from llmbin_core.errors import InputError
from llmbin_core.files import open_decompressed

_NAME = re.compile(r"(?:^|\.)[a-z]*tg\d{5,}c$|^ctg\d+_\d+x_c$")
_WORDS = re.compile(
    r"(?:^|[\s\[;|_,])(?:(?:suggest)?circular[=:-](?:yes|true|y|1)|topology[=:]circular)"
    r"(?:$|[\s\];|_,])",
    re.IGNORECASE,
)
# The ends of a contig are one place of a circle when at least this many bases agree (bp), but for
# a share of errors; the seed that finds the place must agree exactly.
_LEAST_OVERLAP, _MOST_OVERLAP, _SEED, _ERRORS = 100, 50_000, 31, 0.01

_FLYE_NAME, _FLYE_CIRCULAR = "#seq_name", "circ."


def says_circular(name: str, description: str) -> bool:
    """Whether name or header of a contig call it circular.

    Parameters
    ----------
    name : str
        First word of the header.
    description : str
        The rest of the header.
    """
    return bool(_NAME.search(name) or _WORDS.search(name) or _WORDS.search(description))


def ends_overlap(letters: bytes) -> bool:
    """Whether a contig ends with its own beginning: at least 100 bp, at most half of it."""
    most = min(_MOST_OVERLAP, len(letters) // 2)
    seed = letters[:_SEED]
    # A seed that comes again near the beginning lies in a tandem repeat, which says nothing.
    if most < _LEAST_OVERLAP or letters.find(seed, 1, most) >= 0:
        return False
    place = letters.find(seed, len(letters) - most)
    while 0 <= place <= len(letters) - _LEAST_OVERLAP:
        overlap = len(letters) - place
        first = np.frombuffer(letters, np.uint8, overlap)
        last = np.frombuffer(letters, np.uint8, overlap, place)
        if np.count_nonzero(first != last) <= _ERRORS * overlap:
            return True
        place = letters.find(seed, place + 1)
    return False


def read_circular_names(path: Path) -> set[str]:
    """Names of circular contigs from Flye's ``assembly_info.txt``, or from a list of names.

    Raises
    ------
    InputError
        No such file; a line of a list that holds more than a name.
    """
    with open_decompressed(path) as handle:
        rows = [line.decode(errors="replace").split() for line in handle]
    rows = [row for row in rows if row]
    if rows and rows[0][0] == _FLYE_NAME and _FLYE_CIRCULAR in rows[0]:
        column = rows[0].index(_FLYE_CIRCULAR)
        return {row[0] for row in rows[1:] if len(row) > column and row[column] == "Y"}
    for row in rows:
        if len(row) > 1:
            raise InputError(
                f"{path}: '{' '.join(row)}' is more than a name; give Flye's assembly_info.txt, or "
                "the name of one circular contig per line"
            )
    return {row[0] for row in rows}


def circular_contigs(path: Path) -> frozenset[str]:
    """Names of the contigs of a FASTA file that their headers call circular."""
    with open_decompressed(path) as handle:
        heads = [line.decode(errors="replace")[1:].split(maxsplit=1) for line in handle
                 if line.startswith(b">")]  # fmt: skip
    return frozenset(
        head[0] for head in heads if head and says_circular(head[0], " ".join(head[1:]))
    )
