"""HyenaDNA and Caduceus against direct computations of the same equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from glm_helpers import random_bases
from torch import Tensor
from torch.nn import functional

from llmbin_core.glm.caduceus import CaduceusConfig, CaduceusModel
from llmbin_core.glm.characters import PAD, complement
from llmbin_core.glm.hyena import HyenaConfig, HyenaModel, long_convolution
from llmbin_core.glm.mamba import Mamba, selective_scan

HYENA = HyenaConfig(width=8, layers=2, inner=16, max_length=64, filter_width=6)
CADUCEUS = CaduceusConfig(width=8, layers=3, state=4)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_tokens(batch: int = 2, length: int = 40) -> Tensor:
    return torch.randint(7, 12, (batch, length))


@pytest.mark.parametrize("chunk", [1, 5, 16, 64])
def test_scan_is_the_recurrence(chunk: int) -> None:
    batch, length, width, state = 2, 23, 3, 4
    x, b, c = torch.randn(batch, length, width), *torch.randn(2, batch, length, state)
    delta = torch.rand(batch, length, width) * 2
    a, d = -torch.rand(width, state) * 3, torch.randn(width)
    expected = np.zeros((batch, length, width))
    for n in range(batch):
        for e in range(width):
            h = np.zeros(state)
            for t in range(length):
                step = float(delta[n, t, e])
                h = np.exp(step * a[e].numpy()) * h + step * b[n, t].numpy() * float(x[n, t, e])
                expected[n, t, e] = h @ c[n, t].numpy() + float(d[e] * x[n, t, e])
    found = selective_scan(x, delta, a, b, c, d, chunk)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_scan_stays_finite_on_long_steep_input() -> None:
    """Products of decays underflow to zero; nothing may overflow on the way."""
    x = torch.randn(1, 300, 2)
    delta = torch.full_like(x, 50.0)
    ones = torch.ones(1, 300, 3)
    found = selective_scan(x, delta, -torch.ones(2, 3) * 10, ones, ones, torch.zeros(2))
    np.testing.assert_allclose(found.numpy(), (150 * x).numpy(), rtol=1e-4)


def test_mamba_step_by_step() -> None:
    """The layer against its equations (Gu and Dao 2023, algorithm 2) one position at a time."""
    layer = Mamba(4, state=3, kernel=4, expand=2)
    hidden = torch.randn(1, 12, 4)
    x, gate = (hidden[0] @ layer.in_proj.weight.T).chunk(2, dim=-1)
    kernel = layer.conv1d.weight[:, 0]
    state = torch.zeros(8, 3)
    rows = []
    for t in range(12):
        u = layer.conv1d.bias.clone()
        for j in range(4):
            if t - 3 + j >= 0:
                u = u + kernel[:, j] * x[t - 3 + j]
        u = u * torch.sigmoid(u)
        rank, b, c = (layer.x_proj.weight @ u).split((1, 3, 3))
        step = torch.log1p(torch.exp(layer.dt_proj.weight @ rank + layer.dt_proj.bias))
        state = torch.exp(-step[:, None] * torch.exp(layer.A_log)) * state
        state = state + (step * u)[:, None] * b
        y = (state @ c + layer.D * u) * gate[t] * torch.sigmoid(gate[t])
        rows.append(layer.out_proj.weight @ y)
    expected = torch.stack(rows).detach().numpy()
    np.testing.assert_allclose(layer(hidden)[0].detach().numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("crossed", [False, True])
def test_caduceus_is_equivariant(crossed: bool) -> None:
    model = CaduceusModel(CaduceusConfig(width=8, layers=3, state=4, crossed=crossed)).eval()
    tokens = random_tokens()
    forward, backward = model.logits(tokens), model.logits(complement(tokens))
    bases = [7, 8, 9, 10]
    turned = backward.flip(1)[..., [10, 9, 8, 7]]
    torch.testing.assert_close(forward[..., bases], turned, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(tokens), model(complement(tokens)), rtol=1e-4, atol=1e-5)


def test_caduceus_sees_both_sides() -> None:
    model = CaduceusModel(CADUCEUS).eval()
    tokens = random_tokens(1)
    changed = tokens.clone()
    changed[0, 20] = 7 + (changed[0, 20] - 6) % 4
    moved = (model.logits(tokens) - model.logits(changed)).abs().amax(-1)[0]
    assert moved[5] > 0
    assert moved[35] > 0


def test_long_convolution_directly() -> None:
    values, kernel, skip = torch.randn(2, 3, 17), torch.randn(3, 17), torch.randn(3)
    expected = values * skip[:, None]
    for t in range(17):
        for s in range(t + 1):
            expected[..., t] += kernel[:, t - s] * values[..., s]
    torch.testing.assert_close(
        long_convolution(values, kernel, skip), expected, rtol=1e-4, atol=1e-4
    )


def test_hyena_is_causal() -> None:
    model = HyenaModel(HYENA).eval()
    tokens = random_tokens(1, 50)
    changed = tokens.clone()
    changed[0, 30:] = 7
    before, after = model.logits(tokens), model.logits(changed)
    torch.testing.assert_close(before[:, :30], after[:, :30], rtol=1e-4, atol=1e-5)
    assert (before[:, 30:] - after[:, 30:]).abs().max() > 1e-4


def test_right_padding_does_not_reach_back() -> None:
    model = HyenaModel(HYENA).eval()
    tokens = random_tokens(1, 50)
    padded = functional.pad(tokens, (0, 10), value=PAD)
    torch.testing.assert_close(model(tokens), model(padded), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        # Nguyen et al. 2023, table A.1: 0.44 M (1 k, 2 layers of 128) and 3.3 M (32 k, 4 of 256)
        # parameters; positional features, which they do not count, are left out here too.
        (HyenaConfig(width=128, layers=2, inner=512, max_length=1026), 0.44e6),
        (HyenaConfig(width=256, layers=4, inner=1024, max_length=32770), 3.3e6),
    ],
)
def test_published_sizes_hyena(config: HyenaConfig, count: float) -> None:
    model = HyenaModel(config)
    size = sum(p.numel() for n, p in model.named_parameters() if not n.endswith("positions"))
    assert size == pytest.approx(count, rel=0.05)


@pytest.mark.parametrize(("layers", "count"), [(4, 1.9e6), (16, 7.7e6)])
def test_published_sizes_caduceus(layers: int, count: float) -> None:
    # Schiff et al. 2024: 1.9 M (4 layers of 256) and 7.7 M (16 layers of 256).
    model = CaduceusModel(CaduceusConfig(width=256, layers=layers))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(count, rel=0.05)


def test_tokens() -> None:
    model = HyenaModel(HYENA)
    codes = np.array([0, 1, 2, 3, 4], dtype=np.uint8)
    tokens = model.prepare([codes, codes[:2]])
    assert tokens.tolist() == [[7, 8, 9, 10, 11], [7, 8, 4, 4, 4]]
    assert model.is_base(tokens).sum() == 6
    assert model.prepare([random_bases(9, 1)]).shape == (1, 9)
