"""LLMBin: recover genomes from metagenomes with a genomic language model.

The library behind the ``llmbin`` executables. It knows no command line and no platform:
nothing here prints, parses arguments or ends the process.

`run` bins an assembly; the functions of `llmbin_core.stages` are its steps, one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmbin_core.results import RunResult, run

__version__ = "0.1.0"
__all__ = ["RunResult", "__version__", "run"]


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that --version and --help load nothing heavy.
    if name in ("RunResult", "run"):
        from llmbin_core import results

        return getattr(results, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
