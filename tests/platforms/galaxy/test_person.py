"""A person at the server gets the bins of the command line, and an administrator gets models."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from server import CALL_SECONDS, KEY, Server, commands

HERE = Path(__file__).resolve().parent

# Names of BAM files in Galaxy, and what becomes of them: nothing in them is a command.
NAMES = {
    "S1": "S 1'; exit 9; echo $(exit 9) \"ä",
    "S2": "$HOME `exit 9` Ж|2 & <x>",
}
SAMPLES = ("S_1___exit_9__echo___exit_9___ä", "_HOME__exit_9__Ж_2____x_")


def test_person(galaxy: Server, files: Path, tmp_path: Path) -> None:
    community, binned, out = (tmp_path / name for name in ("community", "binned", "downloads"))
    _call("llmbin-simulate", "--n-genomes", "3", "--genome-size", "0.1", "0.12", "--samples", "2",
          "--depth", "5", "--seed", "3", "--out", community)  # fmt: skip
    _call("llmbin", "run", "--contigs", community / "contigs.fasta.gz",
          "--bam", *sorted(community.glob("*.bam")), "--sample-names", *SAMPLES, "--out", binned,
          "--min-bin-size", "20000", "--threads", "1", "--device", "cpu")  # fmt: skip
    (community / "names.json").write_text(json.dumps(NAMES), encoding="utf-8")
    out.mkdir()

    manager = files / "data_managers" / "data_manager_llmbin"
    tools = sorted((files / "tools" / "llmbin").glob("llmbin*.xml"))
    commands(tmp_path)
    with galaxy.serve(
        tmp_path, "--tool_data_table", manager / "tool_data_table_conf.xml.test",
        *tools, manager / "data_manager" / "data_manager_llmbin.xml",
    ) as address:  # fmt: skip
        _call(galaxy.python, HERE / "person.py", address, KEY, community,
              files / "workflows" / "coassembly.gxwf.yml", out)  # fmt: skip

    expected = [
        *sorted((binned / "bins").glob("*.fa")),
        binned / "contig2bin.tsv",
        binned / "bins.tsv",
    ]
    assert len(expected) > 2
    assert sorted(one.name for one in (out / "bins").iterdir()) == sorted(
        one.name for one in expected
    )
    for file in expected:
        assert (out / "bins" / file.name).read_bytes() == file.read_bytes(), file.name
    # Where no bin is large enough the list is empty, and headers are left.
    lines = {one.name: one.read_text().splitlines() for one in (out / "none").iterdir()}
    assert {name: len(content) for name, content in lines.items()} == {
        "contig2bin.tsv": 1, "bins.tsv": 1,
    }  # fmt: skip

    tables = json.loads((out / "tables.json").read_text(encoding="utf-8"))
    ((value, _, habitat, model),) = tables["llmbin_models"]
    assert value.startswith("test_encoder_")
    assert habitat == "any"
    original = files / "tools" / "llmbin" / "test-data"
    assert Path(model).read_bytes() == (original / "model.safetensors").read_bytes()
    ((_, _, glm),) = tables["llmbin_glms"]
    assert {file.name for file in Path(glm).iterdir()} == {"config.json", "model.safetensors"}


def _call(*command: str | Path) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=CALL_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
