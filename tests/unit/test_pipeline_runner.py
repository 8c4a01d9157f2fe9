"""What is run again and what is not; what the record of a run says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pipeline_fakes as fakes
import pytest
from pipeline_fakes import calls, chain

from llmbin_core import runrecord
from llmbin_core.errors import EnvironmentFault, InputError, UsageError
from llmbin_core.runner import Runner, Stage

HEAD = {"mode": "test"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_text("x")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out {a} 'b'"


def run(stages: list[Stage], out: Path, first: str | None = None) -> dict[str, str | None]:
    preview = {s.stage: s.reason for s in Runner(out, stages, HEAD, first).preview()}
    done = {s.stage: s.reason for s in Runner(out, stages, HEAD, first).run()}
    # What runs was foretold; more may be foretold than runs, as results can come out the same.
    assert {name for name, reason in done.items() if reason} <= {
        name for name, reason in preview.items() if reason
    }
    return done


def test_a_second_run_does_nothing(source: Path, out: Path) -> None:
    first = run(chain(out, source), out)
    assert (set(first.values()), calls(out)) == ({"has not been run"}, "abcd")
    assert (out / "d").read_text() == "xx"
    second = run(chain(out, source, threads=2), out)
    assert (set(second.values()), calls(out)) == ({None}, "")


def test_preview_of_a_new_run_writes_nothing(source: Path, out: Path) -> None:
    steps = Runner(out, chain(out, source), HEAD).preview()
    assert [s.reason for s in steps] == ["has not been run", *["follows a"] * 2, "follows b"]
    assert not out.exists()


def test_a_changed_option_runs_the_stage_and_what_follows(source: Path, out: Path) -> None:
    run(chain(out, source), out)
    calls(out)
    done = run(chain(out, source, suffix="!"), out)
    assert calls(out) == "bd"
    assert done["b"] == "suffix changed from none to !"
    assert done["d"] == "b changed"
    assert (out / "d").read_text() == "x!x"


def test_a_changed_input_runs_all_that_depends_on_it(source: Path, out: Path) -> None:
    run(chain(out, source), out)
    calls(out)
    source.write_text("y")
    assert run(chain(out, source), out)["a"] == "source changed"
    assert calls(out) == "abcd"


def test_another_time_of_the_same_content_changes_nothing(source: Path, out: Path) -> None:
    run(chain(out, source), out)
    calls(out)
    for path in (source, out / "a", out / "b"):
        os.utime(path, (1, 1))
    run(chain(out, source), out)
    assert calls(out) == ""


def test_the_same_content_of_another_name_is_another_input(source: Path, out: Path) -> None:
    run(chain(out, source), out)
    other = source.rename(source.with_name("other"))
    assert run(chain(out, other), out)["a"] == "new input other"


def test_missing_and_edited_outputs_are_made_again(source: Path, out: Path) -> None:
    run(chain(out, source), out)
    calls(out)
    (out / "c").unlink()
    assert run(chain(out, source), out)["c"] == "c is missing"
    assert calls(out) == "c"  # it came out the same, so d still holds
    (out / "b").write_text("edited")
    assert run(chain(out, source), out)["b"] == "b was changed since"
    assert calls(out) == "b"


def test_another_version_runs_everything(
    source: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(chain(out, source), out)
    text = (out / "run.json").read_text()
    (out / "run.json").write_text(text.replace(runrecord.__version__, "0.0.1"))
    reason = run(chain(out, source), out)["a"]
    assert reason == f"LLMBin 0.0.1 made it, this is {runrecord.__version__}"


def test_first_forces_a_stage_and_what_uses_its_results(source: Path, out: Path) -> None:
    run(chain(out, source), out)
    calls(out)
    done = run(chain(out, source), out, first="b")
    assert (done["b"], done["d"], calls(out)) == ("asked for", "follows b", "bd")
    with pytest.raises(UsageError, match="--from e: this run has no such stage; it has a, b, c, d"):
        Runner(out, chain(out, source), HEAD, "e")


def test_missing_input_is_found_before_anything_runs(source: Path, out: Path) -> None:
    stages = chain(out, source)
    late = Stage("e", fakes.join, {"texts": (out / "d", out.parent / "no")}, {}, ())
    with pytest.raises(InputError, match="no such file"):
        Runner(out, [*stages, late], HEAD)
    assert not out.exists()


def test_record_tells_options_digests_and_cost(source: Path, out: Path) -> None:
    run(chain(out, source, suffix="!"), out)
    record = json.loads((out / "run.json").read_text())
    assert (record["schema"], record["mode"], record["status"]) == ("run", "test", "done")
    assert record["started"] <= record["finished"]
    stage = record["stages"][1]
    assert [s["name"] for s in record["stages"]] == ["a", "b", "c", "d"]
    assert (stage["status"], stage["options"]) == ("done", {"suffix": "!"})
    assert stage["inputs"]["texts"][0][0] == "a"
    assert stage["outputs"]["b"].startswith("sha256:")
    assert stage["wall_seconds"] > 0
    assert stage["peak_mib"] > 1


def test_failure_is_recorded_and_the_stage_runs_again(source: Path, out: Path) -> None:
    stages = chain(out, source)
    broken = [*stages[:2], Stage("c", fakes.refuse, {}, {}, (out / "c",)), stages[3]]
    with pytest.raises(InputError, match="cut short"):
        Runner(out, broken, HEAD).run()
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "failed"
    assert [s["status"] for s in record["stages"]] == ["done", "done", "failed"]
    assert record["stages"][2]["error"] == "reads.bam: cut short; copy it again"
    calls(out)
    assert run(stages, out)["c"] == "failed before"
    assert calls(out) == "cd"


def test_killed_while_writing_leaves_nothing_half(source: Path, out: Path) -> None:
    stages = chain(out, source)
    killed = [stages[0], Stage("b", fakes.write_half, {}, {"out": out / "b"}, (out / "b",))]
    with pytest.raises(EnvironmentFault, match="stage b was killed"):
        Runner(out, killed, HEAD).run()
    assert not (out / "b").exists()
    run(stages, out)
    assert sorted(p.name for p in out.iterdir()) == ["a", "b", "c", "d", "run.json"]


def test_a_record_of_a_running_stage_is_not_taken_for_done(source: Path, out: Path) -> None:
    run(chain(out, source), out)
    record = json.loads((out / "run.json").read_text())
    record["stages"][1]["status"] = "running"
    (out / "run.json").write_text(json.dumps(record))
    assert run(chain(out, source), out)["b"] == "was interrupted"


def test_outputs_of_a_former_name_are_removed(source: Path, out: Path) -> None:
    def stage(name: str) -> Stage:
        made = out / name
        return Stage(
            "a", fakes.join, {"texts": (source,)}, {"out": made}, (made,), {"suffix": name}
        )

    run([stage("plain")], out)
    run([stage("plain.gz")], out)
    assert sorted(p.name for p in out.iterdir()) == ["plain.gz", "run.json"]


def test_stages_that_a_run_does_without_are_kept_for_later(source: Path, out: Path) -> None:
    stages = chain(out, source)
    run(stages, out)
    run(stages[:2], out)
    calls(out)
    assert run(stages, out)["d"] is None
    assert calls(out) == ""


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "run", "schema_version": 99}'])
def test_a_record_that_is_none(source: Path, out: Path, text: str) -> None:
    out.mkdir()
    (out / "run.json").write_text(text)
    with pytest.raises(InputError, match="not a run record of this version"):
        Runner(out, chain(out, source), HEAD)
