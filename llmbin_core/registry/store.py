"""The folder of installed models: a model is installed as a whole or not at all.

``USER_FOLDER/NAME/record.json`` says what the model is and what its files must be,
``USER_FOLDER/NAME/NAME/`` holds them. Nothing in a model is executed.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmbin_core import defaults, outputs
from llmbin_core.errors import EnvironmentFault, InputError, UsageError
from llmbin_core.files import (
    atomic_folder,
    clear_leftovers,
    open_input,
    sha256_of,
    write_faults,
)
from llmbin_core.registry.archives import is_archive, pack, unpack
from llmbin_core.registry.contents import encoder_card, inspect
from llmbin_core.registry.download import alone
from llmbin_core.registry.entries import ENCODER, GLM, Entry, Needs, is_name

log = logging.getLogger("llmbin")

FOLDER_VARIABLE = "LLMBIN_MODELS"
CARD = "README.md"
_RECORD = "record.json"
# In an archive that `export` wrote: what a registry would say of the model.
_ABOUT = "llmbin-model.json"
_FORMAT, _VERSION = "llmbin-installed-model", 1
_ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".tgz", ".tar", ".zip", ".safetensors")
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Model:
    """A model on this machine.

    Attributes
    ----------
    name, kind, habitat, licence, card : str
        See `Entry`.
    source : str
        ``bundled``, or the file or address that it was installed from.
    digest : str
        Of the file that it was installed from, where that was one; of the weights if bundled.
    folder : Path
        Its files.
    files : mapping
        Name of each file -> sha256.
    """

    name: str
    kind: str
    habitat: str
    licence: str
    card: str
    source: str
    digest: str
    folder: Path
    files: Mapping[str, str]

    @property
    def path(self) -> Path:
        """What stands for the model on a command line: a gLM folder or the file of an encoder."""
        return self.folder if self.kind == GLM else self.folder / outputs.MODEL

    @property
    def needs(self) -> Needs:
        """What an encoder is for, by its card; nothing for a gLM."""
        try:
            return Needs.of_card(encoder_card(self.path)) if self.kind == ENCODER else Needs()
        except InputError:  # `verify` tells of missing and damaged files
            return Needs()

    @property
    def size(self) -> int:
        """Bytes of its files."""
        paths = [self.folder / name for name in self.files]
        return sum(path.stat().st_size for path in paths if path.is_file())


def user_folder() -> Path:
    """Where models are installed: LLMBIN_MODELS, else below the data folder of the user (XDG).

    Raises
    ------
    EnvironmentFault
        The user has no home folder.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).absolute()
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    try:
        # The XDG specification: a relative folder is no setting.
        return (data if data.is_absolute() else Path.home() / ".local/share") / "llmbin" / "models"
    except RuntimeError:
        raise EnvironmentFault(
            f"no home folder for the models: set {FOLDER_VARIABLE} to a folder"
        ) from None


def installed_names() -> list[str]:
    """Names of the installed models; none where there is no folder of models."""
    try:
        records = sorted(user_folder().glob(f"*/{_RECORD}"))
    except (EnvironmentFault, PermissionError):
        return []
    # Folders of an installation under way begin with a dot.
    return [p.parent.name for p in records if is_name(p.parent.name)]


def installed_model(name: str) -> Model | None:
    """An installed model, if there is one of the name; no other one is looked at.

    Raises
    ------
    InputError
        Its record cannot be read.
    """
    return _read_record(user_folder() / name / _RECORD) if name in installed_names() else None


def installed_models() -> dict[str, Model]:
    """The installed models by name; one whose record cannot be read is warned of and left out."""
    models = {}
    for name in installed_names():
        try:
            models[name] = _read_record(user_folder() / name / _RECORD)
        except InputError as error:
            log.warning("%s", error)
    return models


def install(
    source: Path,
    name: str | None = None,
    *,
    habitat: str | None = None,
    licence: str | None = None,
    entry: Entry | None = None,
    origin: str | None = None,
) -> Model:
    """Install a model, in place of one of the same name.

    Parameters
    ----------
    source : Path
        Archive of a model, gLM folder, folder of an encoder, or the encoder file itself.
    name : str, optional
        Without: that of the file.
    habitat, licence : str, optional
        Where the source does not say so itself.
    entry : Entry, optional
        What a registry says of it.
    origin : str, optional
        Where the source came from, if not from itself.

    Raises
    ------
    InputError
        Not a model, or a damaged one; an archive that is refused; a bundled model has the name.
    UsageError
        The name cannot be that of a model.
    EnvironmentFault
        The folder of models cannot be written.
    """
    if not source.is_dir():
        open_input(source).close()
    name = entry.name if entry else name or _name_of(source)
    _check_name(name)
    target = user_folder() / name
    with alone(target.with_name(f".{name}")):
        clear_leftovers(target)
        with atomic_folder(target) as made:
            content = made / name
            about = _bring(source, content)
            kind = _kind_of(content, origin or str(source))
            if entry is not None and entry.kind != kind:
                raise InputError(f"{origin}: is of kind {kind}, the registry says {entry.kind}")
            said = asdict(entry) if entry else {**about, "digest": ""}
            said |= {k: v for k, v in (("habitat", habitat), ("licence", licence)) if v}
            texts = (said.get("habitat", _UNKNOWN), said.get("licence", _UNKNOWN))
            came_from = origin or str(source.absolute())
            model = Model(
                name, kind, *texts, said.get("card", CARD), came_from, said["digest"], content,
                _digests(content),
            )  # fmt: skip
            (made / _RECORD).write_text(json.dumps(_record(model), indent=1) + "\n", "utf-8")
    return replace(model, folder=target / name)


