"""The bill of materials of an image, CycloneDX: what is in it, asked of the image itself."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import docker
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

# Runs in the image: its Python packages, wherever they are, with the digests noted at installation.
INVENTORY = r"""
import json, pathlib, subprocess
from importlib.metadata import distributions
roots = ("/opt", "/usr/lib/python3", "/usr/local/lib")
sites = {str(p.parent) for r in roots for p in pathlib.Path(r).rglob("*.dist-info")}
note = pathlib.Path("/opt/venv/share/llmbin/wheels.sha256").read_text().splitlines()
digests = {name: digest for digest, name in map(str.split, note)}
python = []
for d in distributions(path=sorted(sites)):
    m = d.metadata
    ours = str(d.locate_file("")).startswith("/opt/venv")
    python.append({
        "name": d.name, "version": d.version,
        "licence": m.get("License-Expression") or "",
        "sha256": digests.get(f"{d.name}=={d.version}", "") if ours else "",
    })
query = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${Architecture}\n"]
said = subprocess.run(query, capture_output=True, text=True, check=True).stdout
print(json.dumps({"python": python, "debian": [line.split() for line in said.splitlines()]}))
"""


class BillError(Exception):
    """A file is no bill of materials; the message says why."""


def inventory(client: docker.DockerClient, image: str) -> dict[str, Any]:
    """Python and Debian packages of an image."""
    output: bytes = client.containers.run(
        image, ["python3", "-c", INVENTORY], network_mode="none", remove=True
    )
    found: dict[str, Any] = json.loads(output)
    return found


def _python(item: dict[str, str]) -> Component:
    name = re.sub(r"[-_.]+", "-", item["name"]).lower()
    purl = PackageURL("pypi", name=name, version=item["version"])
    return Component(
        type=ComponentType.LIBRARY,
        name=item["name"],
        version=item["version"],
        purl=purl,
        bom_ref=str(purl),
        licenses=[DisjunctiveLicense(name=item["licence"])] if item["licence"] else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item["sha256"])]
        if item["sha256"]
        else [],
    )


def _debian(name: str, version: str, architecture: str) -> Component:
    purl = PackageURL("deb", "debian", name, version, {"arch": architecture})
    return Component(
        type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=str(purl)
    )


def name_and_tag(image: str) -> tuple[str, str]:
    """What stands before and after the tag, or the digest; a registry may have a port."""
    path, slash, last = image.rpartition("/")
    last, _, digest = last.partition("@")
    name, _, tag = last.partition(":")
    return f"{path}{slash}{name}", tag or digest


def make(client: docker.DockerClient, image: str, moment: int) -> str:
    """The bill of an image as JSON; the same text for the same image and moment."""
    found = inventory(client, image)
    image_id = client.images.get(image).id.removeprefix("sha256:")
    name, tag = name_and_tag(image)
    bom = Bom(
        serial_number=uuid.UUID(image_id[:32]),
        components={
            **{c.bom_ref.value: c for c in map(_python, found["python"])},
            **{c.bom_ref.value: c for c in (_debian(*item) for item in found["debian"])},
        }.values(),
    )
    bom.metadata.timestamp = datetime.fromtimestamp(moment, timezone.utc)
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER,
        name=name,
        version=tag,
        bom_ref="image",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=image_id)],
    )
    bom.register_dependency(bom.metadata.component, bom.components)
    text = str(JsonV1Dot6(bom).output_as_string(indent=2))
    if faults := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"the bill of {image} is no CycloneDX: {faults}")
    return text + "\n"


def read(bill: Path) -> dict[str, Any]:
    """A bill as `make` writes it.

    Raises
    ------
    BillError
    """
    try:
        text = bill.read_text(encoding="utf-8")
        content: dict[str, Any] = json.loads(text)
    except OSError as error:
        raise BillError(f"{bill} cannot be read: {error.strerror}") from None
    except ValueError:
        raise BillError(f"{bill} is no bill of materials: no JSON") from None
    if JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise BillError(f"{bill} is no bill of materials: no CycloneDX 1.6")
    return content


def differences(client: docker.DockerClient, image: str, bill: Path) -> list[str]:
    """What an image holds beside a bill, or lacks; nothing when they belong together."""
    one, other = _items(read(bill)), _items(json.loads(make(client, image, 0)))
    return [f"not in the image: {i}" for i in sorted(one - other)] + [
        f"not in the bill: {i}" for i in sorted(other - one)
    ]


def _items(bill: dict[str, Any]) -> set[str]:
    # Bills of others need not have what ours have.
    image = bill.get("metadata", {}).get("component", {})
    items = {f"image {h['content']}" for h in image.get("hashes", ())}
    for component in bill.get("components", ()):
        digest = "".join(h["content"] for h in component.get("hashes", ()))
        items.add(f"{component.get('purl', component['name'])} {digest}".strip())
    return items
