"""Lines of Galaxy's data tables for the models that `llmbin-models list --json` shows as installed.

usage: table_rows.py MODELS_JSON OUT
"""

from __future__ import annotations

import json
import sys

TABLES = {"encoder": "llmbin_models", "glm": "llmbin_glms"}


def row(model: dict[str, str]) -> dict[str, str]:
    """One line; the path is that of the model's folder within the folder of installed models."""
    name, digest = model["name"], model["digest"].partition(":")[2]
    line = {
        # The same words always stand for the same content.
        "value": f"{name}_{digest[:12]}",
        "name": f"{name} ({model['habitat']}, {model['licence']})",
        "path": f"{name}/{name}",
    }
    return line if model["kind"] == "glm" else {**line, "kind": model["habitat"]}


def main() -> None:
    """Read the list, write the tables."""
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as handle:
        models = [one for one in json.load(handle) if one["status"] == "installed"]
    tables: dict[str, list[dict[str, str]]] = {}
    for model in models:
        tables.setdefault(TABLES[model["kind"]], []).append(row(model))
    with open(target, "w", encoding="utf-8") as handle:
        json.dump({"data_tables": tables}, handle, indent=1)


if __name__ == "__main__":
    main()
