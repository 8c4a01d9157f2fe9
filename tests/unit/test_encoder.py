"""The contrastive encoder: loss, training, model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from llmbin_core.contigs import ContigTable
from llmbin_core.encoder.features import Sample, load_samples, scale_coverage
from llmbin_core.encoder.loss import info_nce, top1_share
from llmbin_core.encoder.modelcard import check_fit
from llmbin_core.encoder.modelfile import load_model, save_model
from llmbin_core.encoder.network import BinningEncoder, ByteDropout, NetworkShape
from llmbin_core.encoder.train import (
    TrainingOptions,
    choose_temperature,
    encode,
    make_plan,
    train_encoder,
)
from llmbin_core.errors import InputError, UsageError
from llmbin_core.stagefile import Provenance, write_stage

CPU = torch.device("cpu")


def direct_info_nce(z: Tensor, n_views: int, temperature: float) -> Tensor:
    """The definition, pair by pair: -log(exp(s_ip) / (exp(s_ip) + sum over negatives))."""
    unit = z / z.norm(dim=1, keepdim=True)
    contig = [row % (len(z) // n_views) for row in range(len(z))]
    terms = []
    for i in range(len(z)):
        similarity = [(unit[i] @ unit[j]) / temperature for j in range(len(z))]
        negatives = [s for j, s in enumerate(similarity) if contig[j] != contig[i]]
        for p in range(len(z)):
            if p != i and contig[p] == contig[i]:
                chosen = torch.stack([similarity[p], *negatives])
                terms.append(-torch.log_softmax(chosen, 0)[0])
    return torch.stack(terms).mean()


def test_loss_in_short_floats_is_that_of_long_ones_but_for_rounding() -> None:
    torch.manual_seed(3)
    z = torch.randn(3 * 200, 16)
    found = []
    for enabled in (False, True):
        x = z.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = info_nce(x, 3, 0.15, tile_rows=128)
        loss.backward()  # type: ignore[no-untyped-call]
        assert x.grad is not None
        found.append((loss.detach(), x.grad))
    assert found[1][0].dtype == torch.float32
    # bfloat16 keeps 8 bits: similarities err by up to 2^-9, exponents by that over .15.
    torch.testing.assert_close(found[1][0], found[0][0], rtol=0.01, atol=0)
    assert float((found[1][1] - found[0][1]).norm() / found[0][1].norm()) < 0.02


def test_dropout_keeps_the_mean_and_rests_in_evaluation() -> None:
    torch.manual_seed(0)
    drop, x = ByteDropout(0.1), torch.ones(1001, 103)
    y = drop(x)
    dropped = float((y == 0).float().mean())
    # 26 of 256; the standard error of 103,103 draws is .001.
    assert abs(dropped - 26 / 256) < 0.005
    assert y.unique().tolist() == pytest.approx([0, 256 / 230])
    assert not torch.equal(drop(x), y)
    assert drop.eval()(x) is x


@settings(max_examples=25)
@given(
    st.integers(2, 6),
    st.integers(2, 4),
    st.floats(0.05, 1.0),
    st.integers(1, 30),
    st.integers(0, 9),
)
def test_compact_loss_and_gradient_equal_the_definition(
    contigs: int, n_views: int, temperature: float, tile: int, seed: int
) -> None:
    torch.manual_seed(seed)
    z = torch.randn(contigs * n_views, 7, requires_grad=True)
    compact = info_nce(z, n_views, temperature, tile)
    (gradient,) = torch.autograd.grad(compact, z)
    expected = direct_info_nce(z, n_views, temperature)
    (wanted,) = torch.autograd.grad(expected, z)
    torch.testing.assert_close(compact, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-5)


def test_loss_is_finite_where_nothing_can_be_told_apart() -> None:
    z = torch.ones(12, 4, requires_grad=True)
    loss = info_nce(z, 3, 0.07)
    loss.backward()
    # Each positive is equal to 9 negatives: log(1 + 9).
    assert loss.item() == pytest.approx(np.log(10), rel=1e-4)
    assert torch.isfinite(z.grad).all()
    assert torch.isfinite(info_nce(torch.ones(3, 4), 3, 0.07))


def test_top1_counts_anchors_whose_view_is_nearest() -> None:
    # Contigs along four axes, both views alike: all right; one view swapped between two: half.
    axes = torch.eye(4)
    assert top1_share(torch.cat((axes, axes)), 2) == 1.0
    assert top1_share(torch.cat((axes, axes[[1, 0, 2, 3]])), 2) == 0.5


def community(n: int = 120, genomes: int = 4, seed: int = 0) -> tuple[Sample, np.ndarray]:
    """Contigs of a few genomes: features are the genome's centre plus noise for every view."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, genomes, n)

    def views_of(size: int) -> np.ndarray:
        centres = rng.normal(0, 1, (genomes, size))
        noise = rng.normal(0, 0.5, (n, 6, size))
        return (centres[truth][:, None] + noise).astype(np.float32)

    names = tuple(f"c{i}" for i in range(n))
    contigs = ContigTable(names, rng.integers(1000, 9000, n))
    features = {"composition": views_of(20), "coverage": views_of(6)}
    return Sample(contigs, features, alignments=("a", "b", "c")), truth


