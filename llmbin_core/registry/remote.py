"""Registries by file or URL, and models fetched from them into the folder of installed models."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from llmbin_core.errors import EnvironmentFault, InputError, UsageError
from llmbin_core.files import open_input, sha256_of
from llmbin_core.registry.download import alone, check_place, download, is_url, read_url
from llmbin_core.registry.entries import Entry, Registry, parse
from llmbin_core.registry.names import bundled_models
from llmbin_core.registry.store import Model, install, installed_model, user_folder, verify

log = logging.getLogger("llmbin")

MIRROR_VARIABLE = "LLMBIN_MIRROR"
_MOST_REGISTRY_BYTES = 10 << 20
_DOWNLOADS = ".downloads"


def read_registry(where: str) -> Registry:
    """A registry from a file or a URL.

    Raises
    ------
    InputError
        No such file; not a registry; an address that is none, or neither http nor https.
    EnvironmentFault
        The URL cannot be reached.
    """
    check_place(where)
    if is_url(where):
        return parse(read_url(where, _MOST_REGISTRY_BYTES), where)
    with open_input(Path(where)) as handle:
        return parse(handle.read(_MOST_REGISTRY_BYTES), where)


def lookup(name: str, registries: Sequence[Registry]) -> tuple[Entry, Registry]:
    """The entry of a model, and the registry that has it.

    Raises
    ------
    InputError
        No registry has it, or two have different models of that name.
    """
    found = [(e, r) for r in registries for e in r.models if e.name == name]
    if not found:
        names = sorted({e.name for r in registries for e in r.models})
        places = ", ".join(r.where for r in registries) or "none given"
        raise InputError(
            f"model '{name}': not in the registries ({places}), which have "
            f"{', '.join(names) or 'no models'}; give the registry that has it with --registry"
        )
    first, where = found[0]
    for other, elsewhere in found[1:]:
        if other.digest != first.digest:
            raise InputError(
                f"model '{name}': {where.where} and {elsewhere.where} have different models of "
                "this name; choose one with --registry"
            )
    return first, where


def fetch(entry: Entry, registry: Registry, *, offline: bool = False) -> Model:
    """Install a model of a registry, unless it is installed already.

    Parameters
    ----------
    entry, registry
        As `lookup` gives them.
    offline : bool
        Do not use the network.

    Raises
    ------
    InputError
        The file has another digest than the registry says, or holds no model.
    EnvironmentFault
        It can be had from no address; or offline.
    UsageError
        The name is that of a bundled model.
    """
    if entry.name in bundled_models():
        raise UsageError(f"model '{entry.name}' comes with the program; there is nothing to fetch")
    own = _whole(entry)
    if own is not None:
        log.info("%s is installed already", entry.name)
        return own
    places = _places(entry, registry)
    for place in places:
        if not is_url(place) and Path(place).is_file():
            return _from_file(entry, Path(place))
    urls = [place for place in places if is_url(place)]
    if not urls:
        raise InputError(f"{registry.where}: no such file: {places[0]}; ask who keeps the registry")
    if offline:
        raise EnvironmentFault(
            f"offline: {entry.name} was not fetched; get {urls[0]} ({entry.digest}) on another "
            f"machine and give it to 'llmbin models install FILE --name {entry.name}'"
        )
    part = user_folder() / _DOWNLOADS / entry.sha256
    with alone(part):
        # Another process may have fetched it while this one waited.
        own = _whole(entry)
        if own is not None:
            return own
        origin = download(urls, part, entry.size, entry.sha256, f"fetching {entry.name}")
        try:
            model = install(part, entry=entry, origin=origin)
        except InputError:
            part.unlink()  # the right bytes, but no model: nothing to go on from
            raise
        part.unlink()
    return model


def _whole(entry: Entry) -> Model | None:
    """The installed model, where it is the one of the registry and its files are whole."""
    try:
        own = installed_model(entry.name)
    except InputError:  # a record that says nothing is replaced like a file that is damaged
        return None
    return own if own and own.digest == entry.digest and not verify(own) else None


def _from_file(entry: Entry, path: Path) -> Model:
    found = sha256_of(path)
    if found != entry.sha256:
        raise InputError(
            f"{path}: sha256 is {found}, the registry says {entry.sha256}; nothing was installed: "
            "ask who keeps the registry"
        )
    return install(path, entry=entry, origin=str(path))


def _places(entry: Entry, registry: Registry) -> list[str]:
    """Where the file of a model is: the user's mirror, the registry's address, its mirrors."""
    if entry.url is None:
        raise InputError(f"{registry.where}: gives no address for '{entry.name}'")
    places = [_absolute(place, registry.where) for place in (entry.url, *entry.mirrors)]
    mirror = os.environ.get(MIRROR_VARIABLE, "")
    if mirror and not is_url(mirror):
        raise UsageError(f"{MIRROR_VARIABLE}={mirror}: is not an http(s) address")
    check_place(mirror, MIRROR_VARIABLE)
    if mirror:
        name = urlsplit(places[0]).path.rsplit("/", 1)[-1]
        places.insert(0, f"{mirror.rstrip('/')}/{name}")
    return places


def _absolute(place: str, registry: str) -> str:
    """An address relative to the place of the registry; a remote registry names no local files."""
    check_place(place, registry)
    if is_url(place):
        return place
    if not is_url(registry):
        return str(Path(registry).parent / place)
    try:
        return urljoin(registry, place)
    except ValueError as error:
        raise InputError(f"{registry}: address {place}: is not an address ({error})") from None
