"""What all executables have in common, and the umbrella over them."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from llmbin_tools import _common
from llmbin_tools.llmbin import COMMANDS
from llmbin_tools.llmbin import main as llmbin

from llmbin_core import __version__, defaults, stages
from llmbin_core.errors import EnvironmentFault, InputError, UsageError

HEAVY = {
    "torch", "numpy", "scipy", "sklearn", "pysam", "pyhmmer", "pyrodigal", "igraph", "usearch",
    "safetensors", "Bio", "tqdm", "multiprocessing", "jinja2",
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        "import json, sys\n"
        f"from llmbin_tools.{command} import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    code = end.code\n"
        "print(json.dumps([code, sorted({m.split('.')[0] for m in sys.modules})]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    exit_code, modules = json.loads(done.stderr)
    assert exit_code == 0
    assert not HEAVY & set(modules)
    assert "example:" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_version(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        llmbin([command, "--version"])
    assert end.value.code == 0
    name = "llmbin run" if command == "run" else f"llmbin-{command}"
    assert capsys.readouterr().out == f"{name} {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_ends_with_2(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        llmbin([command, "--no-such-option"])
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


def _parser(command: str) -> argparse.ArgumentParser:
    module = importlib.import_module(f"llmbin_tools.{command}")
    parser: argparse.ArgumentParser = module._parser()
    return parser


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_are_shown_by_the_parser_not_typed(command: str) -> None:
    parser = _parser(command)
    for action in parser._actions:
        assert "default:" not in (action.help or ""), f"{command} {action.option_strings}"
        if not isinstance(action, argparse._SubParsersAction):
            assert action.option_strings, f"{command}: {action.dest} has no name; use options only"
    for option in ("--threads", "--quiet", "--verbose", "--debug", "--version"):
        assert option in parser._option_string_actions


# The views of pretrain are fragments of genomes, not of contigs.
@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"pretrain"}))
def test_same_option_same_default_everywhere(command: str) -> None:
    mine, run = _parser(command), _parser("run")
    shared = ("--views", "--seed", "--device", "--min-mapq", "--min-identity", "--grid", "--choose",
              "--prefix", "--epochs", "--batch-size", "--learning-rate", "--width")  # fmt: skip
    for option in shared:
        action = mine._option_string_actions.get(option)
        if action is not None:
            assert action.default == run._option_string_actions[option].default, option


def test_llmbin_alone_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert llmbin([]) == 0
    text = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert f"  {name} " in text
        assert line in text
    assert llmbin(["--version"]) == 0
    assert capsys.readouterr().out == f"llmbin {__version__}\n"


@pytest.mark.parametrize(("typed", "meant"), [("clustr", "cluster"), ("bins", "bin"), ("RUN", "")])
def test_a_typo_gets_the_nearest_command(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmbin([typed]) == 2
    error = capsys.readouterr().err
    assert f"no command '{typed}'" in error
    assert f"did you mean '{meant}'?" in error if meant else "lists the commands" in error


def _run(body: Callable[[argparse.Namespace], None], *options: str) -> int:
    return _common.run_tool(_common.make_parser("x", "", "").parser, body, options)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("u"), 2),
        (InputError("i"), 3),
        (EnvironmentFault("e"), 4),
        (MemoryError(), 4),
        (KeyError("k"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def body(args: argparse.Namespace) -> None:
        raise error

    assert _run(body) == code
    text = capsys.readouterr().err
    assert ("Traceback" in text) == (code == 1)
    if code in (2, 3, 4):
        assert text.startswith("llmbin-x: error: ")
        assert _run(body, "--debug") == code
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("lines", [1, 100_000])
@pytest.mark.parametrize(("error", "code"), [("", 0), ("raise InputError('i')", 3)])
def test_a_reader_that_leaves_is_no_error(lines: int, error: str, code: int) -> None:
    script = (
        "import sys, time\nfrom llmbin_tools import _common\n"
        "from llmbin_core.errors import InputError\n"
        f"def body(args):\n    time.sleep(0.2)\n    print('x\\n' * {lines})\n    {error}\n"
        "sys.exit(_common.run_tool(_common.make_parser('x', '', '').parser, body, []))"
    )
    env = {**os.environ, "PYTHONUNBUFFERED": ""}  # which some images set
    with subprocess.Popen(
        [sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        text = process.stderr.read().decode()
    # Long output ends the work where it stands, short output is missed at the end alone.
    expected = code if lines == 1 else 0
    assert process.returncode == expected
    assert text == ("llmbin-x: error: i\n" if expected else "")


def test_a_broken_pipe_of_other_kind_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def body(args: argparse.Namespace) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    assert _run(body) == 1
    assert "BrokenPipeError" in capsys.readouterr().err


def test_threads_reach_the_numeric_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in _common._THREAD_VARIABLES:
        monkeypatch.setenv(variable, "7")
    seen = {}

    def body(args: argparse.Namespace) -> None:
        seen.update({v: os.environ[v] for v in _common._THREAD_VARIABLES})

    assert _run(body, "--threads", "3") == 0
    assert set(seen.values()) == {"3"}


def test_default_threads_follow_galaxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALAXY_SLOTS", "5")
    assert _common.default_threads() == 5
    for text in ("", "0", "many"):
        monkeypatch.setenv("GALAXY_SLOTS", text)
        assert _common.default_threads() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_shards_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not K/N"):
        _common.share(text)


def _calls(monkeypatch: pytest.MonkeyPatch, command: str, argv: Sequence[str]) -> dict[str, object]:
    seen: dict[str, object] = {}

    def spy(name: str) -> Callable[..., None]:
        def record(*args: object, **kwargs: object) -> None:
            seen.update({"name": name, "args": args, **kwargs})

        return record

    for name in ("composition", "embed", "markers", "train", "encode", "cluster", "make_bins",
                 "merge_shards", "merge_markers", "merge_latents", "merge_partitions",
                 "merge_bins"):  # fmt: skip
        monkeypatch.setattr(stages, name, spy(name))
    assert llmbin([command, *argv]) == 0
    return seen


def test_options_reach_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    views = ["--views", "3", "--seed", "9", "--shard", "2/4"]
    got = _calls(monkeypatch, "composition", ["--contigs", "c", "--out", "o", *views])
    assert got == {"name": "composition", "args": (Path("c"), Path("o")), "n_views": 3, "seed": 9,
                   "shard": (2, 4)}  # fmt: skip
    got = _calls(monkeypatch, "embed",
                 ["--contigs", "c", "--out", "o", "--glm", "tnf", "--per-view", "--device", "cpu",
                  "--trust-remote-code", *views])  # fmt: skip
    assert (got["glm"], got["per_view"], got["device"]) == ("tnf", True, "cpu")
    assert got["trust_remote_code"] is True
    assert got["shard"] == (2, 4)
    got = _calls(monkeypatch, "markers",
                 ["--contigs", "c", "--out", "o", "--sets-out", "s", "--profiles", "p",
                  "--marker-sets", "m", "--threads", "3"])  # fmt: skip
    assert got == {"name": "markers", "args": (Path("c"), Path("o"), Path("s")),
                   "profiles": Path("p"), "marker_sets": Path("m"), "shard": (1, 1),
                   "threads": 3}  # fmt: skip
    got = _calls(monkeypatch, "train",
                 ["--features", "a", "b", "--out", "o", "--curve", "c", "--checkpoint", "k",
                  "--epochs", "3", "--batch-size", "8", "--learning-rate", "0.5", "--weight-decay",
                  "0.1", "--temperature", "0.2", "--views-per-step", "2", "--width", "16",
                  "--depth", "1", "--branch", "4", "--latent-size", "5", "--dropout", "0", "--seed",
                  "7"])  # fmt: skip
    expected = {"epochs": 3, "batch_size": 8, "learning_rate": 0.5, "weight_decay": 0.1,
                "temperature": 0.2, "views_per_step": 2, "width": 16, "depth": 1, "branch": 4,
                "latent": 5, "dropout": 0.0, "seed": 7, "curve_out": Path("c"),
                "checkpoint": Path("k"), "args": ([Path("a"), Path("b")], Path("o"))}  # fmt: skip
    assert got.items() >= expected.items()
    # A network that was not asked for is that of the model; one equal to the default is asked for.
    got = _calls(monkeypatch, "train", ["--features", "a", "--out", "o", "--init", "m",
                                        "--width", "512"])  # fmt: skip
    assert {n: got.get(n) for n in defaults.NETWORK} == {
        **dict.fromkeys(defaults.NETWORK), "width": 512,
    }  # fmt: skip
    got = _calls(monkeypatch, "encode", ["--features", "a", "--model", "m", "--out", "o"])
    assert got["args"] == ([Path("a")], "m", Path("o"))
    got = _calls(monkeypatch, "cluster",
                 ["--latent", "l", "--markers", "m", "--out", "o", "--grid", "full",
                  "--coverage", "c", "--reads", "hybrid", "--min-bin-size", "7"])  # fmt: skip
    assert got["min_bin_size"] == 7
    assert (got["args"], got["grid"]) == ((Path("l"), Path("m"), Path("o")), "full")
    assert (got["coverage"], got["reads"]) == (Path("c"), "hybrid")
    got = _calls(monkeypatch, "bin",
                 ["--partitions", "p", "--markers", "m", "--sets", "s", "--contigs", "c",
                  "--coverage", "d", "--latent", "l", "--sample", "1", "--out", "o",
                  "--min-bin-size", "5", "--choose", "partition", "--gzip",
                  "--prefix", "x"])  # fmt: skip
    assert got == {"name": "make_bins", "args": tuple(map(Path, "pmsco")), "coverage": Path("d"),
                   "latent": Path("l"), "sample": "1", "min_bin_size": 5, "choose": "partition",
                   "compress": True, "prefix": "x"}  # fmt: skip
    got = _calls(monkeypatch, "encode", ["--features", "a", "--merge", "p", "q", "--out", "o"])
    assert got == {"name": "merge_latents",
                   "args": ([Path("p"), Path("q")], [Path("a")], Path("o"))}  # fmt: skip
    got = _calls(monkeypatch, "cluster", ["--latent", "l", "--merge", "p", "--out", "o"])
    assert got == {"name": "merge_partitions", "args": ([Path("p")], Path("l"), Path("o"))}
    got = _calls(monkeypatch, "bin",
                 ["--contigs", "c", "--merge", "p", "--out", "o", "--gzip"])  # fmt: skip
    assert got == {"name": "merge_bins", "args": ([Path("p")], Path("c"), Path("o")),
                   "compress": True}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "function"),
    [("composition", "merge_shards"), ("embed", "merge_shards"), ("markers", "merge_markers")],
)
def test_merge(monkeypatch: pytest.MonkeyPatch, command: str, function: str) -> None:
    got = _calls(monkeypatch, command, ["--merge", "a", "b", "--out", "o"])
    assert got == {"name": function, "args": ([Path("a"), Path("b")], Path("o"))}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["composition", "--out", "o"], "either --contigs or --merge"),
        (["composition", "--contigs", "c", "--merge", "a", "--out", "o"], "either"),
        (["composition", "--merge", "a", "--out", "o", "--views", "3"], "--views has no effect"),
        (["composition", "--merge", "a", "--out", "o", "--shard", "1/2"], "--shard has no effect"),
        (["embed", "--merge", "a", "--out", "o", "--glm", "tnf"], "--glm has no effect"),
        (["markers", "--contigs", "c", "--out", "o"], "--contigs needs --sets-out"),
        (["encode", "--features", "f", "--out", "o"], "required: --model (or --merge)"),
        (["cluster", "--latent", "l", "--out", "o"], "required: --markers (or --merge)"),
        (["bin", "--contigs", "c", "--markers", "m", "--out", "o"],
         "required: --partitions, --sets (or --merge)"),
        (["cluster", "--latent", "l", "--merge", "p", "--out", "o", "--sample", "S1"],
         "--sample has no effect"),
        (["bin", "--contigs", "c", "--merge", "p", "--out", "o", "--min-bin-size", "9"],
         "--min-bin-size has no effect"),
        (["cluster", "--latent", "l", "--merge", "p", "--out", "o", "--min-bin-size", "9"],
         "--min-bin-size has no effect"),
        (["run", "--contigs", "a", "b", "--bam", "c", "--out", "o", "--multi-sample", "no"],
         "2 assemblies are binned sample by sample"),
        (["run", "--contigs", "a", "--bam", "c", "--out", "o", "--model", "m", "--epochs", "3"],
         "--epochs has no effect with --model"),
        (["run", "--contigs", "a", "b", "--bam", "c", "--out", "o", "--prefix", "x", "--dry-run"],
         "--prefix x has no effect: bins are named after their samples"),
        (["run", "--contigs", "a", "--depth-table", "c", "--out", "o", "--min-mapq", "3"],
         "--min-mapq has no effect with --depth-table; leave it out"),
        (["run", "--contigs", "a", "--bam", "c", "--out", "o", "--marker-sets", "m"],
         "give --profiles as well"),
        (["run", "--contigs", "a", "--bam", "c", "--out", "o", "--views", "1"], "at least 2"),
    ],
)  # fmt: skip
def test_contradictions_end_with_2(
    argv: Sequence[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert llmbin(argv) == 2
    assert message in capsys.readouterr().err
