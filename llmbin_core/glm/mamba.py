"""Mamba: a selective state space layer (Gu and Dao 2023), in plain PyTorch.

Where the ``mamba_ssm`` kernels are installed and the tensors are on a GPU, they are used; otherwise
the recurrence is computed in chunks, each by a parallel prefix scan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_CHUNK = 64


def selective_scan(
    x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int = _CHUNK
) -> Tensor:
    """The recurrence ``h_t = exp(delta_t a) h_(t-1) + delta_t b_t x_t``, ``y_t = c_t h_t + d x_t``.

    Parameters
    ----------
    x, delta : float [B, L, E]
        Input and positive step sizes.
    a : float [E, N]
        Negative decay rates.
    b, c : float [B, L, N]
        Input and output weights of each position.
    d : float [E]
        Weight of the input itself.
    chunk : int
        Positions whose states are held at once (memory B * chunk * E * N).

    Returns
    -------
    float [B, L, E]
    """
    state = x.new_zeros(x.shape[0], 1, *a.shape, dtype=torch.float32)
    out = []
    for begin in range(0, x.shape[1], chunk):
        part = slice(begin, begin + chunk)
        step = delta[:, part, :, None].float()
        decay = torch.exp(step * a.float())
        new = step * b[:, part, None].float() * x[:, part, :, None].float()
        decay, states = _prefix(decay, new)
        states = states + decay * state
        state = states[:, -1:]
        out.append((states * c[:, part, None].float()).sum(-1))
    return torch.cat(out, dim=1).to(x.dtype) + x * d


def _prefix(decay: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
    """Inclusive prefix of ``h -> decay h + new`` along dimension 1 (Hillis and Steele 1986)."""
    shift = 1
    while shift < decay.shape[1]:
        pad = (0, 0, 0, 0, shift, 0)
        earlier = functional.pad(new[:, :-shift], pad)
        new = new + decay * earlier
        decay = decay * functional.pad(decay[:, :-shift], pad, value=1.0)
        shift *= 2
    return decay, new


@lru_cache(maxsize=1)
def _kernel() -> Callable[..., Any] | None:
    """The fused scan of mamba_ssm, None where it is not installed."""
    try:
        module = import_module("mamba_ssm.ops.selective_scan_interface")
    except ImportError:
        return None
    found: Callable[..., Any] = module.selective_scan_fn
    return found


class Mamba(nn.Module):
    """One direction of a Mamba mixer, [B, L, D] -> [B, L, D].

    Parameters
    ----------
    width : int
        D.
    state : int
        N, states per channel.
    kernel : int
        Positions of the short causal convolution.
    expand : int
        Inner width E over D.
    share : Mamba, optional
        A mixer whose input and output projections are used instead of own ones.
    """

    def __init__(
        self,
        width: int,
        state: int = 16,
        kernel: int = 4,
        expand: int = 2,
        share: Mamba | None = None,
    ) -> None:
        super().__init__()
        inner, self.rank = width * expand, math.ceil(width / 16)
        self.state, self.kernel = state, kernel
        own_in = nn.Linear(width, 2 * inner, bias=False)
        self.in_proj: nn.Linear = share.in_proj if share else own_in
        self.conv1d = nn.Conv1d(inner, inner, kernel, groups=inner, padding=kernel - 1)
        self.x_proj = nn.Linear(inner, self.rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        own_out = nn.Linear(inner, width, bias=False)
        self.out_proj: nn.Linear = share.out_proj if share else own_out
        self._spread_steps(inner)

    def _spread_steps(self, inner: int, low: float = 1e-3, high: float = 0.1) -> None:
        """Biases such that step sizes begin log-uniform in low..high (section 3.6 of the paper)."""
        bound = self.rank**-0.5
        nn.init.uniform_(self.dt_proj.weight, -bound, bound)
        steps = torch.exp(torch.rand(inner) * math.log(high / low) + math.log(low)).clamp_min(1e-4)
        with torch.no_grad():
            self.dt_proj.bias.copy_(steps + torch.log(-torch.expm1(-steps)))

    def forward(self, hidden: Tensor) -> Tensor:
        """Mix positions, each with those before it."""
        length = hidden.shape[1]
        x, gate = self.in_proj(hidden).chunk(2, dim=-1)
        x = functional.silu(self.conv1d(x.transpose(1, 2))[..., :length]).transpose(1, 2)
        parts = self.x_proj(x).split((self.rank, self.state, self.state), dim=-1)
        y = self._scan(x, parts, gate)
        mixed: Tensor = self.out_proj(y)
        return mixed

    def _scan(self, x: Tensor, parts: tuple[Tensor, Tensor, Tensor], gate: Tensor) -> Tensor:
        rank, b, c = parts
        a = -torch.exp(self.A_log.float())
        kernel = _kernel()
        if kernel is not None and x.is_cuda:
            step = functional.linear(rank, self.dt_proj.weight).transpose(1, 2)
            fused: Tensor = kernel(
                x.transpose(1, 2).contiguous(), step.contiguous(), a,
                b.transpose(1, 2).contiguous(), c.transpose(1, 2).contiguous(), self.D.float(),
                z=gate.transpose(1, 2).contiguous(), delta_bias=self.dt_proj.bias.float(),
                delta_softplus=True,
            )  # fmt: skip
            return fused.transpose(1, 2)
        step = functional.softplus(self.dt_proj(rank))
        return selective_scan(x, step, a, b, c, self.D) * functional.silu(gate)
