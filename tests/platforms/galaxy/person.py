"""What a person does in the pages of Galaxy, by the API that those pages use.

usage: PYTHON person.py ADDRESS KEY COMMUNITY WORKFLOW OUT  (a Python with planemo and BioBlend)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bioblend.galaxy import GalaxyInstance
from planemo.galaxy.api import user_api_key

SECONDS = 900


class Person:
    """Somebody with a history of their own; an administrator, who may install models."""

    def __init__(self, address: str, key: str) -> None:
        # The key of the server is nobody's.
        self.galaxy = GalaxyInstance(address, user_api_key(GalaxyInstance(address, key)))
        self.history = self.galaxy.histories.create_history("bins")["id"]

    def upload(self, file: Path, name: str, kind: str) -> str:
        """Upload a file under a name; its identifier."""
        made = self.galaxy.tools.upload_file(
            str(file), self.history, file_name=name, file_type=kind
        )
        return str(made["outputs"][0]["id"])

    def collect(self, name: str, datasets: dict[str, str]) -> str:
        """Build a list."""
        for dataset in datasets.values():
            self.wait(dataset)
        made = self.galaxy.histories.create_dataset_collection(
            self.history,
            {
                "collection_type": "list",
                "name": name,
                "element_identifiers": [
                    {"name": key, "src": "hda", "id": value} for key, value in datasets.items()
                ],
            },
        )
        return str(made["id"])

    def wait(self, dataset: str) -> None:
        """Until a dataset is there."""
        done = self.galaxy.datasets.wait_for_dataset(dataset, maxwait=SECONDS)
        assert done["state"] == "ok", done.get("misc_info")

    def add(self, workflow: Path) -> str:
        """Import a workflow; its identifier."""
        text = workflow.read_text(encoding="utf-8")
        return str(self.galaxy.workflows.import_workflow_dict({"yaml_content": text})["id"])

    def run(self, workflow: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Run a workflow to the end; its outputs by their labels."""
        invocation = self.galaxy.workflows.invoke_workflow(
            workflow,
            inputs=inputs,
            inputs_by="name",
            history_id=self.history,
            # Parameters that the workflow does not name have their defaults.
            allow_tool_state_corrections=True,
        )
        done = self.galaxy.invocations.wait_for_invocation(invocation["id"], maxwait=SECONDS)
        for job in self.galaxy.jobs.get_jobs(invocation_id=done["id"]):
            ended = self.galaxy.jobs.wait_for_job(job["id"], maxwait=SECONDS)
            assert ended["state"] == "ok", ended
        return {**done["outputs"], **done["output_collections"]}

    def download(self, outputs: dict[str, Any], folder: Path) -> None:
        """Download the bins and two tables."""
        collections = self.galaxy.dataset_collections
        bins = collections.show_dataset_collection(outputs["Bins"]["id"])["elements"]
        datasets = {f"{e['element_identifier']}.fa": e["object"]["id"] for e in bins}
        datasets["contig2bin.tsv"] = outputs["Contigs to bins"]["id"]
        datasets["bins.tsv"] = outputs["Table of bins"]["id"]
        folder.mkdir()
        for name, dataset in datasets.items():
            self.wait(dataset)
            self.galaxy.datasets.download_dataset(
                dataset, str(folder / name), use_default_filename=False, maxwait=SECONDS
            )

    def install(self, names: str) -> dict[str, list[list[str]]]:
        """Let the data manager install models; the lines of the data tables then."""
        job = self.galaxy.tools.run_tool(
            self.history,
            "data_manager_llmbin",
            {"registry": "https://registry.invalid/models.json", "names": names, "test": "true"},
        )
        self.wait(job["outputs"][0]["id"])
        tables = ("llmbin_models", "llmbin_glms")
        return {name: self.galaxy.tool_data.show_data_table(name)["fields"] for name in tables}


def main() -> None:
    """Upload, build the list, run the workflow twice, download what it made; install models."""
    address, key, *paths = sys.argv[1:]
    community, workflow, out = map(Path, paths)
    person = Person(address, key)
    contigs = person.upload(community / "contigs.fasta.gz", "my contigs", "fasta.gz")
    names = json.loads((community / "names.json").read_text(encoding="utf-8"))
    bams = {names[file.stem]: file for file in sorted(community.glob("*.bam"))}
    uploaded = {name: person.upload(file, name, "bam") for name, file in bams.items()}
    person.wait(contigs)
    added = person.add(workflow)
    inputs: dict[str, Any] = {
        "Contigs": {"src": "hda", "id": contigs},
        "BAM files": {"src": "hdca", "id": person.collect("my BAM files", uploaded)},
    }
    person.download(person.run(added, {**inputs, "Minimum size of a bin": 20000}), out / "bins")
    inputs["Minimum size of a bin"] = 10_000_000
    person.download(person.run(added, inputs), out / "none")
    (out / "tables.json").write_text(json.dumps(person.install("test_encoder test_glm")))


if __name__ == "__main__":
    main()
