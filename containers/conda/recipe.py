"""Write meta.yaml beside this file from pyproject.toml: version, requirements, executables."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# Packages that have another name on conda-forge or bioconda.
NAMES = {"igraph": "python-igraph", "torch": "pytorch"}
# Bounds of the recipe alone. conda-forge's `usearch` is the library, bioconda's is another program
# (sequence search by Edgar), whose versions begin with 5.2.32 and would satisfy the lower bound.
BOUNDS = {"usearch": "<5"}

TEMPLATE = """\
# Written by `make recipe` from pyproject.toml.
{{% set version = "{version}" %}}

package:
  name: llmbin
  version: {{{{ version }}}}

source:
  url: https://pypi.org/packages/source/l/llmbin/llmbin-{{{{ version }}}}.tar.gz
  # Known once the release is published.
  sha256: {unknown}

build:
  number: 0
  noarch: python
  script: {{{{ PYTHON }}}} -m pip install . --no-deps --no-build-isolation --no-cache-dir -vvv
  entry_points:
{entry_points}
  run_exports:
    - {{{{ pin_subpackage("llmbin", max_pin="x.x") }}}}

requirements:
  host:
    - python {python}
    - pip
    - {build}
  run:
    - python {python}
{run}

test:
  imports:
    - llmbin_core
    - llmbin_tools
  commands:
{commands}

about:
  home: https://pypi.org/project/llmbin
  license: {licence}
  license_family: {licence}
  license_file: LICENSE
  summary: {summary}
"""


def requirement(text: str) -> str:
    """A requirement of PyPI as conda writes it.

    A marker is left out: noarch packages know no Python version, and what PyPI asks of some
    versions does no harm in the others.
    """
    found = re.fullmatch(r"([A-Za-z0-9._-]+)\s*([^;\s]*)\s*(?:;.*)?", text)
    if found is None:
        raise ValueError(f"pyproject.toml: '{text}' is no requirement this script understands")
    name = found[1].lower()
    bounds = ",".join(filter(None, (found[2], BOUNDS.get(name))))
    return f"{NAMES.get(name, name)} {bounds}".strip()


def render(project: dict[str, Any], version: str, build: str) -> str:
    """The recipe.

    Parameters
    ----------
    project : dict
        Table ``project`` of pyproject.toml.
    version : str
    build : str
        What builds the package, as a requirement of PyPI.
    """

    def lines(items: list[str]) -> str:
        return "\n".join(f"    - {item}" for item in items)

    scripts: dict[str, str] = project["scripts"]
    return TEMPLATE.format(
        version=version,
        unknown='"' + 64 * "0" + '"',
        python=project["requires-python"],
        build=requirement(build),
        licence=project["license"],
        summary=project["description"],
        entry_points=lines([f"{name} = {where}" for name, where in scripts.items()]),
        run=lines(sorted(map(requirement, project["dependencies"]))),
        commands=lines([f"{name} --help" for name in scripts]),
    )


def current() -> str:
    """The recipe for the package as it is now."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    module = (ROOT / "llmbin_core" / "__init__.py").read_text(encoding="utf-8")
    version = re.findall(r'^__version__ = "(.+)"$', module, re.M)[0]
    (build,) = document["build-system"]["requires"]
    return render(document["project"], version, build)


if __name__ == "__main__":
    (HERE / "meta.yaml").write_text(current(), encoding="utf-8")
