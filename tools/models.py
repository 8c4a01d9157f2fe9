"""llmbin-models: prebuilt encoders and gLMs, bundled, installed or in registries."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbin_tools._common import Cli, add_command, log, make_parser, run_tool

from llmbin_core.errors import EnvironmentFault, InputError, UsageError

if TYPE_CHECKING:
    from llmbin_core.registry import Model, Registry

_REGISTRIES, _OFFLINE = "LLMBIN_REGISTRIES", "LLMBIN_OFFLINE"
_COLUMNS = ("name", "kind", "samples", "glm", "habitat", "size", "licence", "status")


def _parser() -> argparse.ArgumentParser:
    cli = make_parser(
        "models",
        "Prebuilt encoders (for --model) and gLMs (for --glm): bundled, installed, in registries.\n"
        "A registry is a JSON file that lists models, on disk or on the web: --registry, or the\n"
        f"variable {_REGISTRIES} (several, separated by blanks). Models are installed in the\n"
        "folder that LLMBIN_MODELS names (without: llmbin/models in the data folder of the user).\n"
        "The network is used by fetch and to read a registry whose address is given, by nothing\n"
        "else.",
        "llmbin-models list --registry https://institute.example/models.json",
    )
    _add_commands(cli)
    return cli.parser


def _add_commands(cli: Cli) -> None:
    commands = cli.parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    one = add_command(commands, "list", "List models.", "llmbin-models list --json")
    _add_registry(one)
    _add_json(one)
    one = add_command(commands, "show", "All that is known of a model, with its card.",
                      "llmbin-models show compact")  # fmt: skip
    one.add_argument("name", metavar="NAME", help="name of the model, or file of an encoder")
    _add_registry(one)
    _add_json(one)
    one = add_command(
        commands,
        "fetch",
        "Install models of registries.\n"
        "A download that was cut goes on where it was; what comes is checked by its digest.\n"
        "Proxies: http_proxy, https_proxy, no_proxy. LLMBIN_MIRROR is the address of a folder on\n"
        f"the web with copies of the files, which is tried first. {_OFFLINE}=1 is --offline.",
        "llmbin-models fetch human_gut --registry https://institute.example/models.json",
    )
    one.add_argument("names", nargs="+", metavar="NAME", help="models to install")
    _add_registry(one)
    one.add_argument("--offline", action="store_true", help="never use the network")
    one = add_command(commands, "verify", "Compare the files of models with their digests.",
                      "llmbin-models verify")  # fmt: skip
    one.add_argument("names", nargs="*", metavar="NAME",
                     help="models (without: all that are bundled or installed)")  # fmt: skip
    _add_json(one)
    one = add_command(commands, "install", "Install a model from a file.",
                      "llmbin-models install human_gut.tar.gz")  # fmt: skip
    one.add_argument("file", type=Path, metavar="FILE",
                     help="archive (tar, zip), encoder file or gLM folder")  # fmt: skip
    one.add_argument("--name", default=None, help="name of the model (without: that of the file)")
    for option, text in (("--habitat", "what it was trained for"), ("--licence", "its licence")):
        one.add_argument(option, default=None, metavar="TEXT",
                         help=f"{text} (without: as the file says)")  # fmt: skip
    one = add_command(
        commands,
        "export",
        "Write a model as an archive; a registry that lists it goes to standard output.",
        "llmbin-models export human_gut --out human_gut.tar.gz > models.json",
    )
    _add_name(one)
    one.add_argument("--out", type=Path, required=True, metavar="FILE",
                     help="archive to write, ending in .tar.gz")  # fmt: skip
    one = add_command(commands, "path", "Where a model is, or the folder of installed models.",
                      "llmbin-models path compact")  # fmt: skip
    one.add_argument("name", nargs="?", default=None, metavar="NAME",
                     help="model (without: the folder)")  # fmt: skip


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the model")


def _add_registry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--registry",
        nargs="+",
        default=(),
        metavar="PLACE",
        help=f"files or addresses of registries (without: those in {_REGISTRIES})",
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="write JSON")


def _body(args: argparse.Namespace) -> None:
    {
        "list": _list,
        "show": _show,
        "fetch": _fetch,
        "verify": _verify,
        "install": _install,
        "export": _export,
        "path": _path,
    }[args.command](args)


def _registries(args: argparse.Namespace, *, online: bool = False) -> list[Registry]:
    """The registries that are asked for; addresses in the environment only where that is meant."""
    from llmbin_core.registry import read_registry
    from llmbin_core.registry.download import is_url

    places = list(args.registry)
    if not places:
        places = os.environ.get(_REGISTRIES, "").split()
        left_out = [] if online else [place for place in places if is_url(place)]
        for place in left_out:
            log.info("%s was not read; --registry %s reads it", place, place)
        places = [place for place in places if place not in left_out]
    if _is_offline(args):
        for place in places:
            if is_url(place):
                raise EnvironmentFault(
                    f"offline: the registry {place} was not read; get it on another machine and "
                    "give the file with --registry"
                )
    return [read_registry(place) for place in places]


def _is_offline(args: argparse.Namespace) -> bool:
    variable = os.environ.get(_OFFLINE, "").lower() not in ("", "0", "no", "false")
    return variable or getattr(args, "offline", False)


def _rows(registries: Iterable[Registry]) -> list[dict[str, Any]]:
    """What is known of every model, bundled and installed ones first."""
    from llmbin_core.registry import known_models

    rows = {}
    for model in known_models().values():
        status = "bundled" if model.source == "bundled" else "installed"
        rows[model.name] = _row(model, status)
    for registry in registries:
        for entry in registry.models:
            row = rows.get(entry.name)
            if row is None:
                listed = {f: getattr(entry, f) for f in ("habitat", "licence", "card", "digest")}
                listed |= asdict(entry.needs)
                rows[entry.name] = {
                    "name": entry.name, "kind": entry.kind, **listed, "size": entry.size,
                    "status": "available", "source": registry.where, "url": entry.url,
                }  # fmt: skip
            elif row["status"] == "installed" and row["digest"] not in ("", entry.digest):
                row["status"] = "outdated"
    return sorted(rows.values(), key=lambda row: (row["kind"], row["name"]))


def _row(model: Model, status: str) -> dict[str, Any]:
    texts = ("name", "kind", "habitat", "licence", "card", "digest", "size")
    row = {field: getattr(model, field) for field in texts} | asdict(model.needs)
    return row | {"status": status, "source": model.source, "path": str(model.path)}


def _list(args: argparse.Namespace) -> None:
    rows = _rows(_registries(args))
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    cells = [[_cell(row, column) for column in _COLUMNS] for row in rows]
    _print_table([[column.upper() for column in _COLUMNS], *cells])


def _cell(row: Mapping[str, Any], column: str) -> str:
    if column == "size":
        return _size(row["size"])
    return "-" if row[column] is None else str(row[column])


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} GiB"


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def _show(args: argparse.Namespace) -> None:
    from llmbin_core.registry import known_model

    model = known_model(args.name)
    rows = {row["name"]: row for row in _rows(_registries(args))}
    if args.name in rows:
        row = rows[args.name]
    elif Path(args.name).is_file():
        row = _row_of_file(Path(args.name))
    else:
        raise InputError(_nowhere(args.name, rows))
    card = model.folder / row["card"] if model else None
    text = card.read_text("utf-8", "replace") if card and card.is_file() else None
    card_of_encoder = _card(row)
    if args.json:
        print(json.dumps(row | {"encoder": card_of_encoder, "card_text": text}, indent=1))
        return
    from llmbin_core.encoder.modelcard import facts

    said = {name: _cell(row, name) for name in row if row[name] is not None} | _of_glm(row)
    said |= facts(card_of_encoder) if card_of_encoder else {}
    _print_table([[f"{name}:", text] for name, text in said.items()])
    if text:
        print(f"\n{text.rstrip()}")


def _row_of_file(path: Path) -> dict[str, Any]:
    from llmbin_core.encoder.modelcard import read_card
    from llmbin_core.registry import ENCODER, Needs

    return {"name": path.name, "kind": ENCODER, **asdict(Needs.of_card(read_card(path))),
            "size": path.stat().st_size, "status": "file", "path": str(path)}  # fmt: skip


def _card(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an encoder on this machine says of itself."""
    from llmbin_core.encoder.modelcard import read_card
    from llmbin_core.registry import ENCODER

    if row["kind"] != ENCODER or "path" not in row:
        return None
    try:
        return read_card(Path(row["path"]))
    except InputError as error:
        log.warning("%s", error)
        return None


