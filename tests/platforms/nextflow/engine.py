"""Runs processes of Nextflow modules without Nextflow: Groovy renders their blocks, bash runs them.

What Nextflow does around a script is done here in the same way: a folder of its own for every
task, links to its inputs under the names that ``stageAs`` gives them, ``bash -Ceuo pipefail``, and
outputs found by their patterns, among which inputs do not count.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NEXTFLOW = HERE.parents[2] / "nextflow"
MODULES = NEXTFLOW / "modules" / "llmbin"
# Where npm put Groovy and prettier.
PACKAGES = Path(os.environ.get("LLMBIN_NPM", "."))

PREFIX = "MEGAHIT-LLMBin-s1"
# Few epochs and no big network: what is computed is tested elsewhere.
SMALL = "--epochs 2 --width 64"

# Of the community whose samples are assembled apart.
SAMPLES, MULTI_SIZE = ["S1", "S2"], "100000"

# A value of an input channel: a file, several files, or anything else.
Value = Any
# An input with its meta map that is not given.
NO_FILE: list[Value] = [{"id": "none"}, []]


class TaskFailed(Exception):
    """The script of a task ended with another code than 0."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"exit code {code}\n{text}")
        self.code, self.text = code, text


class Refused(Exception):
    """The block called ``error()``."""


@dataclass
class Done:
    """A finished task: its folder, and the files of each output by its ``emit`` name."""

    folder: Path
    files: dict[str, list[Path]]
    versions: dict[str, str]
    directives: dict[str, list[str]]
    script: str

    def one(self, name: str) -> Path:
        """The only file of an output."""
        (path,) = self.files[name]
        return path


@dataclass
class Engine:
    """Renders and runs tasks; every task gets a new folder below `work`."""

    groovy_jars: str
    work: Path
    path: str = field(default_factory=lambda: os.environ["PATH"])

    def __post_init__(self) -> None:
        self._count = itertools.count(1)
        self._groovy = subprocess.Popen(
            ["java", "-cp", self.groovy_jars, "groovy.ui.GroovyMain", str(HERE / "render.groovy")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the Groovy process."""
        assert self._groovy.stdin is not None
        assert self._groovy.stdout is not None
        self._groovy.stdin.close()
        self._groovy.wait()
        self._groovy.stdout.close()

    def render(
        self,
        stage: str,
        inputs: Sequence[Sequence[Value]],
        block: str = "script",
        ext: Mapping[str, Any] | None = None,
        *,
        cpus: int = 1,
        accelerator: int | None = None,
        container_engine: str = "docker",
    ) -> dict[str, Any]:
        """Blocks of the process of a stage, as Nextflow would see them."""
        request = {
            "module": str(MODULES / stage / "main.nf"),
            "block": block,
            "inputs": inputs,
            "task": {
                "ext": dict(ext or {}),
                "cpus": cpus,
                "accelerator": accelerator,
                "process": f"LLMBIN_{stage.upper()}",
            },
            "workflow": {"containerEngine": container_engine},
        }
        assert self._groovy.stdin is not None
        assert self._groovy.stdout is not None
        self._groovy.stdin.write(json.dumps(request) + "\n")
        self._groovy.stdin.flush()
        answer: dict[str, Any] = json.loads(self._groovy.stdout.readline())
        if "error" in answer:
            raise Refused(answer["error"])
        assert "failure" not in answer, f"{stage}: {answer['failure']}"
        return answer

    def run(
        self,
        stage: str,
        inputs: Sequence[Sequence[Value]],
        block: str = "script",
        ext: Mapping[str, Any] | None = None,
        **task: Any,
    ) -> Done:
        """Stage the inputs, run the block with bash, find the outputs."""
        folder = self.work / f"{next(self._count):03d}-{stage}-{block}"
        folder.mkdir(parents=True)
        patterns = staging(MODULES / stage / "main.nf")
        given = [
            [_stage(folder, value, pattern) for value, pattern in zip(values, names, strict=True)]
            for values, names in zip(inputs, patterns, strict=True)
        ]
        answer = self.render(stage, given, block, ext, **task)
        before = set(folder.rglob("*"))
        (folder / ".command.sh").write_text(answer["script"])
        _bash(folder, ".command.sh", self.path)
        made = Done(folder, {}, {}, answer["directives"], answer["script"])
        for output in answer["outputs"]:
            self._collect(made, output, before)
        return made

    def _collect(self, made: Done, output: dict[str, Any], before: set[Path]) -> None:
        parts = output["parts"] if output["kind"] == "tuple" else [output]
        for part in parts:
            if part["kind"] == "path":
                found = [p for p in braces(made.folder, part["value"]) if p not in before]
                if not found and not output.get("optional", False):
                    raise TaskFailed(0, f"no file for output '{part['value']}'")
                made.files[output["emit"]] = found
            elif part["kind"] == "eval":
                (made.folder / ".eval.sh").write_text(part["value"])
                made.versions[output["emit"]] = _bash(made.folder, ".eval.sh", self.path).strip()


def braces(folder: Path, pattern: str) -> list[Path]:
    """Files of a glob in which ``{a,b}`` stands for alternatives."""
    if choice := re.search(r"\{([^}]*)\}", pattern):
        head, tail = pattern[: choice.start()], pattern[choice.end() :]
        return [p for text in choice[1].split(",") for p in braces(folder, head + text + tail)]
    return sorted(p for p in folder.glob(pattern) if not p.name.startswith("."))


@functools.cache
def staging(module: Path) -> list[list[str | None]]:
    """For each input channel, under what name each of its values is staged; None: no file."""
    text = module.read_text(encoding="utf-8")
    block = text.split("    input:\n")[1].split("    output:\n")[0]
    return [
        [_name(part) for part in re.findall(r"(?:val|path)\([^)]*\)", line)]
        for line in block.splitlines()
        if line.strip()
    ]


def _name(part: str) -> str | None:
    if part.startswith("val"):
        return None
    found = re.search(r"stageAs: '([^']+)'", part)
    return found[1] if found else "*"


def _stage(folder: Path, value: Value, pattern: str | None) -> Value:
    if pattern is None or value == []:
        return value
    files = value if isinstance(value, list) else [value]
    staged = []
    for number, file in enumerate(files, 1):
        name = pattern.replace("?", str(number))
        name = name[:-1] + file.name if name.endswith("*") else name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(file.resolve())
        staged.append({"path": name})
    return staged if len(staged) > 1 else staged[0]


def _bash(folder: Path, script: str, path: str) -> str:
    command = ["bash", "-Ceuo", "pipefail", script]
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise TaskFailed(done.returncode, done.stderr)
    return done.stdout


def groovy_jars(packages: Path) -> str:
    """Class path of the Groovy 4 that the npm package ``npm-groovy-lint`` carries."""
    folder = packages / "node_modules" / "npm-groovy-lint" / "lib" / "java" / "groovy" / "lib"
    return ":".join(str(p) for p in sorted(folder.glob("*.jar")))


def missing_tools(packages: Path) -> str:
    """Why modules cannot be rendered here; empty when they can."""
    if shutil.which("java") is None:
        return "there is no java"
    return "" if groovy_jars(packages) else f"there is no npm-groovy-lint below {packages}"