def verify(model: Model) -> list[str]:
    """What is wrong with the files of a model; nothing where it is as it was installed."""
    found = _digests(model.folder) if model.folder.is_dir() else {}
    faults = [f"{name} is missing" for name in sorted(model.files.keys() - found.keys())]
    faults += [
        f"{name} has sha256 {found[name]}, expected {model.files[name]}"
        for name in sorted(model.files.keys() & found.keys())
        if found[name] != model.files[name]
    ]
    if model.source != "bundled":
        faults += [f"{name} does not belong to it" for name in sorted(found.keys() - model.files)]
    return faults


def export(model: Model, out: Path) -> Entry:
    """Write a model as an archive that `install` takes.

    Returns
    -------
    Entry
        What a registry beside the archive says of it.

    Raises
    ------
    InputError
        The files of the model are not those that were installed.
    """
    faults = verify(model)
    if faults:
        raise InputError(f"{model.folder}: {'; '.join(faults)}; install the model again")
    about = {k: getattr(model, k) for k in ("name", "kind", "habitat", "licence", "card")}
    files: dict[str, Path | bytes] = {
        f"{model.name}/{name}": model.folder / name for name in _digests(model.folder)
    }
    files[f"{model.name}/{_ABOUT}"] = (json.dumps(about, indent=1) + "\n").encode()
    pack(files, out)
    digest = f"sha256:{sha256_of(out)}"
    size = out.stat().st_size
    return Entry(**about, digest=digest, size=size, url=out.name, needs=model.needs)


def _check_name(name: str) -> None:
    if not is_name(name):
        raise UsageError(
            f"'{name}' cannot be the name of a model: letters, digits, '.', '_' and '-', up to 64; "
            "give --name"
        )
    if name in (*defaults.BASELINES, defaults.NO_GLM):
        raise UsageError(f"'{name}' is what --glm calls something else; give another --name")


def _kind_of(content: Path, origin: str) -> str:
    try:
        return inspect(content)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def _name_of(source: Path) -> str:
    name = source.absolute().name
    while (path := Path(name)).suffix in _ENDINGS and not source.is_dir():
        name = path.stem
    return name


def _bring(source: Path, content: Path) -> dict[str, Any]:
    """Put the files of a model into the folder `content`; what the archive says of itself."""
    if source.is_dir():
        _copy(source, content)
    elif is_archive(source):
        content.mkdir()
        unpack(source, content)
        inner = list(content.iterdir())
        if len(inner) == 1 and inner[0].is_dir():
            apart = content.with_name(f"{content.name}.content")
            inner[0].rename(apart)
            content.rmdir()
            apart.rename(content)
    else:
        content.mkdir()
        with write_faults(content):
            shutil.copyfile(source, content / outputs.MODEL)
    try:
        about = json.loads((content / _ABOUT).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    (content / _ABOUT).unlink()
    texts = about if isinstance(about, dict) else {}
    return {k: v for k, v in texts.items() if isinstance(v, str) and v.isprintable()}


def _copy(source: Path, content: Path) -> None:
    for path in (source, *sorted(source.rglob("*"))):
        target = content / path.relative_to(source)
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise InputError(f"{path}: is a link or special file; give a folder of plain files")
        with write_faults(target):
            if path.is_dir():
                target.mkdir()
            else:
                shutil.copyfile(path, target)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): sha256_of(p) for p in files}


def _record(model: Model) -> dict[str, Any]:
    fields = asdict(model)
    del fields["folder"]
    return {"format": _FORMAT, "version": _VERSION, **fields}


def _read_record(path: Path) -> Model:
    remedy = f"install the model again, or remove the folder {path.parent}"
    try:
        content = json.loads(path.read_bytes())
        form, version = content.pop("format"), content.pop("version")
        if form != _FORMAT or version > _VERSION:
            raise InputError(f"{path}: is of another version of LLMBin; {remedy}")
        return Model(**content, folder=path.parent / path.parent.name)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(f"{path}: cannot be understood; {remedy}") from None
