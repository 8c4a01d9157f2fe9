"""Published checkpoints, against the equations applied to their own parameter names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from llmbin_core.errors import EnvironmentFault, InputError
from llmbin_core.glm import pretrained


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def random_tokens(batch: int, length: int) -> Tensor:
    return torch.randint(7, 12, (batch, length))


def hyena_checkpoint(folder: Path, width: int = 8) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint with the parameter names and shapes of the published ones."""
    tensors = {"hyena.backbone.embeddings.word_embeddings.weight": torch.randn(16, width)}
    times = torch.linspace(0, 1, 64)[None, :, None]
    for i in range(2):
        p = f"hyena.backbone.layers.{i}."
        f = p + "mixer.filter_fn."
        frequency = torch.rand(1, 6)
        tensors |= {
            p + "mixer.in_proj.weight": torch.randn(3 * width, width),
            p + "mixer.in_proj.bias": torch.randn(3 * width),
            p + "mixer.out_proj.weight": torch.randn(width, width),
            p + "mixer.out_proj.bias": torch.randn(width),
            p + "mixer.short_filter.weight": torch.randn(3 * width, 1, 3),
            p + "mixer.short_filter.bias": torch.randn(3 * width),
            f + "bias": torch.randn(width),
            f + "pos_emb.z": torch.randn(1, 64, 5),
            f + "pos_emb.t": times.clone(),
            f + "implicit_filter.0.weight": torch.randn(6, 5),
            f + "implicit_filter.0.bias": torch.randn(6),
            f + "implicit_filter.1.freq": frequency,
            f + "implicit_filter.2.weight": torch.randn(6, 6),
            f + "implicit_filter.2.bias": torch.randn(6),
            f + "implicit_filter.3.freq": frequency.clone(),
            f + "implicit_filter.4.weight": torch.randn(6, 6),
            f + "implicit_filter.4.bias": torch.randn(6),
            f + "implicit_filter.5.freq": frequency.clone(),
            f + "implicit_filter.6.weight": torch.randn(width, 6),
            f + "modulation.deltas": torch.linspace(-3, -15, width)[None, None],
            p + "mlp.fc1.weight": torch.randn(16, width),
            p + "mlp.fc1.bias": torch.randn(16),
            p + "mlp.fc2.weight": torch.randn(width, 16),
            p + "mlp.fc2.bias": torch.randn(width),
        }
        for j in (1, 2):
            tensors |= {
                p + f"norm{j}.weight": torch.rand(width),
                p + f"norm{j}.bias": torch.randn(width),
            }
    tensors |= {
        "hyena.backbone.ln_f.weight": torch.rand(width),
        "hyena.backbone.ln_f.bias": torch.randn(width),
    }
    tensors["lm_head.weight"] = tensors["hyena.backbone.embeddings.word_embeddings.weight"].clone()
    config = {
        "model_type": "hyenadna", "d_model": width, "n_layer": 2, "d_inner": 16, "max_seq_len": 64,
        "emb_dim": 5, "filter_order": 6, "num_inner_mlps": 2, "activation_freq": 10,
    }  # fmt: skip
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return tensors, config


