"""The wheel holds every module, every executable and the data that modules read."""

import configparser
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ("py.typed", "*.gz", "*.json", "*.safetensors", "*.tsv", "README.md", "*.j2", "*.css",
        "*.js")  # fmt: skip


def expected() -> set[str]:
    found = set()
    for folder, package in (("llmbin_core", "llmbin_core"), ("tools", "llmbin_tools")):
        for pattern in ("*.py", *(DATA if folder == "llmbin_core" else ())):
            for path in (ROOT / folder).rglob(pattern):
                found.add(f"{package}/{path.relative_to(ROOT / folder).as_posix()}")
    return found


def main() -> int:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        names = set(wheel.namelist())
        entry = next(n for n in names if n.endswith("entry_points.txt"))
        parser = configparser.ConfigParser()
        parser.read_string(wheel.read(entry).decode())
    missing = sorted(expected() - names)
    scripts = sorted(parser["console_scripts"])
    print(f"{Path(sys.argv[1]).name}: {len(names)} files, {len(scripts)} executables")
    for name in missing:
        print(f"missing: {name}")
    return 1 if missing or "llmbin" not in scripts else 0


if __name__ == "__main__":
    sys.exit(main())
