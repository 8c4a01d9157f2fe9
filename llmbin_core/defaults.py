"""The defaults that executables show and stages use; nothing is imported here, so help is quick."""

from __future__ import annotations

# Views
N_VIEWS = 6
RANDOM_SEED = 0

# Kind of reads that were assembled and mapped; hybrid: long and short ones together.
READS = "short"
READ_KINDS = ("short", "long", "hybrid")

# Contigs
MIN_LENGTH = 1000
SEPARATOR = ":"

# Multi-sample binning: smaller samples are not binned; on average a joined assembly has as many.
MIN_SAMPLE_CONTIGS = 10
MULTI_SAMPLE = ("auto", "yes", "no")

# Coverage
MIN_MAPQ = 0
MIN_IDENTITY = 0.0

# Embedding: the bundled gLM; NO_GLM runs without the stage.
NO_GLM = "none"
BASELINES = ("tnf", "spectrum")
HUB_PREFIX = "hf:"
GLM = "compact"

# Training
TRAINING: dict[str, int | float | str | None] = {
    "objective": "views",
    "epochs": 30,
    "batch_size": 1024,
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "temperature": None,  # by the N50 of the contigs
    "views_per_step": 3,
    "coverage_weight": 0.0,
    "embedding_weight": 0.0,
    "width": 512,
    "depth": 2,
    "branch": 128,
    "latent": 128,
    "dropout": 0.1,
}

# Of these the options that a model of --init decides.
NETWORK = ("width", "depth", "branch", "latent", "dropout")

OBJECTIVES = ("views", "pairs")

# Clustering
GRID = "default"
GRIDS = ("default", "full")

# Bins
MIN_BIN_SIZE = 200_000
CHOOSE = "bins"
CHOICES = ("bins", "partition")
PREFIX = "bin"
