"""Archives of models: unpacked with distrust, packed so that the same files give the same bytes."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, NamedTuple, cast

from llmbin_core.errors import InputError
from llmbin_core.files import (
    atomic_path,
    compression_of,
    gzip_writer,
    open_decompressed,
    open_input,
    write_faults,
)

# A model is a handful of files; weights hardly shrink when they are compressed.
MOST_MEMBERS = 1000
MOST_BYTES = 64 << 30
MOST_TIMES_LARGER = 50
_SPARE_BYTES = 16 << 20
# What a tar header may ask to be read at once; only names and attributes are read that way.
_MOST_HEADER_BYTES = 1 << 20
_CHUNK = 1 << 20


class _Member(NamedTuple):
    name: str
    size: int
    is_folder: bool
    fault: str | None
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its first bytes."""
    return _is_zip(path) or _is_tar(path)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar (plain, gz, bz2, xz, zst) or zip archive of files into an empty folder.

    Raises
    ------
    InputError
        The archive is damaged, or holds what no model needs: absolute paths, ``..``, links,
        devices, one name twice, too many members, or more bytes than its size can account for.
    """
    opened = _zip_members(archive) if _is_zip(archive) else _tar_members(archive)
    most = min(MOST_BYTES, MOST_TIMES_LARGER * archive.stat().st_size + _SPARE_BYTES)
    seen: set[str] = set()
    total = 0
    try:
        with opened as members:
            for member in members:
                path = _checked(archive, member)
                total += member.size
                if str(path).casefold() in seen and not member.is_folder:
                    raise _refusal(archive, member.name, "is there twice")
                seen.add(str(path).casefold())
                if len(seen) > MOST_MEMBERS:
                    raise _refusal(archive, member.name, f"is one of over {MOST_MEMBERS} members")
                if total > most:
                    raise _refusal(archive, member.name, f"unpacks to over {most} bytes")
                _write(archive, member, folder / path)
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        EOFError,
    ) as error:
        raise InputError(
            f"{archive}: damaged or cut short ({error}); fetch the archive again"
        ) from None


def pack(files: Mapping[str, Path | bytes], out: Path) -> None:
    """Write a gzipped tar archive whose bytes depend on names and contents alone.

    Parameters
    ----------
    files : mapping
        Path in the archive -> file, or content.
    out : Path
    """
    with (
        atomic_path(out) as temporary,
        gzip_writer(temporary) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            source = io.BytesIO(content) if isinstance(content, bytes) else open_input(content)
            with source:
                member.size = source.seek(0, io.SEEK_END)
                source.seek(0)
                tar.addfile(member, source)


def _is_zip(path: Path) -> bool:
    with open_input(path) as handle:
        return handle.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _is_tar(path: Path) -> bool:
    if compression_of(path) is not None:
        return True
    with open_input(path) as handle:
        handle.seek(257)
        return handle.read(5) == b"ustar"


def _refusal(archive: Path, name: str, reason: str) -> InputError:
    return InputError(
        f"{archive}: member {name[:200]!r} {reason}; an archive of a model holds plain files "
        "below its own folder, so this one is refused"
    )


def _checked(archive: Path, member: _Member) -> PurePosixPath:
    path = PurePosixPath(member.name)
    if path.is_absolute() or (len(member.name) > 1 and member.name[1] == ":"):
        raise _refusal(archive, member.name, "has an absolute path")
    if ".." in path.parts:
        raise _refusal(archive, member.name, "climbs out of its folder with '..'")
    if "\\" in member.name or not member.name.isprintable():
        raise _refusal(archive, member.name, "has a name with backslashes or control characters")
    if member.fault is not None:
        raise _refusal(archive, member.name, member.fault)
    return path


def _write(archive: Path, member: _Member, target: Path) -> None:
    with write_faults(target):
        try:
            (target if member.is_folder else target.parent).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise _refusal(archive, member.name, "is both a file and a folder") from None
    if member.is_folder:
        return
    if target.is_dir():
        raise _refusal(archive, member.name, "is both a file and a folder")
    with write_faults(target):
        out = target.open("xb")
    with member.open() as source, out:
        while chunk := source.read(_CHUNK):
            # Apart from the reading, so that a full disk is not taken for a damaged archive.
            with write_faults(target):
                out.write(chunk)


class _Bounded:
    """A stream that refuses to hand out much at once.

    tarfile reads long names and attributes in one piece of the length that the archive states; a
    few kilobytes of compressed zeros would fill the memory.
    """

    def __init__(self, handle: BinaryIO) -> None:
        self.read_from, self.seek, self.tell = handle, handle.seek, handle.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self.read_from.read(size)


@contextmanager
def _tar_members(archive: Path) -> Iterator[Iterator[_Member]]:
    with (
        open_decompressed(archive) as handle,
        tarfile.open(fileobj=cast(BinaryIO, _Bounded(handle)), mode="r:") as tar,
    ):
        yield (
            _Member(m.name, m.size, m.isdir(), _tar_fault(m), partial(_tar_content, tar, m))
            for m in tar
        )


def _tar_fault(member: tarfile.TarInfo) -> str | None:
    if member.issym() or member.islnk():
        return "is a link"
    if member.issparse() or not (member.isreg() or member.isdir()):
        return "is a device, a pipe or another special file"
    return None


def _tar_content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None  # a regular file
    return content


@contextmanager
def _zip_members(archive: Path) -> Iterator[Iterator[_Member]]:
    with open_input(archive) as handle, zipfile.ZipFile(handle) as zipped:
        yield (
            _Member(m.filename, m.file_size, m.is_dir(), _zip_fault(m), partial(zipped.open, m))
            for m in zipped.infolist()
        )


def _zip_fault(member: zipfile.ZipInfo) -> str | None:
    if member.flag_bits & 1:
        return "is encrypted"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a device, a pipe or another special file"
    return None
