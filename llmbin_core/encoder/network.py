"""The network that joins coverage, language-model embedding and composition in one latent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of the network.

    Attributes
    ----------
    inputs : mapping
        View of the data (``coverage``, ``embedding``, ``composition``) -> number of features.
    width : int
        Hidden units per layer.
    depth : int
        Hidden layers of each branch and of the joint part.
    branch : int
        Output size of the coverage and embedding branches.
    latent : int
        Size of the latent.
    dropout : float
        Share of hidden units dropped in training, to the nearest 1/256.
    """

    inputs: Mapping[str, int]
    width: int = 512
    depth: int = 2
    branch: int = 128
    latent: int = 128
    dropout: float = 0.1


class BinningEncoder(nn.Module):
    """Branches for coverage and embedding, joined with the composition.

    Coverage and embedding each pass an MLP to a unit vector of `branch` dimensions; these and the
    composition are concatenated and pass the joint MLP to the latent.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.branches = nn.ModuleDict(
            {
                name: _mlp(size, shape.branch, shape)
                for name, size in sorted(shape.inputs.items())
                if name != "composition"
            }
        )
        joined = len(self.branches) * shape.branch + shape.inputs.get("composition", 0)
        self.joint = _mlp(joined, shape.latent, shape)

    def forward(self, features: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Latent (not normalised) and the unit vectors of the branches.

        Parameters
        ----------
        features : mapping
            Name of the data view -> float [rows, number of features].

        Returns
        -------
        latent : float [rows, latent]
        branches : dict
            Name -> float [rows, branch].
        """
        outputs = {
            name: functional.normalize(branch(features[name]).float(), dim=1)
            for name, branch in self.branches.items()
        }
        parts = list(outputs.values())
        if "composition" in features:
            parts.append(features["composition"])
        return self.joint(torch.cat(parts, dim=1)).float(), outputs


class ByteDropout(nn.Module):
    """Dropout that draws eight units from each random number.

    One random number per unit, as `torch.nn.Dropout` draws them, costs a fifth of training on a
    CPU.

    Parameters
    ----------
    share : float
        Of units that are dropped, to the nearest 1/256.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.threshold = round(share * 256)

    def forward(self, x: Tensor) -> Tensor:
        """Units dropped in training, the others scaled up; of the shape of x."""
        if not self.training or not self.threshold:
            return x
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        octets = draws.random_(-(2**63), None).view(torch.uint8)[: x.numel()]
        kept = (octets >= self.threshold).to(x.dtype).view_as(x)
        return x * (kept * (256 / (256 - self.threshold)))


def _mlp(inputs: int, outputs: int, shape: NetworkShape) -> nn.Sequential:
    layers: list[nn.Module] = []
    size = inputs
    for _ in range(shape.depth):
        layers += [
            nn.Linear(size, shape.width, bias=False),
            nn.BatchNorm1d(shape.width),
            nn.LeakyReLU(inplace=True),
        ]
        if shape.dropout:
            layers.append(ByteDropout(shape.dropout))
        size = shape.width
    layers.append(nn.Linear(size, outputs))
    return nn.Sequential(*layers)
