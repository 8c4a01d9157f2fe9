"""The composition of made-up genomes: nucleotide chains and the codon usage that fits them.

A genome has a signature: how much more or less often than chance a base follows the 1..k bases
before it. Together with a GC content it gives a Markov chain of order k for what lies between the
genes and a chain of codons for the genes. In the latter GC works on the third base more than on
the others, as in real genomes, where GC at third positions runs from under 10 to over 90 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
ANY = len(RESIDUES)

# Genetic code 11 with bases in the order A, C, G, T.
_CODE = "KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF"
STOPS = np.array([i for i, aa in enumerate(_CODE) if aa == "*"])
IS_STOP: NDArray[np.bool_] = np.array([aa == "*" for aa in _CODE])
RESIDUE_OF = np.array([RESIDUES.find(aa) for aa in _CODE])
# allowed[r, c]: codon c codes for residue r; the last row is any residue.
ALLOWED: Floats = np.vstack([np.arange(ANY)[:, None] == RESIDUE_OF, ~IS_STOP]).astype(np.float64)

# Shares of amino acids in bacterial proteins, in the order of RESIDUES (%).
_SHARES = np.array(
    [
        [9.5, 1.0, 5.4, 6.2, 3.9, 7.3, 2.2, 6.1, 5.2, 10.3],
        [2.5, 4.0, 4.4, 3.8, 5.5, 6.0, 5.4, 7.1, 1.3, 2.9],
    ]
)
RESIDUE_SHARES: Floats = (_SHARES / _SHARES.sum()).reshape(-1)

_CODONS = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1)
_IS_GC = (_CODONS == 1) | (_CODONS == 2)
_GC_PULL = 0.35 * (_IS_GC[:, 0] + _IS_GC[:, 1]) + _IS_GC[:, 2]

# Spread of the signature at orders 1..5, and of the preference among synonymous codons.
_ORDER_SPREAD = (0.18, 0.12, 0.10, 0.08, 0.06)
_USAGE_SPREAD = 0.35
_CODON_CONTEXT = 3


@dataclass(frozen=True)
class Signature:
    """What distinguishes the composition of a genome besides its GC content.

    Attributes
    ----------
    follows : tuple of float64 [4**j, 4], j = 1..k
        Logarithm of the preference for a base after the j bases before it.
    usage : float64 [64]
        Logarithm of the preference for each codon.
    """

    follows: tuple[Floats, ...]
    usage: Floats

    @property
    def order(self) -> int:
        """Order k of the chain."""
        return len(self.follows)


@dataclass(frozen=True)
class Profile:
    """Chains of a signature at one GC content.

    Attributes
    ----------
    background : float64 [4**k, 4]
        Cumulative probabilities of the next base.
    codons : float64 [64, 64]
        Weight of each codon (columns) after another (rows); stop codons have none.
    stops : float64 [3]
        Cumulative probabilities of the stop codons, in the order of `STOPS`.
    """

    order: int
    background: Floats
    codons: Floats
    stops: Floats


def make_signature(rng: np.random.Generator, order: int) -> Signature:
    """Draw a signature of an order from 1 to 5."""
    follows = tuple(rng.normal(0, _ORDER_SPREAD[j - 1], (4**j, 4)) for j in range(1, order + 1))
    return Signature(follows, rng.normal(0, _USAGE_SPREAD, 64))


def make_profile(signature: Signature, gc: float) -> Profile:
    """The chains of a signature at a GC content (share, of genes and background alike)."""
    codons = _codon_chain(signature, gc)
    at_least = (1 - gc) ** _IS_GC.sum(axis=1)[STOPS]
    stops = at_least * gc ** (_IS_GC.sum(axis=1)[STOPS])
    return Profile(
        signature.order,
        _background_chain(signature, gc),
        codons,
        np.cumsum(stops / stops.sum()),
    )


def _background_chain(signature: Signature, gc: float) -> Floats:
    order = signature.order
    contexts = np.arange(4**order)
    preference = np.zeros((4**order, 4))
    for j, table in enumerate(signature.follows, 1):
        preference += table[contexts % 4**j]
    low, high = -3.0, 3.0
    for _ in range(30):
        pull = (low + high) / 2
        weights = np.exp(preference + np.array([-pull, pull, pull, -pull]))
        chain = weights / weights.sum(axis=1, keepdims=True)
        if _stationary_gc(chain, order) < gc:
            low = pull
        else:
            high = pull
    return np.asarray(np.cumsum(chain, axis=1))


def _stationary_gc(chain: Floats, order: int) -> float:
    """GC content in the long run; a context is the last `order` bases, the latest one last."""
    share = np.full(4**order, 4.0**-order)
    for _ in range(20 + order):
        # Contexts that differ in their oldest base lead to the same contexts.
        flow = (share[:, None] * chain).reshape(4, -1, 4).sum(axis=0)
        share = flow.reshape(-1)
    bases = share.reshape(-1, 4).sum(axis=0)
    return float(bases[1] + bases[2])


def _codon_chain(signature: Signature, gc: float) -> Floats:
    synonyms = np.bincount(RESIDUE_OF + 1)[RESIDUE_OF + 1]
    log_weight = np.log(RESIDUE_SHARES[RESIDUE_OF] / synonyms) + signature.usage
    before = np.arange(64)[:, None]
    first, second, third = _CODONS.T
    context = np.zeros((64, 64))
    for j, table in enumerate(signature.follows[:_CODON_CONTEXT], 1):
        context += table[before % 4**j, first]
        context += table[(4 * before + first) % 4**j, second]
        context += table[(16 * before + 4 * first + second) % 4**j, third]
    low, high = -5.0, 5.0
    for _ in range(30):
        pull = (low + high) / 2
        weights = np.exp(log_weight + context + pull * _GC_PULL) * ~IS_STOP
        if _codon_gc(weights) < gc:
            low = pull
        else:
            high = pull
    return np.asarray(weights)


def _codon_gc(weights: Floats) -> float:
    chain = weights / weights.sum(axis=1, keepdims=True)
    share = np.full(64, 1 / 64)
    for _ in range(20):
        share = share @ chain
    return float(share @ _IS_GC.mean(axis=1))


def draw_background(rng: np.random.Generator, profile: Profile, length: int) -> Codes:
    """Bases of the background chain, uint8 [length]; drawn in 256 pieces side by side."""
    lanes = 256
    steps = -(-length // lanes)
    contexts = 4**profile.order
    state = rng.integers(0, contexts, lanes)
    bases = np.empty((steps, lanes), dtype=np.uint8)
    for step in range(steps):
        ahead = profile.background[state]
        base = (rng.random(lanes)[:, None] >= ahead[:, :3]).sum(axis=1)
        bases[step] = base
        state = (4 * state + base) % contexts
    return bases.T.reshape(-1)[:length]


def draw_codons(
    rng: np.random.Generator, chains: Floats, chain_of: NDArray[np.int64], residues: Codes
) -> Codes:
    """Codons of many genes at once.

    Parameters
    ----------
    chains : float64 [p, 64, 64]
        Codon weights of several profiles.
    chain_of : int64 [n]
        The profile of each gene.
    residues : uint8 [n, length]
        What each codon has to code for: an index into `RESIDUES`, or `ANY`; 255 behind the end of
        a gene. Genes must come with the longest first.

    Returns
    -------
    codons : uint8 [n, length]
        0..63; undefined behind the end of a gene.
    """
    n, length = residues.shape
    codons = np.zeros((n, length), dtype=np.uint8)
    last = np.asarray(rng.integers(0, 64, n))
    active = (residues != 255).sum(axis=0)
    for step in range(length):
        k = int(active[step])
        weights = chains[chain_of[:k], last[:k]] * ALLOWED[residues[:k, step]]
        ahead = np.cumsum(weights, axis=1)
        target = rng.random(k) * ahead[:, -1]
        last[:k] = (ahead <= target[:, None]).sum(axis=1)
        codons[:k, step] = last[:k]
    return codons
