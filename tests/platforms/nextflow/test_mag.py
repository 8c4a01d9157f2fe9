"""The inserter for nf-core/mag, on a miniature tree that has the same places."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from engine import NEXTFLOW


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("add_llmbin", NEXTFLOW / "mag" / "add_llmbin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["add_llmbin"] = module
    spec.loader.exec_module(module)
    return module


inserter = _load()
UTILS = "subworkflows/local/utils_nfcore_mag_pipeline/main.nf"

MINIATURE = {
    "subworkflows/local/binning/main.nf": """\
include { SEMIBIN_SINGLEEASYBIN } from 'there'
include { SEQKIT_STATS } from 'there'
    // SemiBin2
    if (!params.skip_semibin) {
    }
    emit:
""",
    "nextflow.config": """\
params {
    skip_semibin                         = false
    semibin_rng_seed                     = 1
}
""",
    "nextflow_schema.json": """\
{
    "$defs": {
        "binning_options": {
            "properties": {
                "skip_semibin": {
                    "type": "boolean"
                }
            }
        }
    }
}
""",
    "conf/modules.config": "process {\n    withName: SEMIBIN_SINGLEEASYBIN {\n    }\n}\n",
    "conf/base.config": "process {\n    withName: MAG_DEPTHS {\n    }\n}\n",
    "docs/usage/resource_guidance.md": "| PYPOLCA_RUN | 2 |\n| ALE | 1 |\n",
    UTILS: """\
    if (!([params.skip_comebin, params.skip_semibin].count(false) > 1)) {
        !params.skip_semibin ? "SemiBin2" : "",
        if (!params.skip_semibin) {
        }
""",
    "README.md": "binning using [CONCOCT](https://x), [COMEBin](https://y), and others\n",
    "CITATIONS.md": "- [COMEBin](https://y)\n\n- [MetaBinner](https://z)\n",
    "docs/output.md": "### MetaBinner\n\n### SemiBin2\n\ntext\n",
    "CHANGELOG.md": "## dev\n\n### `Added`\n\n- one\n\n## 1.0\n\n### `Added`\n\n- old\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in MINIATURE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def _content(tree: Path) -> dict[str, str]:
    files = (p for p in sorted(tree.rglob("*")) if p.is_file())
    return {str(p.relative_to(tree)): p.read_text(encoding="utf-8") for p in files}


def test_everything_is_inserted_and_said(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inserter.main([str(tree)]) == 0
    said = capsys.readouterr().out
    after = _content(tree)
    for name, text in MINIATURE.items():
        assert after[name] != text, f"{name} is as it was"
        assert f"+ {name}: " in said
        # Nothing of the pipeline is lost: its lines are there in their order.
        left = after[name]
        for edit in inserter.EDITS:
            if edit.file == name:
                left = left.replace(edit.text, "", 1)
        assert left == text
    schema = json.loads(after["nextflow_schema.json"])
    options = schema["$defs"]["binning_options"]["properties"]
    assert list(options) == ["skip_llmbin", "llmbin_model", "llmbin_args", "skip_semibin"]
    assert options["skip_llmbin"] == {
        "type": "boolean", "default": True, "description": "Skip LLMBin Binning",
    }  # fmt: skip
    assert "skip_semibin, params.skip_llmbin].count(false)" in after[UTILS]
    assert after["CHANGELOG.md"].index("LLMBin") < after["CHANGELOG.md"].index("- one")
    module = (inserter.MODULE / "main.nf").read_text(encoding="utf-8")
    assert after["modules/local/llmbin/run/main.nf"] == module


def test_inserted_configuration_agrees(tree: Path) -> None:
    """Parameters that the inserted texts read are those that they declare."""
    inserter.main([str(tree)])
    used = {
        name
        for edit in inserter.EDITS
        for name in re.findall(r"params\.(\w*llmbin\w*)", edit.text)
    }  # fmt: skip
    declared = set(re.findall(r"^    (\w*llmbin\w*) +=", inserter._PARAMS, re.M))
    assert used == declared == {"skip_llmbin", "llmbin_model", "llmbin_args"}
    # No key but `binner` comes into the meta map, and channels have the values the module takes.
    assert re.findall(r"meta \+ (\[.*\])", inserter._BLOCK) == ["[binner: 'LLMBin']"]
    assert "[meta_new, assembly, bams, []]" in inserter._BLOCK
    module = (inserter.MODULE / "main.nf").read_text(encoding="utf-8")
    for name in re.findall(r"LLMBIN_RUN\.out\.(\w+)", inserter._BLOCK):
        assert f"emit: {name}" in module


def test_again_changes_nothing(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inserter.main([str(tree)])
    once = _content(tree)
    capsys.readouterr()
    assert inserter.main([str(tree)]) == 0
    assert capsys.readouterr().out == "nothing to do\n"
    assert _content(tree) == once


def test_what_is_missing_is_added_to_what_is_there(tree: Path) -> None:
    inserter.main([str(tree)])
    whole = _content(tree)
    (tree / "conf/base.config").write_text(MINIATURE["conf/base.config"], encoding="utf-8")
    (tree / "modules/local/llmbin/run/main.nf").unlink()
    assert inserter.main([str(tree), "--check"]) == 1
    assert inserter.main([str(tree)]) == 0
    assert _content(tree) == whole


def test_remove_gives_back_what_was(tree: Path) -> None:
    before = _content(tree)
    os.chmod(tree / "README.md", 0o640)
    inserter.main([str(tree)])
    assert inserter.main([str(tree), "--check"]) == 0
    assert inserter.main([str(tree), "--remove"]) == 0
    assert _content(tree) == before == MINIATURE
    assert not (tree / "modules/local/llmbin").exists()
    assert (tree / "README.md").stat().st_mode & 0o777 == 0o640
    assert inserter.main([str(tree), "--check"]) == 1


@pytest.mark.parametrize("number", range(len(inserter.EDITS)))
def test_a_missing_place_is_named_and_nothing_changed(
    tree: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = inserter.EDITS[number]
    path = tree / edit.file
    text = re.sub(edit.anchor, "", path.read_text(encoding="utf-8"), flags=re.M)
    path.write_text(text, encoding="utf-8")
    before = _content(tree)
    assert inserter.main([str(tree)]) == 3
    error = capsys.readouterr().err
    assert f"{edit.file}: no place that match" in error
    assert "nothing was changed" in error
    assert _content(tree) == before


def test_a_doubled_place_is_refused(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree / "conf/base.config"
    path.write_text(MINIATURE["conf/base.config"] * 2, encoding="utf-8")
    before = _content(tree)
    assert inserter.main([str(tree)]) == 3
    assert "conf/base.config: 2 places" in capsys.readouterr().err
    assert _content(tree) == before


def test_no_checkout_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert inserter.main([str(tmp_path)]) == 3
    assert "nextflow.config: no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit, match="2"):
        inserter.main([str(tmp_path / "nowhere")])
