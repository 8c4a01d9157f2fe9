"""Multi-view InfoNCE in compact form.

For anchor row i and each of its positives p (the other views of the same contig) the loss is

    L(i, p) = log(exp(s_ip) + sum_n exp(s_in)) - s_ip,      s = z z' / temperature,

n running over all rows of other contigs (van den Oord et al. 2018; one positive against all
negatives, as in multi-view contrastive binning). The sum over negatives is the same for all
positives of an anchor, so it is computed once, in tiles of rows, and again in the backward pass:
with N rows no N x N matrix is kept.

Where the species of contigs are known, the terms of the sum are weighted: contigs of one species
are no negatives of each other (nor are they drawn together), contigs of different species count
for more. A wrong label so shifts the weight of some negatives; it never makes a wrong positive.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

TILE_ROWS = 1024
# Weights of the negatives of one species, and of two different ones.
SAME_SPECIES, OTHER_SPECIES = 0.0, 2.0
# Cannot-links of each contig in a batch.
CANNOT_LINKS = 8


def info_nce(
    z: Tensor,
    n_views: int,
    temperature: float,
    tile_rows: int = TILE_ROWS,
    species: Tensor | None = None,
) -> Tensor:
    """Mean InfoNCE over all anchors and positives of a batch.

    The similarities to negatives are computed in the type of the surrounding `torch.autocast`.

    Parameters
    ----------
    z : float [B * V, d]
        Latents of B contigs with V views each: row ``v * B + b`` is view v of contig b. They are
        normalised to unit length here.
    n_views : int
        V, at least 2.
    temperature : float
        Above 0.
    tile_rows : int
        Rows per tile; bounds the memory, changes the result by rounding only.
    species : int64 [B], optional
        Number of the species of each contig, -1 where it is unknown.

    Returns
    -------
    scalar Tensor
    """
    unit = functional.normalize(z.float(), dim=1)
    negatives: Tensor = _LogSumNegatives.apply(  # type: ignore[no-untyped-call]
        unit, n_views, temperature, tile_rows, species
    )
    positives = _positives(unit, n_views) / temperature
    return functional.softplus(negatives[:, None] - positives).mean()


def pair_loss(z: Tensor, species: Tensor | None = None) -> Tensor:
    """Loss of must-link and cannot-link pairs: mean d^2, and mean relu(1 - d)^2.

    Must-links are the two halves of a contig, cannot-links random pairs of contigs; d is the
    Euclidean distance of the unit latents (contrastive loss of Hadsell et al. 2006, with margin 1).

    Parameters
    ----------
    z : float [2 * B, d]
        Latents of the first and of the second halves of B contigs in random order.
    species : int64 [B], optional
        As for `info_nce`: weights of the cannot-links.
    """
    first, second = functional.normalize(z.float(), dim=1).view(2, -1, z.shape[1])
    must = (first - second).square().sum(dim=1).mean()
    cannot = []
    for shift in range(1, min(CANNOT_LINKS, len(first) - 1) + 1):
        apart = (first - second.roll(shift, 0)).square().sum(dim=1)
        # The root of 0 has no gradient.
        near = functional.relu(1 - apart.clamp_min(1e-12).sqrt()).square()
        if species is not None:
            near = near * species_weights(species, species.roll(shift))
        cannot.append(near.mean())
    loss: Tensor = must + torch.stack(cannot).mean()
    return loss


def species_weights(one: Tensor, other: Tensor) -> Tensor:
    """Weights of negatives by the species of both (-1: unknown), element by element."""
    weights = torch.where(one == other, SAME_SPECIES, OTHER_SPECIES)
    return torch.where((one >= 0) & (other >= 0), weights, 1.0)


def top1_share(z: Tensor, n_views: int, anchors: int = TILE_ROWS) -> float:
    """Share of anchors that are closer to their next view than to any view of another contig.

    Parameters
    ----------
    z : float [B * V, d]
        As for `info_nce`.
    anchors : int
        Only the first rows are judged: a sample is enough to watch training by.
    """
    unit = functional.normalize(z.detach().float(), dim=1)
    batch = len(unit) // n_views
    anchors = min(anchors, batch)
    similarity = unit[:anchors] @ unit.T
    rows = torch.arange(anchors, device=unit.device)
    positive = similarity[rows, batch + rows]
    own = rows[:, None] + batch * torch.arange(n_views, device=unit.device)
    best_negative = similarity.scatter(1, own, -torch.inf).amax(dim=1)
    return float((positive > best_negative).float().mean())


def _positives(unit: Tensor, n_views: int) -> Tensor:
    """[N, V - 1] cosine similarities of each row with the other views of its contig."""
    stacked = unit.view(n_views, -1, unit.shape[1])
    others = [(stacked * stacked.roll(-shift, 0)).sum(-1) for shift in range(1, n_views)]
    return torch.stack([o.reshape(-1) for o in others], dim=1)


class _LogSumNegatives(torch.autograd.Function):
    """log sum over the rows of other contigs of exp(similarity / temperature), per row."""

    @staticmethod
    def forward(
        ctx: Any,
        unit: Tensor,
        n_views: int,
        temperature: float,
        tile_rows: int,
        species: Tensor | None,
    ) -> Tensor:
        ctx.tile = partial(_tile, n_views=n_views, temperature=temperature, species=species)
        ctx.temperature, ctx.tile_rows = temperature, tile_rows
        low = unit.to(_product_type(unit.device))
        rows = [slice(begin, begin + tile_rows) for begin in range(0, len(unit), tile_rows)]
        sums = torch.cat([ctx.tile(low, part).sum(dim=1) for part in rows])
        # Similarities of unit vectors are at most 1, so one shift serves every row.
        log_sums = torch.log(sums.clamp_min(torch.finfo(sums.dtype).tiny)) + 1.0 / temperature
        ctx.save_for_backward(low, sums)
        return log_sums

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        low, sums = ctx.saved_tensors
        weight = gradients[0] / sums.clamp_min(torch.finfo(sums.dtype).tiny) / ctx.temperature
        weighted = (weight[:, None] * low).to(low.dtype)
        gradient = torch.empty(low.shape, dtype=sums.dtype, device=low.device)
        for begin in range(0, len(low), ctx.tile_rows):
            rows = slice(begin, begin + ctx.tile_rows)
            tile = ctx.tile(low, rows).to(low.dtype)
            # The similarity matrix is symmetric: row i receives what i gives to j and j gives to i.
            gradient[rows] = weight[rows, None] * (tile @ low) + tile @ weighted
        return gradient, None, None, None, None


def _product_type(device: torch.device) -> torch.dtype:
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return torch.float32


def _tile(
    unit: Tensor, rows: slice, n_views: int, temperature: float, species: Tensor | None
) -> Tensor:
    """exp((similarity - 1) / temperature) of some rows with all, weighted; 0 within a contig."""
    tile = torch.mm(unit[rows], unit.T).float().sub_(1.0).mul_(1.0 / temperature).exp_()
    batch = len(unit) // n_views
    own = torch.arange(len(unit), device=unit.device)[rows] % batch
    if species is not None:
        tile *= species_weights(species[own, None], species[None]).repeat(1, n_views)
    columns = own[:, None] + batch * torch.arange(n_views, device=unit.device)[None, :]
    return tile.scatter_(1, columns, 0.0)
