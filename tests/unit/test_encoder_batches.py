"""Batches: whose contigs they hold, and which views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from encoder_samples import sample

from llmbin_core.encoder.batches import HALVES_FROM, batches, halves_of
from llmbin_core.encoder.train import TrainingOptions
from llmbin_core.views import views


def test_halves_share_no_base_where_views_allow_it() -> None:
    one = sample(300)
    starts, ends = views(one.contigs.lengths, one.seed, one.n_views)
    lengths = one.contigs.lengths
    halves = halves_of(one)
    assert (halves[lengths < HALVES_FROM] == 0).all()
    for row in np.flatnonzero(lengths >= HALVES_FROM).tolist():
        shared = {
            (a, b): min(ends[row, a], ends[row, b]) - max(starts[row, a], starts[row, b])
            for a in range(1, 6)
            for b in range(a + 1, 6)
        }
        chosen = shared[tuple(halves[row].tolist())]
        assert max(chosen, 0) == max(min(shared.values()), 0)


def test_batches_are_of_one_sample_and_hold_every_contig_once() -> None:
    one, two = sample(30, seed=1), sample(90, seed=2)
    options = TrainingOptions(batch_size=10, views_per_step=2)
    seen: dict[int, list[bytes]] = {0: [], 1: []}
    of = {
        row.tobytes(): k
        for k, s in enumerate((one, two))
        for row in s.features["composition"][:, 0]
    }
    for batch in batches([one, two], options, 0):
        whole = np.split(batch.features["composition"], batch.n_views)[0]
        owners = {of[row.tobytes()] for row in whole}
        assert len(owners) == 1
        assert batch.species is not None
        assert len(batch.species) == len(whole)
        seen[owners.pop()] += [row.tobytes() for row in whole]
    assert {k: len(v) for k, v in seen.items()} == {0: 30, 1: 90}
    assert all(len(set(v)) == len(v) for v in seen.values())


def test_samples_with_the_same_contigs_take_turns() -> None:
    one = sample(90, seed=1)
    shift = np.float32(100)
    other = replace(one, features={n: v + shift for n, v in one.features.items()})
    options = TrainingOptions(batch_size=30, views_per_step=2)
    row_of = {row.tobytes(): k for k, row in enumerate(one.features["composition"][:, 0])}
    row_of |= {row.tobytes(): k for k, row in enumerate(other.features["composition"][:, 0])}
    turns = np.zeros((2, 90), dtype=int)
    for epoch in range(40):
        seen = []
        for batch in batches([one, other], options, epoch):
            whole = np.split(batch.features["composition"], batch.n_views)[0]
            rows = [row_of[row.tobytes()] for row in whole]
            turns[int(whole.mean() > shift / 2), rows] += 1
            seen += rows
        assert sorted(seen) == list(range(90))
    # Every contig about as often in either sample: 40 turns, six standard deviations.
    assert (turns.sum(axis=0) == 40).all()
    assert (np.abs(turns[0] - 20) < 19).all()
    assert turns[0].sum() == turns[1].sum()