def _of_glm(row: Mapping[str, Any]) -> dict[str, str]:
    """The digest by which encoders know a gLM: that of what it computes, not of its file."""
    from llmbin_core.glm.identity import identify
    from llmbin_core.registry import GLM

    found = identify(row["path"]) if row["kind"] == GLM and "path" in row else None
    return {"glm": found.name, "glm_digest": found.digest} if found else {}


def _nowhere(name: str, names: Iterable[str]) -> str:
    return (
        f"model '{name}': not among {', '.join(sorted(names))}; 'llmbin models list --registry "
        f"PLACE' shows what a registry has, 'llmbin models fetch {name}' installs it"
    )


def _fetch(args: argparse.Namespace) -> None:
    from llmbin_core import registry

    places = _registries(args, online=True)
    if not places:
        raise UsageError(f"no registry: give --registry PLACE, or set {_REGISTRIES}")
    found = [registry.lookup(name, places) for name in args.names]
    for entry, where in found:
        model = registry.fetch(entry, where, offline=_is_offline(args))
        log.info("%s (%s): %s", model.name, model.kind, model.path)


def _verify(args: argparse.Namespace) -> None:
    from llmbin_core.registry import bundled_models, installed_names, user_folder

    known = {*bundled_models(), *installed_names()}
    for name in args.names:
        if name not in known:
            raise InputError(_nowhere(name, known))
    chosen = {name: _faults(name) for name in args.names or sorted(known)}
    if args.json:
        print(json.dumps(chosen, indent=1))
    else:
        _print_table([[name, "; ".join(faults) or "as it should be"]
                      for name, faults in chosen.items()])  # fmt: skip
    bad = [name for name, faults in chosen.items() if faults]
    if bad:
        own = [name for name in bad if name not in bundled_models()]
        remedy = f"install or fetch again what is in {user_folder()}" if own else ""
        remedy += " and " if own and len(own) < len(bad) else ""
        remedy += "install LLMBin again" if len(own) < len(bad) else ""
        raise InputError(f"{', '.join(bad)}: the files are not those that were installed; {remedy}")