SMALL = {"width": 32, "depth": 1, "latent": 16, "branch": 8}


def test_training_brings_contigs_of_a_genome_together() -> None:
    sample, truth = community()
    shape, options = make_plan([sample], {**SMALL, "epochs": 12, "temperature": 0.2})
    encoder, curve = train_encoder([sample], shape, options, CPU)
    assert curve[-1].loss < curve[0].loss
    latent = encode(encoder, sample, CPU)
    np.testing.assert_allclose(np.linalg.norm(latent, axis=1), 1, rtol=1e-5)
    similarity = latent @ latent.T
    np.fill_diagonal(similarity, -1)
    assert (truth[similarity.argmax(axis=1)] == truth).mean() > 0.95


def test_same_seed_same_weights_and_other_seed_other_weights() -> None:
    sample, _ = community(60)

    def weights(seed: int) -> Tensor:
        shape, options = make_plan([sample], {**SMALL, "epochs": 2, "seed": seed})
        encoder, _ = train_encoder([sample], shape, options, CPU)
        return torch.cat([p.detach().flatten() for p in encoder.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


class Killed(Exception):
    """Stands for the end of the process."""


def test_training_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmbin_core.encoder import train as module

    sample, _ = community(60)
    shape, options = make_plan([sample], {**SMALL, "epochs": 9})
    whole, whole_curve = train_encoder([sample], shape, options, CPU)
    epoch = module._begin_epoch

    def dies_in_epoch_8(*args: object) -> object:
        if args[-1] == 7:
            raise Killed
        return epoch(*args)  # type: ignore[arg-type]

    path = tmp_path / "checkpoint"
    monkeypatch.setattr(module, "_begin_epoch", dies_in_epoch_8)
    with pytest.raises(Killed):
        train_encoder([sample], shape, options, CPU, path)
    run_epochs = []

    def counts(*args: object) -> object:
        run_epochs.append(args[-1])
        return epoch(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_begin_epoch", counts)
    resumed, curve = train_encoder([sample], shape, options, CPU, path)
    assert run_epochs == [5, 6, 7, 8]
    assert curve == whole_curve
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_checkpoint_of_another_run_is_not_continued(tmp_path: Path) -> None:
    sample, _ = community(60)
    path = tmp_path / "checkpoint"
    shape, options = make_plan([sample], {**SMALL, "epochs": 5})
    train_encoder([sample], shape, options, CPU, path)
    shape, options = make_plan([sample], {**SMALL, "epochs": 5, "seed": 9})
    _, fresh = train_encoder([sample], shape, options, CPU)
    _, curve = train_encoder([sample], shape, options, CPU, path)
    assert curve == fresh


def test_fewer_contigs_than_a_batch_train() -> None:
    sample, _ = community(3, genomes=1)
    shape, options = make_plan([sample], {**SMALL, "epochs": 2, "batch_size": 1024})
    encoder, curve = train_encoder([sample], shape, options, CPU)
    assert len(curve) == 2
    assert encode(encoder, sample, CPU).shape == (3, 16)


def test_temperature_follows_n50() -> None:
    long = Sample(ContigTable(("a",), np.array([10_001])), {})
    short = Sample(ContigTable(("a",), np.array([10_000])), {})
    assert choose_temperature([long], TrainingOptions()) == 0.07
    assert choose_temperature([short], TrainingOptions()) == 0.15
    assert choose_temperature([short], TrainingOptions(temperature=0.3)) == 0.3


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0},
        {"batch_size": 1},
        {"temperature": 0.0},
        {"views_per_step": 1},
        {"coverage_weight": -0.1},
        {"no_such": 1},
    ],
)
def test_options_out_of_range_are_usage_errors(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        make_plan([community(10)[0]], options)


def test_scaled_coverage_is_centred_and_keeps_order() -> None:
    rng = np.random.default_rng(0)
    mean = rng.gamma(2, 10, (500, 6, 2)).astype(np.float32)
    scaled = scale_coverage(mean, mean)
    assert scaled.shape == (500, 6, 4)
    np.testing.assert_allclose(scaled[:, 0].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled[:, 0].std(axis=0), 1, atol=0.01)
    assert (np.argsort(scaled[:, 0, 0]) == np.argsort(mean[:, 0, 0])).all()


def test_model_file_round_trip_and_refusals(tmp_path: Path) -> None:
    sample, _ = community(40)
    shape, options = make_plan([sample], {**SMALL, "epochs": 1})
    encoder, curve = train_encoder([sample], shape, options, CPU)
    path = tmp_path / "model.safetensors"
    save_model(path, encoder, [sample], options, curve)
    loaded, card = load_model(path, CPU)
    np.testing.assert_array_equal(encode(loaded, sample, CPU), encode(encoder, sample, CPU))
    check_fit(path, card, sample)

    bare = Sample(sample.contigs, {"composition": sample.features["composition"]})
    with pytest.raises(InputError, match="the model needs coverage, which the features lack"):
        check_fit(path, card, bare)
    fewer = {**sample.features, "coverage": sample.features["coverage"][:, :, :2]}
    with pytest.raises(InputError, match="trained with 3 coverage samples, the features have 1"):
        check_fit(path, card, Sample(sample.contigs, fewer, alignments=("a",)))
    more = {**sample.features, "embedding": sample.features["coverage"]}
    with pytest.raises(InputError, match="trained without embedding"):
        check_fit(path, card, replace(sample, features=more))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="not a model file, or cut short"):
        load_model(path, CPU)


