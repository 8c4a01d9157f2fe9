"""How long the executables take to answer ``--help``, against Python with argparse alone.

    python tests/bench/startup.py

The best of five, in seconds, and the ratio; they have to answer in less than 0.3 s.
"""

from __future__ import annotations

import subprocess
import sys
import time

from llmbin_tools.llmbin import COMMANDS


def best(code: str, repeat: int = 5) -> float:
    """Seconds of the quickest run of some Python code in an interpreter of its own."""
    took = []
    for _ in range(repeat):
        begin = time.monotonic()
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        took.append(time.monotonic() - begin)
    return min(took)


def main() -> int:
    """Print the table as TSV; returns 1 when a command takes too long."""
    bare = best("import argparse, pathlib")
    print(f"command\tseconds\tratio\npython\t{bare:.3f}\t1.0")
    slow = 0
    for command in COMMANDS:
        took = best(f"from llmbin_tools.{command} import main; main(['--help'])")
        print(f"{command}\t{took:.3f}\t{took / bare:.1f}")
        slow += took > 0.3
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
