"""Running a list of stages in one folder, and going on where a former run stopped.

A stage is run when it has no record, when its options, inputs or the program version differ from
its record, or when its outputs are not those that the record describes. Its record is written
after its outputs, so a run that is killed at any moment leaves nothing that passes for done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from llmbin_core import childprocess, outputs
from llmbin_core.errors import LlmbinError, UsageError
from llmbin_core.files import clear_leftovers, open_input
from llmbin_core.runrecord import (
    Digests,
    StageRecord,
    changed_output,
    difference,
    json_value,
    now,
    read_records,
    write_records,
)

log = logging.getLogger("llmbin")

Paths = Path | tuple[Path, ...]


@dataclass(frozen=True)
class Stage:
    """One step of a run: ``function(**inputs, **targets, **options, **means)``.

    Attributes
    ----------
    name : str
    function : callable
        Importable by name.
    inputs : mapping
        Argument -> file, folder or files that are read.
    targets : mapping
        Argument -> where to write.
    produces : tuple of Path
        The files and folders that are written, all directly in the folder of the run.
    options : mapping
        Arguments that determine the result.
    means : mapping
        Arguments that do not: threads, device.
    """

    name: str
    function: Callable[..., object]
    inputs: Mapping[str, Paths]
    targets: Mapping[str, Path]
    produces: tuple[Path, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    means: Mapping[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, tuple[Path, ...]]:
        """Inputs, each as a tuple."""
        return {k: v if isinstance(v, tuple) else (v,) for k, v in self.inputs.items()}

    def follows(self, other: Stage) -> bool:
        """Whether it reads what the other one writes."""
        return any(path in other.produces for paths in self.files.values() for path in paths)


@dataclass(frozen=True)
class Step:
    """What a run does, or did, about a stage; `reason` is None when its outputs still hold."""

    stage: str
    reason: str | None


class Runner:
    """A list of stages and the folder they share.

    Parameters
    ----------
    folder : Path
    stages : sequence of Stage
        In the order in which they run.
    head : mapping
        What the record says of the run as a whole.
    first : str, optional
        This stage and all that use its results are run in any case.

    Raises
    ------
    InputError
        An input of the run is missing; the folder holds a record that cannot be read.
    UsageError
        There is no such first stage.
    """

    def __init__(
        self,
        folder: Path,
        stages: Sequence[Stage],
        head: Mapping[str, Any],
        first: str | None = None,
    ) -> None:
        self.folder = folder
        self.stages = tuple(stages)
        self.head = dict(head)
        self._first = first
        self._forced = _with_followers(self.stages, first)
        self._record_file = folder / outputs.RUN_RECORD
        self._records = read_records(self._record_file)
        self._digests = Digests()
        made = {path for stage in self.stages for path in stage.produces}
        for path in _inputs_of(self.stages):
            if path not in made and not path.is_dir():
                open_input(path).close()

    def preview(self) -> list[Step]:
        """What `run` would do; writes nothing."""
        steps: list[Step] = []
        pending: list[Stage] = []
        for stage in self.stages:
            before = next((p for p in pending if stage.follows(p)), None)
            if stage.name in self._forced:
                reason: str | None = self._force(stage)
            elif before:
                reason = f"follows {before.name}"
            else:
                reason = self._reason(stage, self._wanted(stage))
            if reason:
                pending.append(stage)
            steps.append(Step(stage.name, reason))
        return steps

    def run(self) -> list[Step]:
        """Run what has to be run.

        Raises
        ------
        LlmbinError
            A stage failed; the record says which one and why.
        """
        clear_leftovers(self._record_file)
        self.head |= {"status": "running", "started": now()}
        steps = []
        try:
            for number, stage in enumerate(self.stages, 1):
                wanted = self._wanted(stage)
                reason = self._force(stage) or self._reason(stage, wanted)
                label = f"stage {number} of {len(self.stages)}, {stage.name}"
                if reason is None:
                    log.info("%s: up to date", label)
                else:
                    log.info("%s: %s", label, reason)
                    self._carry_out(stage, replace(wanted, reason=reason))
                steps.append(Step(stage.name, reason))
        except Exception:
            self.head["status"] = "failed"
            raise
        except BaseException:
            self.head["status"] = "interrupted"
            raise
        else:
            self.head["status"] = "done"
        finally:
            self.head["finished"] = now()
            self._save()
        return steps

    def _carry_out(self, stage: Stage, wanted: StageRecord) -> None:
        old = self._records.get(stage.name)
        begun = replace(wanted, status="running", started=now())
        self._records[stage.name] = begun
        self._save()
        self._digests.forget(stage.produces)
        for target in (*stage.produces, *_paths_in(stage.means)):
            clear_leftovers(target)
        arguments = {**stage.inputs, **stage.targets, **stage.options, **stage.means}
        try:
            usage = childprocess.call(f"stage {stage.name}", stage.function, arguments)
            made = {path.name: self._digests.of(path) for path in stage.produces}
        except Exception as error:
            text = str(error) if isinstance(error, LlmbinError) else f"defect: {error}"
            self._records[stage.name] = replace(begun, status="failed", error=text)
            raise
        self._remove_outdated(old, made)
        self._records[stage.name] = replace(
            begun,
            status="done",
            outputs=made,
            wall_seconds=round(usage.wall_seconds, 3),
            cpu_seconds=round(usage.cpu_seconds, 3),
            peak_mib=round(usage.peak_mib, 1),
        )
        self._save()
        log.info(
            "%s: %.1f s, %.1f s of CPU time, %.0f MiB",
            stage.name,
            usage.wall_seconds,
            usage.cpu_seconds,
            usage.peak_mib,
        )

    def _wanted(self, stage: Stage) -> StageRecord:
        inputs = {
            role: [[path.name, self._digests.of(path)] for path in paths]
            for role, paths in stage.files.items()
        }
        return StageRecord(
            stage.name, "wanted", options=json_value(dict(stage.options)), inputs=inputs
        )

    def _force(self, stage: Stage) -> str | None:
        if stage.name not in self._forced:
            return None
        return "asked for" if stage.name == self._first else f"follows {self._first}"

    def _reason(self, stage: Stage, wanted: StageRecord) -> str | None:
        old = self._records.get(stage.name)
        reason = difference(old, wanted)
        if reason is None and old is not None:
            reason = changed_output(old, self.folder, self._digests)
        return reason

    def _remove_outdated(self, old: StageRecord | None, made: Mapping[str, str]) -> None:
        """Remove what the stage wrote under other names before (plain where it is now gzipped)."""
        for name in (old.outputs if old else {}).keys() - made.keys():
            if name == Path(name).name:
                (self.folder / name).unlink(missing_ok=True)

    def _save(self) -> None:
        names = [stage.name for stage in self.stages]
        mine = [self._records[name] for name in names if name in self._records]
        unused = [record for name, record in self._records.items() if name not in names]
        write_records(self._record_file, self.head, mine, unused)


def _with_followers(stages: Sequence[Stage], first: str | None) -> set[str]:
    if first is None:
        return set()
    names = [stage.name for stage in stages]
    if first not in names:
        raise UsageError(f"--from {first}: this run has no such stage; it has {', '.join(names)}")
    found = [stages[names.index(first)]]
    for stage in stages:
        if stage not in found and any(stage.follows(other) for other in found):
            found.append(stage)
    return {stage.name for stage in found}


def _inputs_of(stages: Iterable[Stage]) -> list[Path]:
    return [path for stage in stages for paths in stage.files.values() for path in paths]


def _paths_in(arguments: Mapping[str, Any]) -> list[Path]:
    return [value for value in arguments.values() if isinstance(value, Path)]
