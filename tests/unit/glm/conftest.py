"""Shared by the gLM tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from glm_helpers import fasta, random_bases

from llmbin_core.glm.corpus import Corpus, fasta_files, pack, read_catalog


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Six genomes of different GC content, two of them held out."""
    folder = tmp_path / "genomes"
    folder.mkdir()
    rows = ["id\tsplit\tphylum\tgenus\tspecies"]
    for i in range(6):
        bases = random_bases(12000, i, 0.25 + 0.1 * i)
        fasta(folder / f"g{i}.fna", {f"g{i}.1": bases[:9000], f"g{i}.2": bases[9000:]})
        split = "valid" if i > 3 else "train"
        rows.append(f"g{i}\t{split}\tP{i // 2}\tG{i}\tS{i}")
    catalog = tmp_path / "catalog.tsv"
    catalog.write_text("\n".join(rows) + "\n")
    pack(fasta_files(folder), tmp_path / "corpus", read_catalog(catalog))
    return Corpus(tmp_path / "corpus")
