"""What a person does in the pages of Galaxy, by the API that those pages use.

usage: PYTHON person.py ADDRESS KEY COMMUNITY WORKFLOW OUT  (a Python with BioBlend)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bioblend.galaxy import GalaxyInstance

SECONDS = 900


class Person:
    """Somebody with a history of their own."""

    def __init__(self, address: str, key: str) -> None:
        self.galaxy = GalaxyInstance(address, key)
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

    def run(self, workflow: Path, inputs: dict[str, Any]) -> dict[str, Any]:
        """Import a workflow, run it to the end; its outputs by their labels."""
        text = workflow.read_text(encoding="utf-8")
        made = self.galaxy.workflows.import_workflow_dict({"yaml_content": text})
        invocation = self.galaxy.workflows.invoke_workflow(
            made["id"], inputs=inputs, inputs_by="name", history_id=self.history
        )
        done = self.galaxy.invocations.wait_for_invocation(invocation["id"], maxwait=SECONDS)
        for job in self.galaxy.jobs.get_jobs(invocation_id=done["id"]):
            ended = self.galaxy.jobs.wait_for_job(job["id"], maxwait=SECONDS)
            assert ended["state"] == "ok", ended
        return {**done["outputs"], **done["output_collections"]}

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
    """Upload, build the list, run the workflow, download what it made; install models."""
    address, key, *paths = sys.argv[1:]
    community, workflow, out = map(Path, paths)
    person = Person(address, key)
    contigs = person.upload(community / "contigs.fasta.gz", "my contigs", "fasta.gz")
    bams = {
        file.stem: person.upload(file, file.name, "bam") for file in sorted(community.glob("*.bam"))
    }
    person.wait(contigs)
    outputs = person.run(
        workflow,
        {
            "Contigs": {"src": "hda", "id": contigs},
            "BAM files": {"src": "hdca", "id": person.collect("my BAM files", bams)},
            "Minimum size of a bin": 20000,
        },
    )
    bins = person.galaxy.dataset_collections.show_dataset_collection(outputs["Bins"]["id"])
    datasets = {e["element_identifier"]: e["object"]["id"] for e in bins["elements"]}
    datasets["contig2bin"] = outputs["Contigs to bins"]["id"]
    for name, dataset in datasets.items():
        person.wait(dataset)
        person.galaxy.datasets.download_dataset(
            dataset, str(out / name), use_default_filename=False, maxwait=SECONDS
        )
    (out / "tables.json").write_text(json.dumps(person.install("test_encoder test_glm")))


if __name__ == "__main__":
    main()