def test_stage_files_are_grouped_into_samples_by_their_contigs(tmp_path: Path) -> None:
    def composition(name: str, contig: str, schema: str = "composition") -> Path:
        table = ContigTable((contig,), np.array([2000]))
        tensors = {"composition": np.full((1, 6, 136), 1 / 136, np.float32)}
        write_stage(tmp_path / name, table, tensors, Provenance(schema, 0, 6))
        return tmp_path / name

    one, two = composition("one", "a"), composition("two", "b")
    samples = load_samples([one, two])
    assert [s.contigs.names for s in samples] == [("a",), ("b",)]
    assert samples[0].n_views == 6
    with pytest.raises(InputError, match="both hold composition"):
        load_samples([one, composition("again", "a")])
    with pytest.raises(InputError, match="holds latent; features are"):
        load_samples([composition("latent", "a", "latent")])


def test_network_without_composition_or_coverage() -> None:
    for inputs in ({"composition": 5}, {"coverage": 2}):
        network = BinningEncoder(NetworkShape(inputs, width=8, depth=1)).eval()
        features = {name: torch.zeros(3, size) for name, size in inputs.items()}
        assert network(features)[0].shape == (3, 128)


def test_branch_losses_train_the_branches() -> None:
    sample, truth = community()

    def branch_purity(weight: float) -> float:
        plan = {**SMALL, "epochs": 12, "temperature": 0.2, "coverage_weight": weight}
        shape, options = make_plan([sample], plan)
        encoder, _ = train_encoder([sample], shape, options, CPU)
        whole = {k: torch.from_numpy(v[:, 0]) for k, v in sample.features.items()}
        with torch.no_grad():
            unit = encoder(whole)[1]["coverage"]
        similarity = (unit @ unit.T).fill_diagonal_(-1)
        return float((truth[similarity.argmax(dim=1).numpy()] == truth).mean())

    assert branch_purity(1.0) > branch_purity(0.0)
