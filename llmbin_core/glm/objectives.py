"""What a gLM is trained to do: next nucleotide, masked nucleotide, species-aware contrast."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

IGNORED = -100


class LanguageModel(Protocol):
    """A model over character tokens with a prediction per position."""

    def logits(self, tokens: Tensor) -> Tensor:
        """Scores of the tokens, [B, L] -> [B, L, vocabulary]."""
        ...


def contrastive_loss(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """InfoNCE over all pairs of a batch: fragments of one genome attract, others repel.

    For each fragment i and each other fragment p of its genome
    ``-log(e^(s_ip/t) / (e^(s_ip/t) + sum_n e^(s_in/t)))`` with s the cosine similarity and n over
    the fragments of other genomes (van den Oord et al. 2018, one term per positive pair); other
    positives of i are not in the sum.

    Parameters
    ----------
    vectors : float [m, D]
        Of any length; they are normalised here.
    labels : int64 [m]
    temperature : float
        t.

    Returns
    -------
    float scalar
        Mean over all ordered positive pairs; 0 when there is none.
    """
    unit = functional.normalize(vectors.float(), dim=1)
    scores = unit @ unit.T / temperature
    same = labels[:, None] == labels[None]
    others = scores.masked_fill(same, -torch.inf).logsumexp(dim=1, keepdim=True)
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    terms = torch.logaddexp(scores, others) - scores
    return terms.masked_fill(~positive, 0).sum() / positive.sum().clamp_min(1)


def next_loss(model: LanguageModel, tokens: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy (nats per base) of each base given those before it.

    Parameters
    ----------
    model : LanguageModel
    tokens : int64 [B, L]
    targets : int64 [B, L]
        The token where it is a base, IGNORED where it is padding or unknown.
    """
    scores = model.logits(tokens)[:, :-1]
    return functional.cross_entropy(
        scores.reshape(-1, scores.shape[-1]).float(),
        targets[:, 1:].reshape(-1),
        ignore_index=IGNORED,
    )


def masked_loss(model: LanguageModel, tokens: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy (nats per masked base); IGNORED targets do not count."""
    scores = model.logits(tokens)
    return functional.cross_entropy(
        scores.reshape(-1, scores.shape[-1]).float(), targets.reshape(-1), ignore_index=IGNORED
    )


def mask_bases(
    tokens: NDArray[np.int64],
    is_base: NDArray[np.bool_],
    bases: NDArray[np.int64],
    mask_token: int,
    share: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hide a share of the bases (Devlin et al. 2019: 80 % masked, 10 % random, 10 % kept).

    Parameters
    ----------
    tokens : int64 [B, L]
    is_base : bool [B, L]
    bases : int64 [4]
        Tokens of A, C, G, T.
    mask_token : int
    share : float
    rng : numpy Generator

    Returns
    -------
    inputs, targets : int64 [B, L]
        Targets are IGNORED where nothing was chosen.
    """
    chosen = is_base & (rng.random(tokens.shape) < share)
    fate = rng.random(tokens.shape)
    targets = np.where(chosen, tokens, IGNORED)
    random_bases = bases[rng.integers(0, 4, tokens.shape)]
    inputs = np.where(chosen & (fate < 0.8), mask_token, tokens)
    inputs = np.where(chosen & (fate >= 0.8) & (fate < 0.9), random_bases, inputs)
    return inputs, targets
