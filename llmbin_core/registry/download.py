"""Downloads that go on where they were cut and are believed only by their digest.

Proxies are those of the environment (``http_proxy``, ``https_proxy``, ``no_proxy``), certificates
those of the system (``SSL_CERT_FILE``), as urllib handles them.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO, BinaryIO, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from llmbin_core import __version__, progress
from llmbin_core.errors import EnvironmentFault, InputError
from llmbin_core.files import sha256_of, write_faults

log = logging.getLogger("llmbin")

SCHEMES = ("http", "https")
ATTEMPTS = 4  # in a row without a byte gained
_TIMEOUT_SECONDS = 60
_CHUNK = 1 << 18
# Answers of a server that may be another one a moment later.
_PASSING_STATUS = (408, 425, 429, 500, 502, 503, 504)


class _PassingFault(Exception):
    """Worth another attempt at the same address."""


class _FinalFault(Exception):
    """This address will not do."""


class _RangeFault(_FinalFault):
    """This address will not do for the rest of a file; perhaps for the whole."""


def is_url(text: str) -> bool:
    """Whether a text is an address of the web, not a path."""
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.lower() in SCHEMES


def check_place(text: str, where: str = "") -> None:
    """Refuse what is neither a path nor an address of the web.

    Parameters
    ----------
    text : str
    where : str
        What names the place, for messages.

    Raises
    ------
    InputError
        Says which of the two it is.
    """
    said = f"{where}: address {text}" if where else text
    if is_url(text):
        try:
            urlsplit(text)
        except ValueError as error:
            raise InputError(f"{said}: is not an address ({error}); check it") from None
    elif "://" in text:
        raise InputError(
            f"{said}: only http and https are read; give such an address, or the path of a file"
        )


def download(urls: Sequence[str], part: Path, size: int, sha256: str, label: str) -> str:
    """Complete the file `part` from the first of several addresses that gives the right bytes.

    Parameters
    ----------
    urls : sequence of str
    part : Path
        What is there already is kept where the server can go on from it.
    size, sha256
        What the file must be.
    label : str
        For progress and messages.

    Returns
    -------
    str
        The address that gave it.

    Raises
    ------
    InputError
        Some address has other bytes than the registry says, and no other has the right ones.
    EnvironmentFault
        No address can be reached.
    """
    failures = []
    wrong = False
    for url in urls:
        # Bytes of an earlier, different file spoil what is added to them: then once more, whole.
        for resumed in (True, False) if _bytes_of(part) else (False,):
            with write_faults(part), part.open("ab") as out:
                if not resumed:
                    _empty(out)
            try:
                _complete(url, part, size, label)
            except _FinalFault as fault:
                if resumed and isinstance(fault, _RangeFault):
                    continue
                failures.append(f"{url}: {fault}")
                break
            found = sha256_of(part)
            if found == sha256:
                return url
            part.unlink()
            if not resumed:
                wrong = True
                failures.append(f"{url}: sha256 is {found}, the registry says {sha256}")
    text = f"{label} failed: {'; '.join(failures)}"
    if wrong:
        raise InputError(f"{text}; nothing was installed: ask who keeps the registry")
    raise EnvironmentFault(
        f"{text}; check network and proxy (https_proxy) and give the command again, "
        "it goes on where it stopped"
    )


def read_url(url: str, most: int) -> bytes:
    """A small document.

    Raises
    ------
    InputError
        It has more than `most` bytes.
    EnvironmentFault
        It cannot be reached.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with _answers(url, 0) as answer:
                content = answer.read(most + 1)
                if len(content) < min(int(answer.headers.get("Content-Length", 0)), most + 1):
                    raise _PassingFault("the connection was cut")
        except (_FinalFault, _PassingFault) as fault:
            if attempt == ATTEMPTS or isinstance(fault, _FinalFault):
                raise EnvironmentFault(
                    f"{url}: cannot be fetched ({fault}); check the address, network and proxy "
                    "(https_proxy)"
                ) from None
            wait(attempt)
            continue
        if len(content) > most:
            raise InputError(f"{url}: has more than {most} bytes; check the address")
        return content
    raise AssertionError("unreachable")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process is in such a block for this file, which need not exist."""
    with write_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another process is at it, waiting for it", path.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wait(attempt: int) -> None:
    """Give a server or a network time: 1, 2, 4 ... seconds."""
    time.sleep(2.0 ** (attempt - 1))


def _complete(url: str, part: Path, size: int, label: str) -> None:
    fruitless = 0
    with progress.task(label, size, "B") as task, part.open("ab") as out:
        task.advance(out.tell())
        while out.tell() < size:
            before = out.tell()
            try:
                _append(url, out, size, task)
            except _PassingFault as fault:
                fruitless = 1 if out.tell() > before else fruitless + 1
                if fruitless == ATTEMPTS:
                    raise _FinalFault(f"{fault}, {ATTEMPTS} times") from None
                log.info("%s: %s; trying again", url, fault)
                wait(fruitless)


def _append(url: str, out: BinaryIO, size: int, task: progress.Task) -> None:
    with _answers(url, out.tell()) as answer:
        begin = out.tell()
        if begin and not _goes_on(answer, begin):
            # The server knows no ranges and sends the whole file.
            task.advance(-begin)
            begin = 0
            _empty(out)
        length = answer.headers.get("Content-Length", "")
        if length.isdigit() and begin + int(length) != size:
            raise _FinalFault(f"the file has {begin + int(length)} bytes, the registry says {size}")
        while chunk := answer.read(min(_CHUNK, size - out.tell())):
            with write_faults(Path(out.name)):
                out.write(chunk)
            task.advance(len(chunk))
    if out.tell() < size:
        raise _PassingFault(f"the connection was cut at byte {out.tell()} of {size}")


@contextmanager
def _answers(url: str, begin: int) -> Iterator[HTTPResponse]:
    """The answer to a request for a file from a byte on; faults are sorted by whether they pass."""
    headers = {"User-Agent": f"llmbin/{__version__}", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    try:
        with _opener().open(Request(url, headers=headers), timeout=_TIMEOUT_SECONDS) as answer:
            yield cast(HTTPResponse, answer)
    except HTTPError as error:
        error.close()
        if error.code == 416 and begin:
            raise _RangeFault("the file is shorter than the registry says") from None
        text = f"the server answers {error.code} {error.reason}"
        raise (_PassingFault if error.code in _PASSING_STATUS else _FinalFault)(text) from None
    except URLError as error:
        final = isinstance(error.reason, ssl.SSLCertVerificationError | socket.gaierror | str)
        raise (_FinalFault if final else _PassingFault)(str(error.reason)) from None
    except (InvalidURL, ValueError) as error:  # a redirect may lead to anything
        raise _FinalFault(f"not an address, or redirects to none ({error})") from None
    except (HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _PassingFault(str(error) or type(error).__name__) from None


def _goes_on(answer: HTTPResponse, begin: int) -> bool:
    unit, _, span = answer.headers.get("Content-Range", "").partition(" ")
    return answer.status == 206 and unit == "bytes" and span.startswith(f"{begin}-")


class _CarefulRedirects(HTTPRedirectHandler):
    """Redirects lead to the web only, and never from https to http."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        old, new = (url.partition(":")[0].lower() for url in (req.full_url, newurl))
        if new not in SCHEMES or (old == "https" and new != "https"):
            raise URLError(f"the server redirects to {newurl}, which is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    # Made anew each time: it reads the proxies of the environment.
    return build_opener(_CarefulRedirects)


def _bytes_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _empty(out: BinaryIO) -> None:
    out.truncate(0)
    out.seek(0)
    os.fsync(out.fileno())
