"""Build, test and export the images of LLMBin.

`build` makes an image and its bill of materials, `test` runs everything in it as workflow systems
do, `export` writes what Apptainer builds from, `sbom` writes or checks a bill of materials.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

try:
    import docker
    import images
    import sbom
    import smoke
    from docker.errors import DockerException, ImageNotFound
except ModuleNotFoundError as error:
    if __name__ != "__main__":
        raise
    print(
        f"build.py: error: the Python package of {error.name} is not installed;"
        " at the top of the repository: pip install '.[containers]'",
        file=sys.stderr,
    )
    sys.exit(4)


class Refused(Exception):
    """What is asked for cannot be done; the message says why and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def before_build(args: argparse.Namespace) -> None:
    """No option is ignored."""
    given = [n for n in ("wheels", "torch_sha256") if getattr(args, n) is not None]
    if args.gpu and given:
        option = given[0].replace("_", "-")
        raise Refused(
            2,
            f"--{option} has no effect with --gpu: every wheel of that image, torch too, is taken"
            " from the index of pip and locked in requirements-gpu.txt; leave it out",
        )
    if args.wheels is not None and not any(args.wheels.glob("*.whl")):
        raise Refused(3, f"--wheels {args.wheels}: no wheels there")


def build(client: docker.DockerClient, args: argparse.Namespace) -> None:
    """An image, and its bill of materials beside it."""
    secrets, wheels = images.secrets_of_this_machine()
    recipe = images.Recipe(
        gpu=args.gpu,
        python_image=args.python_image,
        wheels=args.wheels or (None if args.gpu else wheels),
        torch_sha256=args.torch_sha256,
        source=args.source,
        secrets=secrets,
        cache=not args.no_cache,
    )
    image = images.build(client, recipe)
    bill = args.out / f"{recipe.tag.replace(':', '-')}.cdx.json"
    args.out.mkdir(parents=True, exist_ok=True)
    bill.write_text(sbom.make(client, recipe.tag, images.epoch()), encoding="utf-8")
    print(f"{recipe.tag}: {image.id}, {image.attrs['Size'] / 1e6:.0f} MB uncompressed; {bill}")


def before_test(args: argparse.Namespace) -> None:
    """The bins of the image are compared with those of the `llmbin` here."""
    command, version = shutil.which("llmbin"), images.version()
    remedy = "README.md beside build.py says how to install it with the libraries of the image"
    if command is None:
        raise Refused(4, f"no llmbin on PATH to compare the bins with; {remedy}")
    said = subprocess.run((command, "--version"), capture_output=True, text=True, check=False)
    if said.stdout.split()[-1:] != [version]:
        raise Refused(4, f"{command} is not of version {version}, as the sources; {remedy}")


def test(client: docker.DockerClient, args: argparse.Namespace) -> None:
    """Every executable, and a small community binned in the image and here."""
    for way in smoke.WAYS:
        with tempfile.TemporaryDirectory() as folder:
            smoke.check_executables(client, args.image, way, images.version(), Path(folder))
        print(f"every executable, as {way.name}: works")
    with tempfile.TemporaryDirectory() as folder:
        demo = Path(folder)
        bams = prepare_demo(demo)
        for name, way, script in runs_of_demo(bams):
            inside = demo / name
            shutil.copytree(demo / "community", inside / "community")
            smoke.run(client, args.image, way, script, inside, args.threads)
            count = smoke.check_same_bins(demo / "out", inside / "out")
            print(f"{name}, as {way.name}: the same {count} bins as here")


def prepare_demo(folder: Path) -> list[str]:
    """A small community and its bins, made here with the `llmbin` on PATH; its BAM files."""
    commands = (
        "llmbin simulate --n-genomes 4 --genome-size 0.4 0.6 --samples 2 --seed 1 --out community",
        "llmbin run --contigs community/contigs.fasta.gz --bam community/S1.bam community/S2.bam"
        " --out out",
    )
    for command in commands:
        line = [*command.split(), "--quiet", "--threads", "1"]
        done = subprocess.run(line, cwd=folder, check=False)
        if done.returncode:
            raise smoke.SmokeError(f"here, {command.split(' --')[0]} ended with {done.returncode}")
    return ["community/S1.bam", "community/S2.bam"]


