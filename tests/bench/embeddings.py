"""How well embeddings tell genomes apart, against k-mer frequencies.

    python tests/bench/embeddings.py --corpus CORPUS --split valid [--glm NAME ...]

Fragments of 1, 2, 5 and 10 kb of held-out genomes (a packed corpus, see ``llmbin-pretrain
--pack-only``): area under the ROC curve of cosine similarity for pairs of one genome against pairs
of two, share of fragments whose nearest neighbour is of the same genome, adjusted Rand index of
k-means at the true number of genomes, and bases per second.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from llmbin_core.glm.base import Embedder
from llmbin_core.glm.corpus import Corpus
from llmbin_core.glm.embed import embed_views
from llmbin_core.glm.hub import load_embedder
from llmbin_core.glm.retrieval import fragments, nearest_accuracy, pair_auc
from llmbin_core.glm.sampling import held_out

LENGTHS = (1000, 2000, 5000, 10000)
Vectors = NDArray[np.float32]


def centred_log_ratio(frequencies: Vectors, length: int) -> Vectors:
    """CLR of 4-mer frequencies with one pseudocount per 4-mer."""
    logs = np.log(frequencies * (length - 3) + 1)
    return np.asarray(logs - logs.mean(1, keepdims=True), dtype=np.float32)


def score(vectors: Vectors, labels: NDArray[np.int64], seed: int) -> tuple[float, float, float]:
    """AUC, nearest-neighbour accuracy, k-means ARI of unit vectors."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    means = KMeans(len(np.unique(labels)), n_init=4, random_state=seed).fit(unit)
    ari = float(adjusted_rand_score(labels, means.labels_))
    return pair_auc(vectors, labels), nearest_accuracy(vectors, labels), ari


def embed(embedder: Embedder, sequences: list[NDArray[np.uint8]]) -> tuple[Vectors, float]:
    """Embeddings of whole sequences and seconds taken."""
    starts = np.zeros((len(sequences), 1), dtype=np.int64)
    ends = np.array([[len(s)] for s in sequences], dtype=np.int64)
    began = time.perf_counter()
    vectors = embed_views(embedder, sequences, starts, ends)[:, 0]
    return vectors, time.perf_counter() - began


def main() -> int:
    """Print the table as TSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--split-column", default="split")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--glm", nargs="*", default=["compact"])
    parser.add_argument("--per-genome", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    corpus = Corpus(args.corpus)
    chosen = held_out(corpus, args.split_column, args.split)
    embedders = {name: load_embedder(name, args.device) for name in ["tnf", "spectrum", *args.glm]}
    out = sys.stdout
    out.write("embedding\tlength\tfragments\tauc\terror_vs_tnf\tnearest\tari\tMbp_per_s\n")
    for length in LENGTHS:
        sequences, labels = fragments(corpus, chosen, length, args.per_genome, args.seed)
        baseline = 0.0
        for name, embedder in embedders.items():
            vectors, seconds = embed(embedder, sequences)
            rows = [(name, vectors)]
            if name == "tnf":
                rows.append(("tnf-clr", centred_log_ratio(vectors, length)))
            for label, table in rows:
                auc, nearest, ari = score(table, labels, args.seed)
                baseline = baseline or 1 - auc
                speed = length * len(sequences) / seconds / 1e6
                out.write(
                    f"{label}\t{length}\t{len(labels)}\t{auc:.4f}\t{(1 - auc) / baseline:.3f}\t"
                    f"{nearest:.4f}\t{ari:.4f}\t{speed:.2f}\n"
                )
                out.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
