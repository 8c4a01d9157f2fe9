"""Checkpoints inside training: weights, optimizer state and curve, tied to one run."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from llmbin_core.encoder.features import Sample
from llmbin_core.encoder.network import BinningEncoder, NetworkShape
from llmbin_core.files import atomic_path

log = logging.getLogger("llmbin")

_KEY = "llmbin"


class CheckpointFile:
    """The checkpoint of one training run.

    Parameters
    ----------
    path : Path
    samples, shape, options, init
        What the run is made of; a checkpoint of other ones is left aside.
    """

    def __init__(
        self,
        path: Path,
        samples: Sequence[Sample],
        shape: NetworkShape,
        options: Any,
        init: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.path = path
        run = [asdict(shape), asdict(options), [s.contigs.digest for s in samples]]
        sums = [float(v.sum(dtype="float64")) for s in samples for v in s.features.values()]
        sums += [float(tensor.double().sum()) for tensor in (init or {}).values()]
        species = [None if s.species is None else s.species.tolist() for s in samples]
        self._run = hashlib.sha256(
            json.dumps([run, sums, species], sort_keys=True).encode()
        ).hexdigest()

    def save(
        self,
        encoder: BinningEncoder,
        optimizer: torch.optim.Optimizer,
        curve: Sequence[Sequence[float]],
    ) -> None:
        """Write the state after the last epoch of `curve`."""
        tensors = {f"weights.{name}": t.cpu() for name, t in encoder.state_dict().items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{key}": t.cpu() for key, t in state.items()}
        tensors = {name: t.contiguous() for name, t in tensors.items()}
        document = json.dumps({"run": self._run, "curve": [list(row) for row in curve]})
        payload = save(tensors, metadata={_KEY: document})
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(payload)

    def restore(
        self, encoder: BinningEncoder, optimizer: torch.optim.Optimizer
    ) -> list[list[float]]:
        """Load the state if there is one of this run; returns the curve so far."""
        if not self.path.exists():
            return []
        try:
            with safe_open(self.path, framework="pt") as handle:
                document = json.loads((handle.metadata() or {}).get(_KEY, "{}"))
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        except SafetensorError:
            document = {}
        if document.get("run") != self._run:
            log.warning("%s: a checkpoint of another run; training from the start", self.path)
            return []
        prefix = "weights."
        encoder.load_state_dict(
            {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        )
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                number, key = rest.split(".")
                state.setdefault(int(number), {})[key] = tensor
        whole = optimizer.state_dict()
        optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
        curve: list[list[float]] = document["curve"]
        log.info("training continues after epoch %d", len(curve))
        return curve
