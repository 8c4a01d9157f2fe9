"""Hexamer spectra and reading frames of the compact gLM, against counting by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from glm_helpers import LETTERS, coding_bases, random_bases
from numpy.typing import NDArray

from llmbin_core.glm import alphabet, frames
from llmbin_core.glm.compact import N_CANONICAL, CompactConfig, CompactNet
from llmbin_core.glm.spectra import SpectrumEmbedder

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def text(codes: NDArray[np.uint8]) -> str:
    return LETTERS[codes].tobytes().decode()


def canonical(word: str) -> str:
    return min(word, word.translate(COMPLEMENT)[::-1])


def net(tables: NDArray[np.int16] | None = None) -> CompactNet:
    torch.manual_seed(0)
    model = CompactNet(CompactConfig(hidden=8, dim=4))
    if tables is None:
        tables = np.random.default_rng(1).integers(-500, 500, (16, 4096)).astype(np.int16)
    model.tables.copy_(torch.from_numpy(tables))
    return model.eval()


def test_encode_decode() -> None:
    assert alphabet.encode(b"ACGTacgtNRX-").tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 4, 4, 4]
    assert alphabet.decode(np.array([0, 1, 2, 3, 4], dtype=np.uint8)) == b"ACGTN"


@pytest.mark.parametrize(("k", "size"), [(4, 136), (5, 512), (6, 2080)])
def test_canonical_sizes(k: int, size: int) -> None:
    # (4^k + palindromes) / 2, palindromes = 4^(k/2) for even k and none for odd k.
    assert alphabet.canonical_size(k) == size


def test_spectrum_counts_by_hand() -> None:
    codes = random_bases(700, 3)
    codes[[100, 101, 400]] = 4
    words = Counter(canonical(w) for i in range(697) if "N" not in (w := text(codes)[i : i + 4]))
    order = sorted(
        {canonical(text(np.array([n >> 6, n >> 4 & 3, n >> 2 & 3, n & 3]))) for n in range(256)}
    )
    expected = np.array([words[w] for w in order]) / words.total()
    embedder = SpectrumEmbedder((4,), "tnf")
    pooled = embedder.block_sums([codes])[0].sum(0, keepdims=True)
    np.testing.assert_allclose(embedder.head(pooled)[0], expected, rtol=1e-6)


def naive_frames(
    codes: NDArray[np.uint8], tables: NDArray[np.int16], reach: int
) -> set[tuple[int, int]]:
    """(position, strand) of the in-frame hexamers, straight from the definition."""
    words = text(codes)
    n = len(words) - 5

    def score(i: int, strand: int, row: int) -> int:
        word = words[i : i + 6]
        if "N" in word:
            return 0
        word = word.translate(COMPLEMENT)[::-1] if strand else word
        return int(tables[row, sum("ACGT".index(c) * 4 ** (5 - j) for j, c in enumerate(word))])

    rows = []
    for i in range(n):
        window = words[max(i - 3 * reach, 0) : i + 6 + 3 * reach]
        known = max(len(window) - window.count("N"), 1)
        gc = (window.count("G") + window.count("C")) / known
        rows.append(int(np.clip(np.rint((gc - 0.20) / 0.56 * 15), 0, 15)))
    value = [[score(i, s, rows[i]) for s in (0, 1)] for i in range(n)]
    total = [
        [
            sum(value[j][s] for j in range(i - 3 * reach, i + 3 * reach + 1, 3) if 0 <= j < n)
            for s in (0, 1)
        ]
        for i in range(n)
    ]
    found = set()
    for i in range(n):
        for s in (0, 1):
            near = [total[j][t] for j in (i - 1, i, i + 1) if 0 <= j < n for t in (0, 1)]
            near.remove(total[i][s])
            if "N" not in words[i : i + 6] and total[i][s] > max([0, *near]):
                found.add((i, s))
    return found


def test_in_frame_by_definition() -> None:
    codes = random_bases(300, 5)
    codes[120:124] = 4
    tables = np.random.default_rng(2).integers(-300, 300, (16, 4096)).astype(np.int16)
    found = frames.in_frame(codes, tables, 7)
    mine = {(int(i), 0) for i in np.flatnonzero(found.forward)}
    mine |= {(int(i), 1) for i in np.flatnonzero(found.reverse)}
    assert mine == naive_frames(codes, tables, 7)


def test_reverse_complement_gives_the_same_spectra() -> None:
    model = net()
    sequences = [random_bases(n, n) for n in (6, 95, 1000, 1003)]
    sequences[2][500:510] = 4
    other = [alphabet.reverse_complement(s) for s in sequences]
    assert torch.equal(model.prepare(sequences), model.prepare(other))


def test_spectra_do_not_depend_on_neighbours() -> None:
    model = net()
    sequences = [random_bases(n, n) for n in (3, 96, 250, 999)]
    together = model.prepare(sequences)
    alone = torch.cat([model.prepare([s]) for s in sequences])
    assert torch.equal(together, alone)


def test_blocks_add_up_and_count_every_hexamer() -> None:
    model = net()
    codes = random_bases(1000, 8)
    cuts = np.array([0, 3, 4, 11])
    spans = model.span_counts([codes], [cuts])[0]
    np.testing.assert_array_equal(spans.sum(0), model.prepare([codes])[0].numpy())
    assert spans[:, :N_CANONICAL].sum() == 995


def test_frames_are_learned_from_raw_genomes() -> None:
    def genome(seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        genes = [coding_bases(350, seed * 100 + i) for i in range(40)]
        genes = [g if rng.random() < 0.5 else alphabet.reverse_complement(g) for g in genes]
        return np.concatenate(
            [np.concatenate((g, random_bases(50, i))) for i, g in enumerate(genes)]
        )

    tables = frames.learn_tables([genome(i) for i in range(4)], rounds=1)
    gene = coding_bases(200, 999)
    codes = np.concatenate((random_bases(40, 1), gene, random_bases(39, 2)))
    found = frames.in_frame(codes, tables, 40)
    inside = np.arange(40, 40 + len(gene) - 12, 3)
    assert found.forward[inside].mean() > 0.95
    assert found.reverse[inside].mean() < 0.02
    assert tables.dtype == np.int16
    assert np.abs(tables).max() <= 1024


def test_no_genome_to_learn_from() -> None:
    assert not frames.learn_tables([]).any()
