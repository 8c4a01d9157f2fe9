"""Opening BAM and CRAM files, and whether their header fits the contigs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pysam
from numpy.typing import NDArray

from llmbin_core.contigs import ContigTable
from llmbin_core.defaults import SEPARATOR
from llmbin_core.errors import InputError
from llmbin_core.files import open_input

_SHOWN = 3

# SAM specification 4.1.2 (empty BGZF block), CRAM specification 9 (reference position of the
# end-of-file container, in its last 30 to 38 bytes).
_HEAD_BYTES = 18
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_CRAM_END, _CRAM_END_BYTES = b"\x0f\xe0EOF", 38
_SAM_HEADS = (b"@HD\t", b"@SQ\t", b"@RG\t", b"@PG\t")

# What of a CRAM record is decoded: flag, reference, position, mapping quality, CIGAR; without the
# bases no reference is needed and reading is twice as fast. The number of mismatches (NM) is not
# stored in CRAM but made from bases and reference.
_CRAM_PLACE = 0x2 | 0x4 | 0x8 | 0x10 | 0x20
_CRAM_IDENTITY = _CRAM_PLACE | 0x200 | 0x800


@contextmanager
def open_alignments(
    path: Path, *, identity: bool, reference: Path | None = None, threads: int = 1
) -> Iterator[pysam.AlignmentFile]:
    """Open a BAM or CRAM file; htslib, which would write to standard error, is kept silent.

    Parameters
    ----------
    path : Path
    identity : bool
        Whether the NM tag will be asked for; CRAM then needs `reference`.
    reference : Path, optional
        FASTA with its index beside it.
    threads : int
        That decompress.

    Raises
    ------
    InputError
        Missing, neither BAM nor CRAM, no end-of-file block, no reference that is needed.
    """
    is_cram = _is_cram(path)
    verbosity = pysam.set_verbosity(0)
    try:
        handle = _opened(path, is_cram, identity, reference, threads)
        try:
            if is_cram and identity:
                _check_reference(path, handle, reference)
            yield handle
        finally:
            # After a failed read closing fails as well, and would hide the first error.
            with suppress(OSError):
                handle.close()
    finally:
        pysam.set_verbosity(verbosity)


def _is_cram(path: Path) -> bool:
    """Tell CRAM from BAM; refuse anything else, and files whose last block is missing."""
    with open_input(path) as raw:
        head = raw.read(_HEAD_BYTES)
        raw.seek(-min(_CRAM_END_BYTES, raw.seek(0, 2)), 2)
        tail = raw.read()
    is_cram = head.startswith(b"CRAM")
    if not is_cram and not (head.startswith(b"\x1f\x8b") and head[12:14] == b"BC"):
        text = (
            "alignments as text (SAM)" if head.startswith(_SAM_HEADS) else "not a BAM or CRAM file"
        )
        raise InputError(
            f"{path}: {text}; give the reads mapped to the contigs as BAM or CRAM "
            "('samtools sort' makes BAM of SAM)"
        )
    if not (_CRAM_END in tail if is_cram else tail.endswith(_BGZF_END)):
        raise InputError(
            f"{path}: cut short: the end-of-file block is missing; copy or make the file again"
        )
    return is_cram


def _opened(
    path: Path, is_cram: bool, identity: bool, reference: Path | None, threads: int
) -> pysam.AlignmentFile:
    fields = _CRAM_IDENTITY if identity else _CRAM_PLACE
    try:
        handle = pysam.AlignmentFile(
            str(path),
            "rc" if is_cram else "rb",
            reference_filename=str(reference) if is_cram and reference else None,
            check_sq=False,
            threads=threads,
            format_options=[f"required_fields={fields}"] if is_cram else None,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: its header is damaged, or it is not a BAM or CRAM file ({error}); copy or "
            "make the file again"
        ) from None
    if handle.is_bam or handle.is_cram:
        return handle
    handle.close()
    raise InputError(f"{path}: not a BAM or CRAM file, but {handle.description}; give BAM or CRAM")


def _check_reference(path: Path, handle: pysam.AlignmentFile, reference: Path | None) -> None:
    """Every sequence of a CRAM header must be in the reference: htslib would ask the network."""
    if reference is None:
        raise InputError(
            f"{path}: the identity of CRAM alignments can only be told with the FASTA they "
            "were written against; give it with --reference"
        )
    with pysam.FastaFile(str(reference)) as fasta:
        lengths = dict(zip(fasta.references, fasta.lengths, strict=True))
    wrong = [
        name
        for name, length in zip(handle.references, handle.lengths, strict=True)
        if lengths.get(name) != length
    ]
    if wrong:
        raise InputError(
            f"{path}: the reference lacks {_list(wrong)} of its header, or holds another length; "
            "give the FASTA that it was written against"
        )


def _list(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    return shown + (f" ... ({len(names)} in all)" if len(names) > _SHOWN else "")


def reference_rows(
    path: Path, handle: pysam.AlignmentFile, contigs: ContigTable
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match the header of a file with the contigs.

    Returns
    -------
    lengths, rows : int64 [R]
        Of each reference sequence of the file: length (0 if it is no contig), row in the contig
        set (-1 if it is no contig).

    Raises
    ------
    InputError
        The header lacks contigs or gives them another length.
    """
    names, sizes = handle.references, handle.lengths
    at = {name: number for number, name in enumerate(names)}
    missing = [name for name in contigs.names if name not in at]
    if missing:
        raise InputError(f"{path}: {_missing_text(missing, contigs, names)}")
    here = np.array([at[name] for name in contigs.names], dtype=np.int64)
    wrong = np.flatnonzero(np.array(sizes, dtype=np.int64)[here] != contigs.lengths)
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"{path}: its header gives other lengths than the FASTA to "
            f"{_list([contigs.names[r] for r in wrong.tolist()])}: {sizes[here[row]]} bp, not "
            f"{contigs.lengths[row]} bp for the first; give the FASTA the reads were mapped to"
        )
    lengths = np.zeros(len(names), dtype=np.int64)
    rows = np.full(len(names), -1, dtype=np.int64)
    lengths[here], rows[here] = contigs.lengths, np.arange(len(contigs))
    return lengths, rows


def _missing_text(missing: list[str], contigs: ContigTable, names: tuple[str, ...]) -> str:
    if not names:
        return "its header names no reference sequence; map the reads to the contigs"
    if len(missing) < len(contigs):
        return (
            f"its header lacks {len(missing)} of {len(contigs)} contigs: {_list(missing)}; map the "
            "reads to the FASTA given here, or give the FASTA they were mapped to"
        )
    text = (
        f"none of the {len(contigs)} contigs is in its header (contigs: '{contigs.names[0]}' ..., "
        f"header: '{names[0]}' ...); "
    )
    if {name.split(SEPARATOR, 1)[-1] for name in contigs.names} & set(names):
        return text + (
            "its names lack the sample: map the reads of every sample to the FASTA that "
            "llmbin-prepare wrote"
        )
    return text + "was it mapped to another assembly? Give the FASTA the reads were mapped to"