def hyena_by_hand(w: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """Scores of a HyenaDNA, from the equations, with a direct convolution."""
    x = w["hyena.backbone.embeddings.word_embeddings.weight"][tokens]
    width, length = x.shape[-1], x.shape[1]
    for i in range(2):
        p = f"hyena.backbone.layers.{i}."
        f = p + "mixer.filter_fn."
        u = functional.layer_norm(x, (width,), w[p + "norm1.weight"], w[p + "norm1.bias"])
        u = u @ w[p + "mixer.in_proj.weight"].T + w[p + "mixer.in_proj.bias"]
        short = torch.zeros_like(u) + w[p + "mixer.short_filter.bias"]
        for lag in range(3):
            moved = functional.pad(u, (0, 0, lag, 0))[:, :length]
            short = short + moved * w[p + "mixer.short_filter.weight"][:, 0, 2 - lag]
        gate2, gate1, v = short[..., :width], short[..., width : 2 * width], short[..., 2 * width :]
        h = w[f + "pos_emb.z"][0, :length]
        for j in (0, 2, 4):
            linear = h @ w[f + f"implicit_filter.{j}.weight"].T + w[f + f"implicit_filter.{j}.bias"]
            h = torch.sin(w[f + "implicit_filter.1.freq"] * linear)
        t = w[f + "pos_emb.t"][0, :length]
        h = (h @ w[f + "implicit_filter.6.weight"].T) * (
            torch.exp(-t * w[f + "modulation.deltas"][0].abs()) + 0.05
        )
        v = v * gate1
        y = v * w[f + "bias"]
        for s in range(length):
            for r in range(s + 1):
                y[:, s] = y[:, s] + h[s - r] * v[:, r]
        x = x + (y * gate2) @ w[p + "mixer.out_proj.weight"].T + w[p + "mixer.out_proj.bias"]
        u = functional.layer_norm(x, (width,), w[p + "norm2.weight"], w[p + "norm2.bias"])
        z = u @ w[p + "mlp.fc1.weight"].T + w[p + "mlp.fc1.bias"]
        z = 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
        x = x + z @ w[p + "mlp.fc2.weight"].T + w[p + "mlp.fc2.bias"]
    x = functional.layer_norm(
        x, (width,), w["hyena.backbone.ln_f.weight"], w["hyena.backbone.ln_f.bias"]
    )
    return x @ w["lm_head.weight"].T


def test_published_hyena_loads(tmp_path: Path) -> None:
    tensors, config = hyena_checkpoint(tmp_path / "hyena")
    model = pretrained.load_hyena(tmp_path / "hyena", config).eval()
    tokens = random_tokens(2, 30)
    expected = hyena_by_hand(tensors, tokens)
    torch.testing.assert_close(model.logits(tokens), expected, rtol=1e-3, atol=1e-3)


def test_hyena_in_a_lightning_checkpoint(tmp_path: Path) -> None:
    tensors, config = hyena_checkpoint(tmp_path / "hyena")
    expected = pretrained.load_hyena(tmp_path / "hyena", config)
    renamed = {"model." + k.removeprefix("hyena."): v for k, v in tensors.items()}
    (tmp_path / "other").mkdir()
    torch.save({"state_dict": renamed, "epoch": 3}, tmp_path / "other" / "weights.ckpt")
    found = pretrained.load_hyena(tmp_path / "other", config)
    for mine, theirs in zip(
        found.state_dict().values(), expected.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)


class Unwanted:
    """Something that only pickle can hold."""


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    _, config = hyena_checkpoint(tmp_path / "hyena")
    (tmp_path / "bad").mkdir()
    torch.save({"state_dict": Unwanted()}, tmp_path / "bad" / "weights.ckpt")
    with pytest.raises(InputError, match="not a file of plain tensors"):
        pretrained.load_hyena(tmp_path / "bad", config)


def test_foreign_and_untied_weights_are_refused(tmp_path: Path) -> None:
    tensors, config = hyena_checkpoint(tmp_path / "hyena")
    path = tmp_path / "hyena" / "model.safetensors"
    save_file(tensors | {"lm_head.weight": torch.zeros(16, 8)}, path)
    with pytest.raises(InputError, match=r"is tied to 'embedding\.weight' but differs"):
        pretrained.load_hyena(tmp_path / "hyena", config)
    save_file({"encoder.layer.0.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"unknown parameter 'encoder\.layer\.0\.weight'"):
        pretrained.load_hyena(tmp_path / "hyena", config)


def caduceus_checkpoint(folder: Path, fused: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """As above, for Caduceus-PS; the projections of the second direction are stored once."""
    norm = "norm" if fused else "norm.submodule"
    tensors = {
        "caduceus.backbone.embeddings.word_embeddings.embedding.weight": torch.randn(16, 8),
        "caduceus.backbone.embeddings.word_embeddings.complement_map": torch.arange(16),
        f"caduceus.backbone.norm_f{'' if fused else '.submodule'}.weight": torch.rand(8),
        "lm_head.complement_map": torch.arange(16),
    }
    for i in range(3):
        p = f"caduceus.backbone.layers.{i}."
        tensors[f"{p}{norm}.weight"] = torch.rand(8)
        for direction in ("fwd", "rev"):
            m = f"{p}mixer.submodule.mamba_{direction}."
            tensors |= {
                m + "A_log": torch.rand(16, 4),
                m + "D": torch.randn(16),
                m + "conv1d.weight": torch.randn(16, 1, 4),
                m + "conv1d.bias": torch.randn(16),
                m + "x_proj.weight": torch.randn(9, 16) * 0.3,
                m + "dt_proj.weight": torch.randn(16, 1),
                m + "dt_proj.bias": torch.randn(16),
            }
            if direction == "fwd":
                tensors[m + "in_proj.weight"] = torch.randn(32, 8) * 0.3
                tensors[m + "out_proj.weight"] = torch.randn(8, 16) * 0.3
    config = {
        "model_type": "caduceus", "d_model": 8, "n_layer": 3, "rcps": True, "rms_norm": True,
        "fused_add_norm": fused, "ssm_cfg": {"d_state": 4, "d_conv": 4, "expand": 2},
        "norm_epsilon": 1e-5, "bidirectional_strategy": "add",
    }  # fmt: skip
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return tensors, config


def mamba_by_hand(w: dict[str, Tensor], p: str, x: Tensor) -> Tensor:
    """One direction of a mixer on [L, D], by the recurrence."""
    own = p.replace("mamba_rev", "mamba_fwd")
    u, gate = (x @ w[own + "in_proj.weight"].T).chunk(2, dim=-1)
    padded = functional.pad(u, (0, 0, 3, 0))
    kernel = w[p + "conv1d.weight"][:, 0]
    u = sum(padded[j : j + len(u)] * kernel[:, j] for j in range(4)) + w[p + "conv1d.bias"]
    u = functional.silu(u)
    state, rows = torch.zeros(16, 4), []
    for row in u:
        rank, b, c = (w[p + "x_proj.weight"] @ row).split((1, 4, 4))
        step = functional.softplus(w[p + "dt_proj.weight"] @ rank + w[p + "dt_proj.bias"])
        state = torch.exp(-step[:, None] * w[p + "A_log"].exp()) * state + (step * row)[:, None] * b
        rows.append(state @ c + w[p + "D"] * row)
    return (torch.stack(rows) * functional.silu(gate)) @ w[own + "out_proj.weight"].T


def caduceus_by_hand(w: dict[str, Tensor], tokens: Tensor, fused: bool) -> Tensor:
    """Scores for one sequence [L]: both halves of the channels kept as the published layers do.

    The unfused norm takes the first half of the channels as one reading and the second half, turned
    around, as the other; the fused norm takes the halves the other way round.
    """
    pairs = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15])
    weight = w["caduceus.backbone.embeddings.word_embeddings.embedding.weight"]
    residual = torch.cat((weight[tokens], weight[pairs[tokens].flip(0)].flip(0, 1)), dim=-1)
    hidden = torch.zeros_like(residual)

    def norm(x: Tensor, name: str) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[name]

    for i in range(3):
        p = f"caduceus.backbone.layers.{i}."
        residual = residual + hidden
        one, two = residual.chunk(2, dim=-1)
        if fused:
            one, two = two, one
        residual = torch.cat((one, two), dim=-1)
        name = p + ("norm.weight" if fused else "norm.submodule.weight")
        halves = []
        for x in (norm(one, name), norm(two.flip(0, 1), name)):
            m = p + "mixer.submodule."
            back = mamba_by_hand(w, m + "mamba_rev.", x.flip(0)).flip(0)
            halves.append(mamba_by_hand(w, m + "mamba_fwd.", x) + back)
        hidden = torch.cat((halves[0], halves[1].flip(0, 1)), dim=-1)
    name = f"caduceus.backbone.norm_f{'' if fused else '.submodule'}.weight"
    one, two = (residual + hidden).chunk(2, dim=-1)
    one, two = norm(one, name), norm(two.flip(0, 1), name).flip(0, 1)
    return one @ weight.T + two.flip(1) @ weight[pairs].T


@pytest.mark.parametrize("fused", [False, True])
def test_published_caduceus_loads(tmp_path: Path, fused: bool) -> None:
    tensors, config = caduceus_checkpoint(tmp_path / "caduceus", fused)
    model = pretrained.load_caduceus(tmp_path / "caduceus", config).eval()
    tokens = random_tokens(2, 25)
    expected = torch.stack([caduceus_by_hand(tensors, row, fused) for row in tokens])
    torch.testing.assert_close(model.logits(tokens), expected, rtol=1e-3, atol=1e-3)


def test_other_variants_are_refused(tmp_path: Path) -> None:
    _, config = caduceus_checkpoint(tmp_path / "c", True)
    with pytest.raises(InputError, match="only the PS variant"):
        pretrained.load_caduceus(tmp_path / "c", config | {"rcps": False})
    _, config = hyena_checkpoint(tmp_path / "h")
    with pytest.raises(InputError, match="order 3"):
        pretrained.load_hyena(tmp_path / "h", config | {"hyena_order": 3})


def test_remote_code_needs_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"model_type": "bert", "hidden_size": 8, "auto_map": {"AutoModel": "x.Model"}}
    monkeypatch.setattr(pretrained, "import_module", lambda name: object())
    with pytest.raises(InputError, match="trust-remote-code"):
        pretrained.load_published(tmp_path, config, torch.device("cpu"), False)


def test_missing_transformers_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(pretrained, "import_module", absent)
    with pytest.raises(EnvironmentFault, match=r"pip install 'llmbin\[glm-hub\]'"):
        pretrained.load_published(tmp_path, {"model_type": "bert"}, torch.device("cpu"), False)
