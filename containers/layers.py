"""What the layers of an image hold that nobody should find there."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

# By name: settings that carry credentials or addresses of the machine that built the image.
NAMES = {
    "pip.conf", "pip.ini", "uv.toml", ".netrc", ".pypirc", ".npmrc", ".git-credentials",
    ".gitconfig", ".condarc", ".bash_history", ".env", "id_rsa", "id_ed25519", "id_ecdsa",
    "direct_url.json",
}  # fmt: skip
# By folder: nothing that is shipped is ever there.
FOLDERS = (
    "run/secrets",
    "root/.cache",
    "root/.ssh",
    "root/.docker",
    "root/.config",
    ".git",
    "build",
)
# By content. The lengths keep examples in the documentation of libraries out.
PATTERNS = {
    "private key": rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\r?\n[A-Za-z0-9+/=\r\n]{200}",
    "AWS key": rb"\bAKIA[0-9A-Z]{16}\b",
    "GitHub token": rb"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60}",
    "PyPI token": rb"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50}",
    "setting of an index": rb"(?m)^[ \t]*(?:extra-)?index-url[ \t]*=[ \t]*\S",
    "address with password": rb"\bhttps?://[^/\s:@\"'<>{}$\\]{1,64}:[^/\s:@\"'<>{}$\\*]{8,64}@[\w.-]+\.[a-z]{2,}",
}
# Sources and documentation of libraries describe such settings.
DESCRIPTIONS = (".py", ".pyc", ".rst", ".md", ".html", ".1", ".gz")
DESCRIBED = ("setting of an index", "address with password")


@dataclass(frozen=True)
class Finding:
    """Something in a layer, or in the configuration of the image."""

    layer: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"layer {self.layer[:19]}, {self.path}: {self.what}"


def scan(saved: Path, needles: Collection[bytes] = ()) -> list[Finding]:
    """Look through an image that ``docker save`` wrote.

    Parameters
    ----------
    saved : Path
    needles : collection of bytes
        Texts of the machine that built the image: none may occur in any file, name or setting.

    Returns
    -------
    list of Finding
    """
    with tarfile.open(saved) as image:
        manifest = json.load(_open(image, "manifest.json"))[0]
        config = _open(image, manifest["Config"]).read()
        found = [Finding("", "configuration", text) for text in _contents("", config, needles)]
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=_open(image, layer), mode="r|*") as files:
                for member in files:
                    content = files.extractfile(member) if member.isfile() else None
                    data = content.read() if content else b""
                    found += [Finding(layer, member.name, w) for w in _of(member, data, needles)]
    return found


def _open(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    handle = tar.extractfile(name)
    assert handle is not None, f"{name} is no file"
    return handle


def _of(member: tarfile.TarInfo, data: bytes, needles: Collection[bytes]) -> Iterator[str]:
    path = PurePosixPath("/", member.name)
    if member.isfile() and path.name in NAMES:
        yield "a file of this name"
    if not member.isdir() and any(path.is_relative_to(f"/{folder}") for folder in FOLDERS):
        yield "a file in this folder"
    name = f"{member.name} {member.linkname}".encode()
    yield from (f"'{n.decode()}' in its name" for n in needles if n in name)
    yield from _contents(path.suffix, data, needles)


def _contents(suffix: str, data: bytes, needles: Collection[bytes]) -> Iterator[str]:
    yield from (f"'{needle.decode()}'" for needle in needles if needle in data)
    if b"\0" in data[:4096]:
        return
    for what, pattern in PATTERNS.items():
        if not (what in DESCRIBED and suffix in DESCRIPTIONS) and re.search(pattern, data):
            yield what
