"""Archives of models: what is packed comes back, what could do harm is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from llmbin_core.errors import InputError
from llmbin_core.registry import archives

Fill = Callable[[tarfile.TarInfo], None]


def tar_of(path: Path, *members: tuple[str, bytes | Fill], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                content(member)
                tar.addfile(member)
    return path


def zip_of(path: Path, *members: tuple[str, bytes, int]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            zipped.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def refused(archive: Path, folder: Path, match: str) -> None:
    target = folder / "inside" / "target"
    target.mkdir(parents=True)
    with pytest.raises(InputError, match=match) as error:
        archives.unpack(archive, target)
    assert str(archive) in str(error.value)
    assert {p.name for p in folder.iterdir()} <= {"inside", archive.name}
    assert list((folder / "inside").iterdir()) == [target]
    assert not any(p.is_symlink() for p in target.rglob("*"))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar(tmp_path: Path, mode: str) -> None:
    archive = tar_of(tmp_path / "a", ("./m/a", b"one"), ("m/deep/b", b"two"), mode=mode)
    assert archives.is_archive(archive)
    target = tmp_path / "target"
    target.mkdir()
    archives.unpack(archive, target)
    assert (target / "m/a").read_bytes() == b"one"
    assert (target / "m/deep/b").read_bytes() == b"two"
    assert (target / "m/a").stat().st_mode & 0o111 == 0


def test_zip(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a", ("m/", b"", 0o40755), ("m/a", b"one", 0o100755))
    assert archives.is_archive(archive)
    target = tmp_path / "target"
    target.mkdir()
    archives.unpack(archive, target)
    assert (target / "m/a").read_bytes() == b"one"


def test_pack_is_undone_by_unpack_and_depends_on_content_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"weights" * 1000)
    made = []
    for turn in range(2):
        archives.pack({"m/w": file, "m/a.json": b"{}"}, tmp_path / f"{turn}.tar.gz")
        made.append((tmp_path / f"{turn}.tar.gz").read_bytes())
        file.chmod(0o700)
    assert made[0] == made[1]
    target = tmp_path / "target"
    target.mkdir()
    archives.unpack(tmp_path / "0.tar.gz", target)
    assert (target / "m/w").read_bytes() == file.read_bytes()
    assert (target / "m/a.json").read_bytes() == b"{}"


OUTSIDE = [
    ("/tmp/llmbin-evil", "has an absolute path"),
    ("C:/evil", "has an absolute path"),
    ("../evil", "climbs out"),
    ("m/../../evil", "climbs out"),
    ("..\\evil", "backslashes"),
    ("m/a\nb", "control characters"),
]


@pytest.mark.parametrize(("name", "reason"), OUTSIDE)
def test_names_that_lead_outside(tmp_path: Path, name: str, reason: str) -> None:
    refused(tar_of(tmp_path / "a.tar.gz", ("m/ok", b"x"), (name, b"x")), tmp_path, reason)
    assert not Path("/tmp/llmbin-evil").exists()


@pytest.mark.parametrize(("name", "reason"), [c for c in OUTSIDE if "\\" not in c[0]])
def test_names_that_lead_outside_in_zip(tmp_path: Path, name: str, reason: str) -> None:
    refused(zip_of(tmp_path / "a.zip", (name, b"x", 0)), tmp_path, reason)


def kind_of(kind: bytes, target: str = "") -> Fill:
    def fill(member: tarfile.TarInfo) -> None:
        member.type, member.linkname = kind, target

    return fill


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (kind_of(tarfile.SYMTYPE, "/etc/passwd"), "is a link"),
        (kind_of(tarfile.SYMTYPE, "ok"), "is a link"),
        (kind_of(tarfile.LNKTYPE, "m/ok"), "is a link"),
        (kind_of(tarfile.CHRTYPE), "is a device"),
        (kind_of(tarfile.BLKTYPE), "is a device"),
        (kind_of(tarfile.FIFOTYPE), "is a device, a pipe"),
    ],
)
def test_members_that_are_no_files(tmp_path: Path, fill: Fill, reason: str) -> None:
    refused(tar_of(tmp_path / "a.tar.gz", ("m/ok", b"x"), ("m/odd", fill)), tmp_path, reason)


@pytest.mark.parametrize(("mode", "reason"), [(0o120777, "is a link"), (0o020666, "is a device")])
def test_members_that_are_no_files_in_zip(tmp_path: Path, mode: int, reason: str) -> None:
    refused(zip_of(tmp_path / "a.zip", ("m/odd", b"/etc/passwd", mode)), tmp_path, reason)


def test_one_name_twice(tmp_path: Path) -> None:
    refused(tar_of(tmp_path / "a.tar", ("m/a", b"x"), ("m/A", b"y"), mode="w"), tmp_path, "twice")


@pytest.mark.parametrize("names", [("m", "m/a"), ("m/a", "m")])
def test_a_file_that_is_a_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    archive = tar_of(tmp_path / "a.tar", *((name, b"x") for name in names), mode="w")
    refused(archive, tmp_path, "is both a file and a folder")


def test_too_many_members(tmp_path: Path) -> None:
    members = [(f"m/{i}", b"") for i in range(archives.MOST_MEMBERS + 1)]
    refused(tar_of(tmp_path / "a.tar.gz", *members), tmp_path, "is one of over 1000 members")


def test_bombs(tmp_path: Path) -> None:
    zeros = bytes(64 << 20)
    small = tar_of(tmp_path / "a.tar.gz", ("m/zeros", zeros))
    assert small.stat().st_size < 1 << 20
    refused(small, tmp_path, "unpacks to over")


def test_bombs_in_zip(tmp_path: Path) -> None:
    small = zip_of(tmp_path / "a.zip", ("m/zeros", bytes(64 << 20), 0))
    assert small.stat().st_size < 1 << 20
    refused(small, tmp_path, "unpacks to over")


def test_a_huge_header_does_not_fill_the_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("long")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    archive = tmp_path / "a.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as handle:
        handle.write(member.tobuf(tarfile.GNU_FORMAT) + bytes(8 << 20))
    refused(archive, tmp_path, "a header of 1073741824 bytes")


def test_cut_and_damaged(tmp_path: Path) -> None:
    content = bytes(range(256)) * 400
    whole = tar_of(tmp_path / "a.tar.gz", ("m/a", content)).read_bytes()
    plain = tar_of(tmp_path / "b.tar", ("m/a", content), mode="w").read_bytes()
    zipped = zip_of(tmp_path / "c.zip", ("m/a", content, 0)).read_bytes()
    spoiled = bytearray(zipped)
    spoiled[60] ^= 0xFF
    cases = (whole[:-400], plain[:50_000], zipped[:-30], bytes(spoiled))
    for number, blob in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "cut").write_bytes(blob)
        refused(folder / "cut", folder, "damaged or cut short")
