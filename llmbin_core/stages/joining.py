"""Joining what was clustered and binned sample by sample into what one run over all gives."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbin_core import outputs
from llmbin_core.errors import InputError
from llmbin_core.wording import counted

if TYPE_CHECKING:
    from llmbin_core.bintable import BinTable
    from llmbin_core.stagefile import StageFile

log = logging.getLogger("llmbin")


def merge_partitions(parts: Sequence[Path], latent: Path, out: Path) -> StageFile:
    """Join the partitions of samples into the file that clustering all of them at once writes.

    Parameters
    ----------
    parts : sequence of Path
        Outputs of `cluster` for each sample of the same latent file, in any order.
    latent : Path
        That file.
    out : Path
    """
    from llmbin_core.bysample import join_labels, place_samples
    from llmbin_core.files import fingerprint
    from llmbin_core.stagefile import read_stage, write_stage

    whole, digest = read_stage(latent, "latent"), fingerprint(latent)
    files = [read_stage(path, "partitions") for path in parts]
    inputs = files[0].provenance.inputs
    for file in files:
        if digest not in file.provenance.inputs.values() or file.provenance.inputs != inputs:
            raise InputError(
                f"{file.path} was not made from {latent} and the markers of the others; cluster "
                "all samples of one file of latents"
            )
    placed = place_samples(files, whole.contigs, latent)
    settings: list[dict[str, Any]] = []
    for _, file in placed.values():
        settings = max(settings, file.provenance.options["partitions"], key=len)
    labels = join_labels(
        [(rows, file.tensors["labels"]) for rows, file in placed.values()], len(whole.contigs)
    )
    first = files[0].provenance
    options = {**first.options, "partitions": settings, "sample": None}
    return write_stage(out, whole.contigs, {"labels": labels}, replace(first, options=options))


def merge_bins(
    folders: Sequence[Path], contigs: Path, out: Path, *, compress: bool = False
) -> BinTable:
    """Join the folders of samples into the one that binning all of them at once writes.

    Every contig must be in one of the folders, once and with the bases that it has.

    Parameters
    ----------
    folders : sequence of Path
        What `make_bins` wrote for each sample, in any order.
    contigs : Path
        The contigs of all samples.
    out : Path
        Folder.
    compress : bool
        Gzip the unbinned contigs; the bins of the folders have to be compressed, or not, as well.
    """
    from llmbin_core.bins.joining import join_folders
    from llmbin_core.bintable import read_bins

    join_folders(folders, contigs, out, compress)
    table = read_bins(out / outputs.BINS_TABLE)
    log.info("%s of %s", counted(len(table.bins), "bin"), counted(len(folders), "sample"))
    return table
