"""Where torch computes."""

from __future__ import annotations

import logging

import torch

from llmbin_core.errors import EnvironmentFault, UsageError

log = logging.getLogger("llmbin")


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name; ``auto`` takes CUDA or MPS when there is one, else the CPU.

    Raises
    ------
    UsageError
        Unknown name.
    EnvironmentFault
        The device was asked for but this machine has none.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        log.info("no accelerator found: computing on the CPU")
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise UsageError(f"device '{name}': use auto, cpu, cuda, cuda:N or mps")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise EnvironmentFault(
            f"device {name}: this machine shows {torch.cuda.device_count()} CUDA devices to this "
            "program; use --device auto or cpu, or check the driver and the PyTorch build"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise EnvironmentFault("device mps: not available here; use --device auto or cpu")
    return torch.device(name)


def use_threads(threads: int) -> None:
    """Give torch this many CPU threads and make its results repeatable."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