def _faults(name: str) -> list[str]:
    from llmbin_core.registry import known_model, verify

    try:
        model = known_model(name)
    except InputError as error:
        return [str(error)]
    return verify(model) if model else []


def _known(name: str) -> Model:
    from llmbin_core.registry import known_model, known_models

    model = known_model(name)
    if model is None:
        raise InputError(_nowhere(name, known_models()))
    return model


def _install(args: argparse.Namespace) -> None:
    from llmbin_core.registry import bundled_models, install

    model = install(args.file, args.name, habitat=args.habitat, licence=args.licence)
    if model.name in bundled_models():
        log.warning("the bundled '%s' goes before it; give it another --name", model.name)
    log.info("%s (%s): %s", model.name, model.kind, model.path)


def _export(args: argparse.Namespace) -> None:
    from llmbin_core.registry import document, export

    model = _known(args.name)
    if not args.out.name.endswith((".tar.gz", ".tgz")):
        raise UsageError(f"--out {args.out}: is written as .tar.gz; name it so")
    entry = export(model, args.out)
    print(json.dumps(document([entry]), indent=1))


def _path(args: argparse.Namespace) -> None:
    from llmbin_core.registry import user_folder

    print(user_folder() if args.name is None else _known(args.name).path)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_tool(_parser(), _body, argv)
