"""The record of a run: what each stage was made from, so that a later run knows what still holds.

The record (``run.json``) is written after the outputs of a stage, never before. Files are known by
the digest of their content, not by their times, so a touched file changes nothing and an edited
one is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from llmbin_core import __version__
from llmbin_core.errors import InputError
from llmbin_core.files import fingerprint, open_input, write_text

SCHEMA, SCHEMA_VERSION = "run", 1

# What a result can depend on.
_LIBRARIES = (
    "backports.zstd", "biopython", "igraph", "numpy", "pyhmmer", "pyrodigal", "pysam",
    "safetensors", "scikit-learn", "scipy", "torch", "usearch",
)  # fmt: skip

# Argument -> [[file name, digest], ...]
Inputs = dict[str, list[list[str]]]


@dataclass(frozen=True)
class StageRecord:
    """What is known of one stage.

    Attributes
    ----------
    name : str
    status : str
        ``running``, ``done`` or ``failed``.
    llmbin_version : str
        Of the program that ran it.
    reason : str
        Why it was run.
    options : mapping
        What determines its result, besides the inputs.
    inputs : mapping
        Argument -> names and digests of its files.
    outputs : mapping
        Name of each output -> digest.
    started : str
        UTC.
    wall_seconds, cpu_seconds : float
    peak_mib : float
        Memory of its largest process.
    error : str
        Message of a failure.
    """

    name: str
    status: str
    llmbin_version: str = __version__
    reason: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    error: str = ""


class Digests:
    """Digests of files and folders, each computed once until it is forgotten."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """Digest of a file, or of the names and contents of the files of a folder.

        Raises
        ------
        InputError
            There is no such file, or it cannot be read.
        """
        if path not in self._known:
            self._known[path] = _folder(path) if path.is_dir() else _file(path)
        return self._known[path]

    def forget(self, paths: Sequence[Path]) -> None:
        """Compute these anew when they are asked for next: they are about to change."""
        for path in paths:
            self._known.pop(path, None)


def _file(path: Path) -> str:
    open_input(path).close()  # a missing or unreadable file is reported as such
    return fingerprint(path)


def _folder(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\t{fingerprint(file)}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def difference(old: StageRecord | None, new: StageRecord) -> str | None:
    """Why the outputs that `old` describes are not those of `new`; None when they are.

    Parameters
    ----------
    old : StageRecord or None
        What was run before.
    new : StageRecord
        What is wanted: version, options and inputs.
    """
    if old is None:
        return "has not been run"
    if old.status != "done":
        return "failed before" if old.status == "failed" else "was interrupted"
    if old.llmbin_version != new.llmbin_version:
        return f"LLMBin {old.llmbin_version} made it, this is {new.llmbin_version}"
    for key in sorted(old.options.keys() | new.options.keys()):
        before, now = old.options.get(key), new.options.get(key)
        if before != now:
            return f"{key} changed from {_show(before)} to {_show(now)}"
    for role in sorted(old.inputs.keys() | new.inputs.keys()):
        before_files, now_files = old.inputs.get(role, []), new.inputs.get(role, [])
        if before_files != now_files:
            return _changed_files(before_files, now_files)
    return None


def _show(value: Any) -> str:
    return "none" if value in (None, "") else str(value)


def _changed_files(before: list[list[str]], now: list[list[str]]) -> str:
    names_before, names_now = [n for n, _ in before], [n for n, _ in now]
    added = [n for n in names_now if n not in names_before]
    removed = [n for n in names_before if n not in names_now]
    if added:
        return f"new input {added[0]}"
    if removed:
        return f"input {removed[0]} is gone"
    pairs = zip(before, now, strict=True)
    return next((f"{b[0]} changed" for a, b in pairs if a != b), "other inputs")


def changed_output(record: StageRecord, folder: Path, digests: Digests) -> str | None:
    """Which output is missing or differs from its record; None when all hold."""
    for name, digest in record.outputs.items():
        path = folder / name
        if not path.exists():
            return f"{name} is missing"
        if digests.of(path) != digest:
            return f"{name} was changed since"
    return None


def json_value(value: Any) -> Any:
    """A value as JSON gives it back: paths as text, tuples as lists."""
    return json.loads(json.dumps(value, default=str))


def read_records(path: Path) -> dict[str, StageRecord]:
    """Stage records of a former run, by name; none where there is no file.

    Raises
    ------
    InputError
        The file is not a run record of this program.
    """
    if not path.exists():
        return {}
    remedy = "use another --out folder, or remove the file to run everything again"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if (document["schema"], document["schema_version"]) != (SCHEMA, SCHEMA_VERSION):
            raise ValueError("another format")
        entries = [*document["stages"], *document["unused_stages"]]
        return {entry["name"]: StageRecord(**entry) for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a run record of this version ({error}); {remedy}") from None


def write_records(
    path: Path,
    head: Mapping[str, Any],
    records: Sequence[StageRecord],
    unused: Sequence[StageRecord] = (),
) -> None:
    """Write ``run.json`` atomically.

    Parameters
    ----------
    path : Path
    head : mapping
        What holds for the run as a whole.
    records : sequence of StageRecord
    unused : sequence of StageRecord
        Stages of former runs in this folder that this run does without.
    """
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "llmbin_version": __version__,
        **head,
        "stages": [asdict(record) for record in records],
        "unused_stages": [asdict(record) for record in unused],
    }
    write_text(path, json.dumps(document, indent=1) + "\n")


def now() -> str:
    """UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def environment() -> dict[str, Any]:
    """Versions and machine, for the record."""
    versions = {"python": platform.python_version(), "llmbin": __version__}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        },
    }
