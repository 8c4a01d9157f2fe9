"""Build sdist and wheel so that the same sources give the same bytes.

``dist.py FOLDER``; needs `build`. Times are SOURCE_DATE_EPOCH, or the time of the last commit. The
sdist is written anew, without owners, modes and order of this machine; the wheel is built from it,
so that nothing but what is published can be in it.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Wheels know no earlier time than 1980.
FIRST_TIME = 315532800


def epoch() -> int:
    """The time that all files get."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        command = ("git", "-C", str(ROOT), "log", "-1", "--format=%ct")
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return max(int(text.strip() or 0), FIRST_TIME)


def normalise(sdist: Path, out: Path, moment: int) -> None:
    """Write an sdist in order of names, readable by all, owned by nobody, of one time."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = moment
        info.mode = 0o755 if info.isdir() else 0o644
        info.pax_headers = {}
        return info

    with (
        tarfile.open(sdist) as old,
        out.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=moment) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda m: m.name):
            new.addfile(plain(member), old.extractfile(member) if member.isfile() else None)


def main() -> int:
    out = Path(sys.argv[1]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    moment = epoch()
    os.environ["SOURCE_DATE_EPOCH"] = str(moment)
    os.umask(0o022)
    build = (sys.executable, "-m", "build", "--outdir")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run((*build, folder, "--sdist", str(ROOT)), check=True)
        (made,) = Path(folder).glob("*.tar.gz")
        sdist = out / made.name
        normalise(made, sdist, moment)
        shutil.unpack_archive(sdist, folder)
        unpacked = Path(folder, made.name.removesuffix(".tar.gz"))
        subprocess.run((*build, str(out), "--wheel", str(unpacked)), check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
