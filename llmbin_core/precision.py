"""When 16-bit brain floats are quick on this machine."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from llmbin_core.errors import UsageError

_FLAGS = ("amx_bf16", "avx512_bf16")


@lru_cache(maxsize=1)
def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 natively (AMX or AVX512-BF16; Linux only)."""
    try:
        return any(flag in Path("/proc/cpuinfo").read_text() for flag in _FLAGS)
    except OSError:
        return False


def wants_bf16(device: torch.device, precision: str) -> bool:
    """Whether to compute in bfloat16.

    Parameters
    ----------
    device : torch.device
    precision : str
        ``bf16``, ``fp32``, or ``auto``: bfloat16 where the device is built for it.
    """
    if precision not in ("auto", "bf16", "fp32"):
        raise UsageError(f"precision '{precision}': use auto, bf16 or fp32")
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and cpu_has_bf16()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context in which matrix products run in bfloat16 where `wants_bf16`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=wants_bf16(device, precision))
