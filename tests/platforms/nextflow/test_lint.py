"""Linters of others over the modules, schemas and texts; and Nextflow itself where there is one."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from engine import MODULES, NEXTFLOW, PACKAGES
from test_modules import STAGES

NFCORE = os.environ.get("LLMBIN_NFCORE", "nf-core")
# Answered by `nextflow inspect` only, where no Nextflow is found.
NEEDS_NEXTFLOW = {"docker_tag", "singularity_tag"}


def _nextflow() -> list[str]:
    """Command of a Nextflow that answers, or a skip that says why there is none."""
    command = ["java", "-jar", jar] if (jar := os.environ.get("NXF_JAR")) else ["nextflow"]
    if shutil.which(command[0]) is None:
        pytest.skip("no Nextflow: neither NXF_JAR nor nextflow on PATH")
    try:
        done = subprocess.run([*command, "-version"], capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("no Nextflow: `nextflow -version` did not answer within 120 s")
    if done.returncode or "version" not in done.stdout:
        pytest.skip(f"no Nextflow: `nextflow -version` ended with {done.returncode}")
    return command


@pytest.mark.parametrize("stage", STAGES)
def test_meta_lists_what_the_module_declares(stage: str) -> None:
    meta = yaml.safe_load((MODULES / stage / "meta.yml").read_text(encoding="utf-8"))
    text = (MODULES / stage / "main.nf").read_text(encoding="utf-8")
    inputs, outputs = text.split("    input:\n")[1].split("    output:\n")
    outputs = outputs.split("    when:")[0]
    assert meta["name"] == f"llmbin_{stage}"
    declared = [re.findall(r"(?:val|path)\((\w+)", line) for line in inputs.split("\n") if line]
    assert [[next(iter(x)) for x in channel] for channel in meta["input"]] == declared
    assert list(meta["output"]) == re.findall(r"emit: (\w+)", outputs)
    for channel in meta["output"].values():
        for part in channel[0]:
            ((name, entry),) = part.items()
            assert name in outputs
            assert entry["description"]


def test_nextflow_schema() -> None:
    schema = json.loads((NEXTFLOW / "nextflow_schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    described: dict[str, Any] = {}
    for group in schema["$defs"].values():
        assert not described.keys() & group["properties"].keys()
        described |= group["properties"]
    block = (NEXTFLOW / "nextflow.config").read_text(encoding="utf-8")
    block = block.split("params {\n")[1].split("\n}")[0]
    declared = dict(re.findall(r"^    (\w+) += (.+)$", block, re.M))
    assert list(declared) == list(described)
    values = {"null": None, "''": "", "true": True, "false": False}
    for name, text in declared.items():
        value = values.get(text, int(text) if text.isdigit() else text.strip("'"))
        assert described[name].get("default") == value, name
    defaults = {n: e["default"] for n, e in described.items() if "default" in e}
    jsonschema.validate({"outdir": "x", **defaults}, schema)
    for bad in ({}, {"outdir": "x", "shards": 0}, {"outdir": "x", "min_length": "-5"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_every_parameter_is_used_and_declared() -> None:
    schema = json.loads((NEXTFLOW / "nextflow_schema.json").read_text(encoding="utf-8"))
    declared = {n for group in schema["$defs"].values() for n in group["properties"]}
    texts = [p for p in NEXTFLOW.rglob("*") if p.suffix in (".nf", ".config")]
    used = {
        name
        for path in texts
        for name in re.findall(r"\bparams\.(\w+)", path.read_text(encoding="utf-8"))
    }
    assert used == declared


def test_table_of_samples_schema() -> None:
    schema = json.loads((NEXTFLOW / "assets/schema_input.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    row = {"sample": "s1", "assembly": "a.fa.gz", "bam": "s1.bam"}
    jsonschema.validate([row, {**row, "group": "all"}], schema)
    for bad in ({**row, "sample": "s 1"}, {**row, "bam": "reads.fq"}, {"sample": "s1"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate([bad], schema)


# What the tools ask of Nextflow where it is missing: the configuration of a folder, which has none.
# Containers, which they ask for too, are rendered by Groovy in test_modules.py.
STAND_IN = """#!/bin/sh
case $1 in config) echo '{}' ;; -v) echo 'nextflow version 20.01.0' ;; *) exit 1 ;; esac
"""


def test_nf_core_lint(tmp_path: Path) -> None:
    """As in a repository of modules, with a remote on this disk in place of GitHub."""
    if shutil.which(NFCORE) is None:
        pytest.skip(f"nf-core tools are not installed ({NFCORE})")
    text = _lint(tmp_path, _modules_repository(tmp_path))
    counts = {word: int(n) for n, word in re.findall(r"(\d+) Tests? (Passed|Failed)", text)}
    assert counts["Passed"] > 20 * len(STAGES), text
    unresolved = re.findall(rf"^llmbin/\w+ ({'|'.join(NEEDS_NEXTFLOW)})\s*$", text, re.M)
    if shutil.which("nextflow") is None:
        print(f"not checked without Nextflow: {', '.join(sorted(set(unresolved)))}")
        counts["Failed"] -= len(unresolved)
    assert counts["Failed"] == 0, text


def _modules_repository(folder: Path) -> Path:
    remote, checkout = folder / "remote", folder / "modules"
    for place in (remote, checkout):
        (place / "modules" / "llmbin").mkdir(parents=True)
        (place / ".nf-core.yml").write_text("repository_type: modules\norg_path: llmbin\n")
    shutil.copytree(MODULES, checkout / "modules" / "llmbin" / "llmbin")
    for schema in ("meta-schema.json", "environment-schema.json"):
        (remote / "modules" / schema).write_text("{}")
    for place in (remote, checkout):
        for words in ("init -q -b master", "add -A", "commit -q -m modules"):
            _git(place, *words.split())
    return checkout


def _git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def _lint(folder: Path, checkout: Path) -> str:
    url = "https://github.com/nf-core/modules.git"
    programs = folder / "bin"
    programs.mkdir()
    if shutil.which("nextflow") is None:
        (programs / "nextflow").write_text(STAND_IN)
        (programs / "nextflow").chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "NFCORE_NO_VERSION_CHECK": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder / 'remote'}.insteadOf",
        "GIT_CONFIG_VALUE_0": url,
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    command = [NFCORE, "modules", "--git-remote", url, "lint", "--all", "--plain-text"]
    command += ["--registry", "biocontainers"]
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=400
    )
    return done.stdout + done.stderr


def test_prettier() -> None:
    program = PACKAGES / "node_modules" / ".bin" / "prettier"
    if not program.exists():
        pytest.skip(f"there is no prettier below {PACKAGES}")
    files = [
        str(p)
        for p in sorted(NEXTFLOW.rglob("*"))
        if p.suffix in (".yml", ".json", ".md") and p.is_file()
    ]
    done = subprocess.run([program, "--check", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_stub_runs_and_real_runs_with_nextflow(tmp_path: Path, whole: Path) -> None:
    """Two shards under Nextflow give the bins of `llmbin run` on one machine."""
    command = _nextflow()
    for mode in (["-stub-run", "--one_process"], ["-stub-run"], []):
        out = tmp_path / f"out{len(mode)}"
        options = ["-profile", "test", "--min_bin_size", "200000", "--outdir", str(out)]
        done = subprocess.run(
            [*command, "run", str(NEXTFLOW), *options, *mode],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for name in ("all", "apart"):
            assert list(out.glob(f"{name}/bins/*.fa.gz"))
            assert list(out.glob(f"{name}/*.outliers.tsv"))
        assert list(out.glob("apart/apart.samples.tsv"))
        assert list(out.glob("pipeline_info/versions.tsv"))
    bins = {gzip.decompress(p.read_bytes()) for p in out.glob("all/bins/*.fa.gz")}
    assert bins == {gzip.decompress(p.read_bytes()) for p in (whole / "bins").iterdir()}
