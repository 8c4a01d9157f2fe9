"""Last step on an environment before it is shipped: note, trim, compile, forget the time.

``finish.py ENVIRONMENT REPORT...``, with the reports of ``pip install --report``.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

NOTE = "share/llmbin/wheels.sha256"
OURS = ("llmbin_core", "llmbin_tools")

# Under site-packages. What no program of the image reads: tests of libraries, and what compiles or
# links against torch. `torch_shm_manager` stays, torch asks for it when it is imported.
TESTS = ("tests", "test")
TORCH = (
    "torch/include",
    "torch/share",
    "torch/bin/*",
    "torch/lib/*.a",
    "torch/lib/lib*_test.so",
    "torch/lib/libbackend_with_compiler.so",
    "torch/lib/libaoti_custom_ops.so",
)
KEPT = ("torch/bin/torch_shm_manager",)
SOURCES = ("*.pyx", "*.pxd", "*.pyi", "*.h", "*.hpp", "*.cuh")


def note_wheels(reports: list[Path], note: Path) -> None:
    """Write the digest of every installed wheel; where it came from is nobody's business."""
    lines = []
    for report in reports:
        for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
            archive = item["download_info"]["archive_info"]
            # Of a local file, older versions of pip write the digest in the older form alone.
            digest = archive.get("hashes", {}).get("sha256") or archive["hash"].split("=")[1]
            lines.append(f"{digest}  {item['metadata']['name']}=={item['metadata']['version']}\n")
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text("".join(sorted(lines, key=lambda line: line.split()[1])), encoding="utf-8")


def unneeded(site: Path) -> Iterator[Path]:
    """Files and folders of installed libraries that no program of the image reads."""
    kept = {site / name for name in KEPT}
    for folder in site.rglob("*"):
        if folder.name in TESTS and folder.is_dir():
            yield folder
    for pattern in (*TORCH, *(f"**/{name}" for name in SOURCES)):
        yield from (path for path in site.glob(pattern) if path not in kept)


def remove(path: Path) -> int:
    """Remove a file or folder; its size."""
    if path.is_dir() and not path.is_symlink():
        size = sum(p.lstat().st_size for p in path.rglob("*"))
        shutil.rmtree(path)
        return size
    if not path.is_symlink() and not path.exists():
        return 0
    size = path.lstat().st_size
    path.unlink()
    return size


def compiled(folder: Path) -> bool:
    """Compile all modules below a folder; whether every one could be."""
    # Digests instead of times, and unchecked: nobody edits the files of an image. By force, since
    # a module that pip compiled holds the time of its source and would be kept.
    mode = PycInvalidationMode.UNCHECKED_HASH
    return bool(
        compileall.compile_dir(
            folder, maxlevels=30, force=True, quiet=2, workers=0, invalidation_mode=mode
        )
    )


def main() -> int:
    environment, *reports = map(Path, sys.argv[1:])
    (site,) = environment.glob("lib/python3*/site-packages")
    note_wheels(reports, environment / NOTE)
    size = sum(remove(path) for path in list(unneeded(site)))
    # Without compiled modules every start of a container would compile them anew. Libraries hold
    # modules for newer Pythons too, which this one cannot compile; ours it must.
    compiled(site)
    done = all(compiled(site / name) for name in OURS)
    moment = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in (environment, *environment.rglob("*")):
        os.utime(path, (moment, moment), follow_symlinks=False)
    print(f"removed {size / 1e6:.0f} MB")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
