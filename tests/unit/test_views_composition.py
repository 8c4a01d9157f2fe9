"""Views and the composition of views."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llmbin_core.composition import canonical_index, composition, spectrum
from llmbin_core.contigs import ContigSet, ContigTable
from llmbin_core.views import MIN_FRAGMENT, views

LENGTHS = st.lists(st.integers(1, 60_000), min_size=1, max_size=30)
COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}


@given(LENGTHS, st.integers(0, 2**63 - 1), st.integers(1, 8))
def test_views_lie_within_the_contig_and_are_long_enough(
    lengths: list[int], seed: int, n_views: int
) -> None:
    size = np.array(lengths)
    starts, ends = views(size, seed, n_views)
    assert starts.shape == ends.shape == (len(lengths), n_views)
    assert (starts[:, 0] == 0).all()
    assert (ends[:, 0] == size).all()
    assert (starts >= 0).all()
    assert (ends <= size[:, None]).all()
    assert (ends - starts >= np.minimum(size, MIN_FRAGMENT)[:, None]).all()


@given(LENGTHS, st.integers(0, 1000))
def test_a_view_depends_on_nothing_but_length_seed_and_place(lengths: list[int], seed: int) -> None:
    starts, ends = views(np.array(lengths), seed, 6)
    head, _ = views(np.array(lengths[:-1]), seed, 6)
    fewer, fewer_ends = views(np.array(lengths), seed, 3)
    assert (starts[:-1] == head).all()
    assert (starts[:, :3] == fewer).all()
    assert (ends[:, :3] == fewer_ends).all()


@given(LENGTHS, st.integers(0, 1000))
def test_views_of_long_reads_are_longer_and_of_short_contigs_the_same(
    lengths: list[int], seed: int
) -> None:
    size = np.array([*lengths, 4000, 400_000])
    starts, ends = views(size, seed, 5, "long")
    # A quarter of the contig, but at least 1 kb (or the contig) and at most 25 kb.
    least = [min(x, min(max(1000, x // 4), 25_000)) for x in size.tolist()]
    assert ((ends - starts) >= np.array(least)[:, None]).all()
    assert (starts >= 0).all()
    assert (ends <= size[:, None]).all()
    usual = views(size, seed, 5)
    same = size <= 4003
    assert (starts[same] == usual[0][same]).all()
    assert (ends[same] == usual[1][same]).all()
    assert (views(size, seed, 5, "hybrid")[0] == starts).all()


def test_view_starts_and_lengths_are_uniform() -> None:
    # 20,000 contigs of 11 kb: starts uniform on [0, 10000), so their mean is 5000 with a standard
    # error of 10000 / sqrt(12 * 20000) = 20; given the start, lengths are uniform on
    # [1000, L - start], so their mean is 1000 + (10000 - 5000) / 2 = 3500.
    starts, ends = views(np.full(20_000, 11_000), 7, 2)
    assert abs(starts[:, 1].mean() - 5000) < 100
    assert abs((ends - starts)[:, 1].mean() - 3500) < 100
    other, _ = views(np.full(20_000, 11_000), 8, 2)
    assert (other[:, 1] != starts[:, 1]).mean() > 0.99


def oracle(text: str, k: int) -> dict[str, int]:
    """Canonical k-mer counts by plain string handling."""
    counts: dict[str, int] = {}
    for i in range(len(text) - k + 1):
        word = text[i : i + k]
        if "N" not in word:
            reverse = "".join(COMPLEMENT[c] for c in reversed(word))
            counts[min(word, reverse)] = counts.get(min(word, reverse), 0) + 1
    return counts


@given(st.text("ACGTN", min_size=1, max_size=80), st.integers(2, 6), st.data())
def test_spectrum_equals_string_counting(text: str, k: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    codes = np.array(["ACGTN".index(c) for c in text], dtype=np.uint8)
    counts = spectrum(codes, np.array([0, start]), np.array([len(text), end]), k)
    index = canonical_index(k)
    for row, part in enumerate((text, text[start:end])):
        expected = np.zeros(counts.shape[1], dtype=int)
        for word, count in oracle(part, k).items():
            expected[index[int("".join(str("ACGT".index(c)) for c in word), 4)]] = count
        assert counts[row].tolist() == expected.tolist()


def test_number_of_canonical_kmers() -> None:
    for k, number in ((2, 10), (3, 32), (4, 136), (5, 512), (6, 2080)):
        words = {
            min("".join(w), "".join(COMPLEMENT[c] for c in reversed(w)))
            for w in product("ACGT", repeat=k)
        }
        assert len(words) == number == canonical_index(k).max() + 1


def test_composition_has_pseudo_counts_and_ignores_strand() -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 4, 3000).astype(np.uint8)
    both = np.concatenate((codes, 3 - codes[::-1]))
    table = ContigTable(("plus", "minus"), np.array([3000, 3000]))
    contigs = ContigSet(table, both, np.array([0, 3000, 6000]))
    out = composition(contigs, np.zeros((2, 1), np.int64), np.full((2, 1), 3000))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_array_equal(out[0], out[1])
    counts = spectrum(codes, np.array([0]), np.array([3000]))[0]
    np.testing.assert_allclose(out[0, 0], (counts + 1) / (2997 + 136), rtol=1e-6)