def runs_of_demo(bams: Sequence[str]) -> list[tuple[str, smoke.Way, str]]:
    """Name, way and script of the runs of the demo in an image."""
    ways = {way.name: way for way in smoke.WAYS}
    return [
        ("stage by stage", ways["nf-core"], smoke.stage_by_stage(bams) + smoke.ASIDE),
        ("whole run", ways["Galaxy"], smoke.whole_run(bams)),
    ]


def export(client: docker.DockerClient, args: argparse.Namespace) -> None:
    """The image as an archive, and the Apptainer definition beside it."""
    args.out.mkdir(parents=True, exist_ok=True)
    archive = args.out / "llmbin.tar"
    with archive.open("wb") as handle:
        for part in client.images.get(args.image).save(named=True):
            handle.write(part)
    shutil.copy(images.ROOT / "containers" / "llmbin.def", args.out)
    print(f"{archive}, {archive.stat().st_size / 1e6:.0f} MB; llmbin.def")


def before_bill(args: argparse.Namespace) -> None:
    """A file to compare with is there and is a bill."""
    if args.check is not None:
        try:
            sbom.read(args.check)
        except sbom.BillError as error:
            raise Refused(3, f"{error}; `build.py build` writes a bill beside each image") from None


def bill(client: docker.DockerClient, args: argparse.Namespace) -> None:
    """Write a bill of materials, or compare one with the image."""
    if args.check is None:
        sys.stdout.write(sbom.make(client, args.image, images.epoch()))
    elif found := sbom.differences(client, args.image, args.check):
        raise images.BuildError("\n".join([f"{args.check} is not of {args.image}", *found]))
    else:
        print(f"{args.check} is the bill of {args.image}")


def digest(text: str) -> str:
    """A digest as pip compares it."""
    if not re.fullmatch("[0-9a-f]{64}", text.lower()):
        raise argparse.ArgumentTypeError(f"'{text}' is no SHA-256: 64 hexadecimal digits")
    return text.lower()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    make = commands.add_parser("build", help="build an image and write its bill of materials")
    make.add_argument("--gpu", action="store_true", help="with the CUDA build of torch")
    make.add_argument("--python-image", metavar="IMAGE", help="base, best pinned by digest")
    make.add_argument("--wheels", type=Path, metavar="DIR", help="wheels to install from (no GPU)")
    make.add_argument(
        "--torch-sha256", type=digest, metavar="HEX", help="digest of the wheel of torch (no GPU)"
    )
    make.add_argument(
        "--source", metavar="URL", help="where the sources are published, for the label"
    )
    make.add_argument("--no-cache", action="store_true", help="build every layer anew")
    make.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR")
    make.set_defaults(call=build, before=before_build)
    check = commands.add_parser(
        "test",
        help="run everything in an image; needs llmbin here too, of the same versions",
    )
    check.add_argument("--threads", type=int, default=1, metavar="N")
    check.set_defaults(call=test, before=before_test)
    write = commands.add_parser("export", help="write what Apptainer builds from")
    write.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR")
    write.set_defaults(call=export, before=lambda args: None)
    materials = commands.add_parser("sbom", help="write a bill of materials, or check one")
    materials.add_argument("--check", type=Path, metavar="FILE", help="a bill to compare with")
    materials.set_defaults(call=bill, before=before_bill)
    for command in (check, write, materials):
        command.add_argument("image", metavar="IMAGE")
    return top


def main() -> int:
    args = parser().parse_args()
    try:
        args.before(args)
        client = docker.from_env(timeout=600)
        if "image" in args:
            # Not found here, it would be asked of a registry.
            client.images.get(args.image)
        args.call(client, args)
    except Refused as error:
        print(f"build.py: error: {error}", file=sys.stderr)
        return error.status
    except ImageNotFound as error:
        print(f"build.py: error: {error.explanation}", file=sys.stderr)
        return 3
    except (images.BuildError, smoke.SmokeError) as error:
        print(f"build.py: error: {error}", file=sys.stderr)
        return 1
    except DockerException as error:
        print(f"build.py: error: the Docker engine: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
