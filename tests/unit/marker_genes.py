"""Genomes made of marker genes, for the tests of markers.

Proteins written by a profile, translated back with the commonest codons of *Escherichia coli*,
between random spacers. So the right answer is known.
"""

from __future__ import annotations

import random

from llmbin_core.markers.profiles import Profiles, bundled_profiles, consensus_proteins

CODONS = {
    "A": "GCG", "C": "TGC", "D": "GAT", "E": "GAA", "F": "TTT", "G": "GGC", "H": "CAT", "I": "ATT",
    "K": "AAA", "L": "CTG", "M": "ATG", "N": "AAC", "P": "CCG", "Q": "CAG", "R": "CGT", "S": "AGC",
    "T": "ACC", "V": "GTG", "W": "TGG", "Y": "TAT",
}  # fmt: skip
COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")
SPACER = 150


def reverse_complement(sequence: bytes) -> bytes:
    return sequence.translate(COMPLEMENT)[::-1]


def gene_of(protein: str) -> bytes:
    """The protein as an open reading frame with start and stop codon."""
    body = protein if protein.startswith("M") else "M" + protein
    return ("".join(CODONS[residue] for residue in body) + "TAA").encode()


def spacer(seed: int, length: int = SPACER) -> bytes:
    """Random bases without an open frame that could be taken for a gene."""
    rng = random.Random(seed)
    bases = "".join(rng.choice("ACGT") for _ in range(length - 22))
    return b"TTAGTTAGTTAG" + bases.encode()[: length - 36] + b"CTAACTAACTAA" + b"AGGAGGTATATA"


def genome_of(proteins: list[str]) -> tuple[bytes, list[tuple[int, int]]]:
    """A contig of genes on the forward strand, and begin and end of each (counted from 1)."""
    sequence, places = b"", []
    for number, protein in enumerate(proteins):
        sequence += spacer(number)
        gene = gene_of(protein)
        places.append((len(sequence) + 1, len(sequence) + len(gene)))
        sequence += gene
    return sequence + spacer(len(proteins)), places


def ten_profiles() -> Profiles:
    """Ten bundled profiles of proteins long enough to be cut in two."""
    models = tuple(model for model in bundled_profiles().models if 150 < model.M < 400)[:10]
    return Profiles(models, {"all": tuple((model.name,) for model in models)}, True)


def contig_of(profiles: Profiles) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """A contig with one gene for each of the profiles, and where each lies."""
    proteins = consensus_proteins(profiles)
    sequence, places = genome_of(list(proteins.values()))
    return sequence, dict(zip(proteins, places, strict=True))
