"""Reading files by content and writing them atomically.

Every output of LLMBin passes through `atomic_path` or `atomic_folder`: a process killed at any
moment leaves the old file, the new file or nothing, never half of one.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from llmbin_core.errors import EnvironmentFault, InputError

# The first bytes of each compressed format that is read transparently.
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}

# What the decompressors raise on cut or damaged data (zstd's own error is added where it is
# imported). gzip.BadGzipFile is an OSError.
DECOMPRESSION_ERRORS: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error, lzma.LZMAError)

# What the system says when the machine, not the input, is in the way of a write.
_REFUSED = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
    errno.EFBIG,
}
# The same, where the path of the output is at fault.
_NO_PLACE = {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}

# Files above this size are fingerprinted by three slices, not read whole.
_FULL_HASH_BYTES = 256 << 20
_SLICE_BYTES = 16 << 20


def compression_of(path: Path) -> str | None:
    """Name of the compression of a file judged by its first bytes, None when it is plain."""
    with open_input(path) as handle:
        head = handle.read(6)
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def open_input(path: Path) -> BinaryIO:
    """Open a file as it is; a missing or unreadable one is an `InputError`."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give a file")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except PermissionError:
        raise InputError(f"{path}: cannot be read; check its permissions") from None
    except OSError as error:
        # A file where a folder should be, links in a circle, a name that is too long ...
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None


@contextmanager
def open_decompressed(path: Path) -> Iterator[BinaryIO]:
    """Open a plain, gzip, bzip2, xz or zstd file for reading bytes, whatever its name ends in.

    Raises
    ------
    InputError
        The file is missing, or its compressed data is cut short or damaged.
    """
    kind = compression_of(path)
    errors = DECOMPRESSION_ERRORS
    with open_input(path) as raw:
        if kind is None:
            yield raw
            return
        if kind == "gzip":
            handle = cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        elif kind == "bzip2":
            handle = cast(BinaryIO, bz2.BZ2File(raw))
        elif kind == "xz":
            handle = cast(BinaryIO, lzma.LZMAFile(raw))  # noqa: SIM115
        else:
            # Not python-zstandard: its reader takes a cut file for a complete one.
            if sys.version_info >= (3, 14):
                from compression import zstd
            else:
                from backports import zstd

            errors = (*errors, zstd.ZstdError)
            handle = cast(BinaryIO, zstd.ZstdFile(raw))
        try:
            # A decompressor reads small pieces when asked for lines; the buffer makes it cheap.
            yield cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, handle), 1 << 20))
        except errors as error:
            raise InputError(
                f"{path}: the {kind} data is damaged or cut short ({error}); "
                "fetch or compress the file again"
            ) from None


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside `target` that is synced and renamed to it when the block succeeds."""
    with write_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(descriptor)
        temporary = Path(name)
        try:
            yield temporary
            _sync(temporary)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
            _sync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that replaces the folder `target` as a whole when the block succeeds."""
    with write_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            for path in temporary.rglob("*"):
                _sync(path)
            _swap_folder(temporary, target)
            _sync(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def gzip_writer(path: Path) -> Iterator[BinaryIO]:
    """Write gzip whose bytes depend on the content alone (no name, no time in its header)."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as zipped,
        io.BufferedWriter(cast(io.RawIOBase, zipped), 1 << 20) as handle,
    ):
        yield cast(BinaryIO, handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (UTF-8, LF)."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())


def fingerprint(path: Path) -> str:
    """Digest of a file's content: ``sha256:...``, or ``sha256/3:...`` for files above 256 MiB.

    Alignments reach hundreds of gigabytes; of those the size and the first, middle and last
    16 MiB are hashed.
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    with open_input(path) as handle:
        if size <= _FULL_HASH_BYTES:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
            return f"sha256:{digest.hexdigest()}"
        digest.update(size.to_bytes(8, "little"))
        for start in (0, (size - _SLICE_BYTES) // 2, size - _SLICE_BYTES):
            handle.seek(start)
            digest.update(handle.read(_SLICE_BYTES))
    return f"sha256/3:{digest.hexdigest()}"


def sha256_of(path: Path) -> str:
    """sha256 of a whole file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open_input(path) as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def clear_leftovers(target: Path) -> None:
    """Remove the temporary files and folders of writers of `target` that were killed."""
    if not target.parent.is_dir():
        return
    # Eight letters of tempfile after the name of the target, see `atomic_path`.
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(old\.)?[a-z0-9_]{{8}}")
    for path in target.parent.iterdir():
        if pattern.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap_folder(new: Path, target: Path) -> None:
    if not target.exists():
        new.replace(target)
        return
    if not target.is_dir():
        raise FileExistsError(errno.EEXIST, "there is a file of this name", str(target))
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    target.replace(aside / target.name)
    new.replace(target)
    shutil.rmtree(aside)


@contextmanager
def write_faults(target: Path) -> Iterator[None]:
    """Turn what the machine refuses of a write (space, permission, device) into an
    `EnvironmentFault`."""
    try:
        yield
    except OSError as error:
        # The folder of the output can hold no files (/proc).
        named, place = str(error.filename), target.parent
        own = named == str(place) or named.startswith(str(place / f".{target.name}."))
        no_folder = error.errno == errno.ENOENT and own
        if error.errno in _NO_PLACE or no_folder:
            raise EnvironmentFault(
                f"{target}: cannot be written ({error.strerror}); give another path"
            ) from error
        if error.errno not in _REFUSED:
            raise
        raise EnvironmentFault(
            f"{target}: cannot be written ({error.strerror}); check free disk space and permissions"
        ) from error
