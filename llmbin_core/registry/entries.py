"""Registries: JSON documents that list prebuilt models, read and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from llmbin_core import defaults
from llmbin_core.errors import InputError

FORMAT, VERSION = "llmbin-registry", 1
ENCODER, GLM = "encoder", "glm"
KINDS = (ENCODER, GLM)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Needs:
    """What an encoder is for.

    Attributes
    ----------
    samples : str, optional
        ``single-sample`` or ``multi-sample``, see `llmbin_core.encoder.modelcard.kind_of`.
    glm, glm_digest : str, optional
        Name and digest of the gLM whose embeddings it takes; ``none`` and no digest without one.
    """

    samples: str | None = None
    glm: str | None = None
    glm_digest: str | None = None

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Needs:
        """As the card of an encoder says it."""
        if "embedder" not in card:
            return cls(card.get("kind"))
        glm = card["embedder"] or {"name": defaults.NO_GLM}
        return cls(card.get("kind"), glm.get("name"), glm.get("digest"))


@dataclass(frozen=True)
class Entry:
    """What a registry says of one model.

    Attributes
    ----------
    name : str
        Letters, digits, ``.``, ``_`` and ``-``; unique over both kinds.
    kind : str
        ``encoder`` or ``glm``.
    habitat : str
        What it was trained for.
    licence : str
        SPDX identifier.
    digest : str
        ``sha256:...`` of the file that `url` names; of the weights where the model is bundled.
    size : int
        Bytes of that file.
    url : str, optional
        Where the file is; None for a bundled model. Relative to the place of the registry.
    mirrors : tuple of str
        Further places of the same file.
    card : str
        Address of the model card, or the name of a file that comes with the model.
    needs : Needs
        Of an encoder, where the registry tells it.
    """

    name: str
    kind: str
    habitat: str
    licence: str
    digest: str
    size: int
    url: str | None
    card: str
    mirrors: tuple[str, ...] = ()
    needs: Needs = Needs()

    @property
    def sha256(self) -> str:
        """The digits of the digest."""
        return self.digest.removeprefix("sha256:")


@dataclass(frozen=True)
class Registry:
    """Models that one document lists, and where it was read from (file or URL)."""

    where: str
    models: tuple[Entry, ...]


def is_name(text: str) -> bool:
    """Whether a model could have this name."""
    return _NAME.fullmatch(text) is not None


def document(entries: Iterable[Entry]) -> dict[str, Any]:
    """The registry that lists these models, as JSON values."""
    models = []
    for entry in entries:
        row = asdict(entry) | {"mirrors": list(entry.mirrors)}
        needs = {k: v for k, v in row.pop("needs").items() if v is not None}
        models.append(row | ({"needs": needs} if needs else {}))
    return {"format": FORMAT, "version": VERSION, "models": models}


def parse(text: bytes, where: str) -> Registry:
    """Read a registry.

    Parameters
    ----------
    text : bytes
    where : str
        File or URL, for messages.

    Raises
    ------
    InputError
        Not a registry, one of a later version, or an entry that is incomplete; names the model
        and the field.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: not a registry of models: no JSON ({error})") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f'{where}: not a registry of models: it lacks "format": "{FORMAT}"')
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise InputError(
            f"{where}: registry version {version!r}, this program reads up to {VERSION}; "
            "use a newer version of LLMBin"
        )
    rows = content.get("models")
    if not isinstance(rows, list):
        raise InputError(f'{where}: "models" is not a list')
    models = tuple(_entry(row, f"{where}, model {i}") for i, row in enumerate(rows, 1))
    names = [model.name for model in models]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{where}: lists '{twice}' twice; give each model a name of its own")
    return Registry(where, models)


def _entry(row: object, where: str) -> Entry:
    if not isinstance(row, dict):
        raise InputError(f"{where}: is not a JSON object")
    where = f"{where} ('{row['name']}')" if isinstance(row.get("name"), str) else where
    texts = {k: _text(row, k, where) for k in ("name", "kind", "habitat", "licence", "card")}
    if not is_name(texts["name"]):
        raise InputError(f"{where}: the name may hold letters, digits, '.', '_' and '-' only")
    if texts["kind"] not in KINDS:
        raise InputError(f"{where}: kind '{texts['kind']}' is none of {', '.join(KINDS)}")
    digest, size, url, mirrors = (row.get(k) for k in ("digest", "size", "url", "mirrors"))
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InputError(f"{where}: the digest is not 'sha256:' and 64 hexadecimal digits")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InputError(f"{where}: the size is not a number of bytes above 0")
    if url is not None and not (isinstance(url, str) and url):
        raise InputError(f"{where}: the url is neither a text nor null")
    mirrors = [] if mirrors is None else mirrors
    if not isinstance(mirrors, list) or not all(isinstance(m, str) and m for m in mirrors):
        raise InputError(f"{where}: the mirrors are not a list of addresses")
    needs = _needs(row.get("needs"), where)
    return Entry(**texts, digest=digest, size=size, url=url, mirrors=tuple(mirrors), needs=needs)


def _needs(value: object, where: str) -> Needs:
    """Registries of before have none."""
    if value is None:
        return Needs()
    if not isinstance(value, dict):
        raise InputError(f'{where}: "needs" is not a JSON object')
    names = [f.name for f in fields(Needs) if value.get(f.name) is not None]
    return Needs(**{name: _text(value, name, f'{where}, "needs"') for name in names})


def _text(row: Mapping[str, Any], field: str, where: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise InputError(f"{where}: the field '{field}' is missing or not a line of text")
    return value
