"""Pooling of views from one pass over the bases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from glm_helpers import random_bases
from numpy.typing import NDArray

from llmbin_core.errors import EnvironmentFault
from llmbin_core.glm.base import Codes, Embedder, Floats, every_block
from llmbin_core.glm.caduceus import CaduceusConfig, CaduceusModel
from llmbin_core.glm.compact import CompactConfig, CompactEmbedder, CompactNet
from llmbin_core.glm.embed import embed_views, view_blocks
from llmbin_core.glm.hub import load_embedder
from llmbin_core.glm.hyena import HyenaConfig, HyenaModel
from llmbin_core.glm.spectra import SpectrumEmbedder
from llmbin_core.glm.windows import VectorEmbedder, WindowEmbedder

CPU = torch.device("cpu")


def compact() -> Embedder:
    torch.manual_seed(0)
    net = CompactNet(CompactConfig(hidden=16, dim=8))
    tables = np.random.default_rng(1).integers(-500, 500, (16, 4096)).astype(np.int16)
    net.tables.copy_(torch.from_numpy(tables))
    return CompactEmbedder(net, "compact", "sha256:0", CPU)


def hyena() -> Embedder:
    torch.manual_seed(0)
    shape = HyenaConfig(width=8, layers=1, inner=16, max_length=512, filter_width=8)
    return WindowEmbedder(HyenaModel(shape), "hyena", "sha256:1", CPU, window=512)


def caduceus() -> Embedder:
    torch.manual_seed(0)
    shape = CaduceusConfig(width=8, layers=2, state=4)
    return WindowEmbedder(CaduceusModel(shape), "caduceus", "sha256:2", CPU, window=512)


def vectors() -> Embedder:
    def encode(windows: list[Codes]) -> Floats:
        return np.stack([np.bincount(w, minlength=5)[:4] / len(w) for w in windows]).astype(
            np.float32
        )

    return VectorEmbedder(encode, "vectors", "sha256:3", 4, 256)


EMBEDDERS = {
    "compact": compact,
    "tnf": lambda: SpectrumEmbedder((4,), "tnf"),
    "spectrum": lambda: SpectrumEmbedder((4, 5, 6), "spectrum"),
    "hyena": hyena,
    "caduceus": caduceus,
    "vectors": vectors,
}


@pytest.fixture(params=sorted(EMBEDDERS))
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """Every kind of embedder passes the same tests."""
    made: Embedder = EMBEDDERS[request.param]()
    return made


def contigs() -> list[Codes]:
    found = [random_bases(n, n) for n in (1000, 1531, 64, 4000)]
    found[1][200:260] = 4
    return found


def some_views(sequences: list[Codes], n: int = 4) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    lengths = np.array([len(s) for s in sequences])
    starts = (rng.random((len(lengths), n)) * lengths[:, None] / 2).astype(np.int64)
    ends = (
        starts + 1 + (rng.random(starts.shape) * (lengths[:, None] - starts - 1)).astype(np.int64)
    )
    starts[:, 0], ends[:, 0] = 0, lengths
    return starts, ends


def test_protocol(embedder: Embedder) -> None:
    assert isinstance(embedder, Embedder)
    sums = embedder.block_sums(contigs())
    assert [len(s) for s in sums] == [-(-len(c) // embedder.block) for c in contigs()]
    vectors = embedder.head(np.concatenate([s.sum(0, keepdims=True) for s in sums]))
    assert vectors.shape == (4, embedder.dim)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert embedder.digest.startswith("sha256:")


def test_views_are_pooled_block_sums(embedder: Embedder) -> None:
    sequences = contigs()
    starts, ends = some_views(sequences)
    found = embed_views(embedder, sequences, starts, ends)
    blocks = embedder.block_sums(sequences)
    block = embedder.block
    for i in range(len(sequences)):
        for v in range(starts.shape[1]):
            centres = np.arange(len(blocks[i])) * block + block // 2
            inside = (centres >= starts[i, v]) & (centres < ends[i, v])
            if not inside.any():
                inside[(starts[i, v] + ends[i, v] - 1) // 2 // block] = True
            pooled = blocks[i][inside].mean(0, dtype=np.float64, keepdims=True).astype(np.float32)
            np.testing.assert_allclose(found[i, v], embedder.head(pooled)[0], rtol=1e-4, atol=1e-5)


def test_batches_and_cuts_change_nothing(embedder: Embedder) -> None:
    sequences = [random_bases(n, n) for n in (9000, 500, 14000)]
    starts, ends = some_views(sequences)
    whole = embed_views(embedder, sequences, starts, ends)
    pieces = embed_views(embedder, sequences, starts, ends, batch_bp=4096)
    np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-5)


def test_whole_contig_is_the_same_per_view(embedder: Embedder) -> None:
    sequences = contigs()
    starts, ends = some_views(sequences, 1)
    pooled = embed_views(embedder, sequences, starts, ends)
    exact = embed_views(embedder, sequences, starts, ends, per_view=True)
    np.testing.assert_allclose(pooled, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["compact", "tnf"])
def test_pooled_views_are_close_to_exact_ones(name: str) -> None:
    """Of 1000 bp views of 10 kb contigs: what pooling whole blocks instead of bases changes."""
    sequences = [random_bases(10000, i, 0.3 + 0.1 * i) for i in range(4)]
    starts = np.tile(np.array([[17, 3333, 8999]]), (4, 1))
    ends = starts + 1000
    embedder = load_embedder(name)
    pooled = embed_views(embedder, sequences, starts, ends)
    exact = embed_views(embedder, sequences, starts, ends, per_view=True)
    size = np.linalg.norm(pooled, axis=2) * np.linalg.norm(exact, axis=2)
    assert ((pooled * exact).sum(2) / size).min() > 0.9


def test_unknown_bases_give_zero(embedder: Embedder) -> None:
    unknown = np.full(1500, 4, dtype=np.uint8)
    half = np.concatenate((random_bases(800, 1), unknown))
    starts = np.array([[0, 100], [0, 1000]])
    ends = np.array([[1500, 1200], [800, 2000]])
    found = embed_views(embedder, [unknown, half], starts, ends)
    assert not found[0].any()
    assert found[1, 0].any()
    assert not found[1, 1].any()


def test_no_contigs(embedder: Embedder) -> None:
    empty = np.zeros((0, 3), dtype=np.int64)
    assert embed_views(embedder, [], empty, empty).shape == (0, 3, embedder.dim)
    assert embed_views(embedder, [], empty, empty, per_view=True).shape == (0, 3, embedder.dim)


def test_progress_counts_every_base(embedder: Embedder) -> None:
    done: list[int] = []
    sequences = contigs()
    embed_views(embedder, sequences, *some_views(sequences), batch_bp=4096, progress=done.append)
    assert sum(done) == sum(len(s) for s in sequences)


class Tight(SpectrumEmbedder):
    """Runs out of memory above a number of sequences."""

    limit = 1

    def span_sums(
        self, sequences: Sequence[Codes], cuts: Sequence[NDArray[np.int64]]
    ) -> list[Floats]:
        if len(sequences) > self.limit:
            raise torch.OutOfMemoryError
        return super().span_sums(sequences, cuts)


def test_batches_are_halved_when_memory_runs_out() -> None:
    sequences = contigs()
    starts, ends = some_views(sequences)
    expected = embed_views(SpectrumEmbedder((4,), "tnf"), sequences, starts, ends)
    np.testing.assert_array_equal(
        embed_views(Tight((4,), "tnf"), sequences, starts, ends), expected
    )


def test_memory_that_never_suffices_is_reported() -> None:
    tight = Tight((4,), "tnf")
    tight.limit = 0
    sequences = contigs()
    with pytest.raises(EnvironmentFault, match="out of memory for a stretch"):
        embed_views(tight, sequences, *some_views(sequences))


def test_view_blocks() -> None:
    starts, ends = np.array([[0, 48, 49, 50]]), np.array([[96, 49, 145, 60]])
    first, last = view_blocks(starts, ends, 96)
    # Centres stand at 48, 144, ...
    assert first.tolist() == [[0, 0, 1, 0]]
    assert last.tolist() == [[1, 1, 2, 1]]


def test_every_block() -> None:
    cuts = every_block([np.zeros(n, dtype=np.uint8) for n in (0, 1, 96, 97)], 96)
    assert [len(c) - 1 for c in cuts] == [0, 1, 1, 2]
