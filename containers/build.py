"""Build, test and export the images of LLMBin.

`build` makes an image and its bill of materials, `test` runs everything in it as workflow systems
do, `export` writes what Apptainer builds from, `sbom` writes or checks a bill of materials.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import docker
import images
import sbom
import smoke
from docker.errors import DockerException, ImageNotFound


def build(client: docker.DockerClient, args: argparse.Namespace) -> None:
    """An image, and its bill of materials beside it."""
    secrets, wheels = images.secrets_of_this_machine()
    recipe = images.Recipe(
        gpu=args.gpu,
        python_image=args.python_image,
        wheels=args.wheels or (None if args.gpu else wheels),
        torch_sha256=args.torch_sha256,
        secrets=secrets,
        cache=not args.no_cache,
    )
    image = images.build(client, recipe)
    bill = args.out / f"{recipe.tag.replace(':', '-')}.cdx.json"
    args.out.mkdir(parents=True, exist_ok=True)
    bill.write_text(sbom.make(client, recipe.tag, images.epoch()), encoding="utf-8")
    print(f"{recipe.tag}: {image.id}, {image.attrs['Size'] / 1e6:.0f} MB uncompressed; {bill}")


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
        subprocess.run(line, cwd=folder, check=True)
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


def bill(client: docker.DockerClient, args: argparse.Namespace) -> None:
    """Write a bill of materials, or compare one with the image."""
    if args.check is None:
        sys.stdout.write(sbom.make(client, args.image, images.epoch()))
    elif found := sbom.differences(client, args.image, args.check):
        raise images.BuildError("\n".join([f"{args.check} is not of {args.image}", *found]))
    else:
        print(f"{args.check} is the bill of {args.image}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    make = commands.add_parser("build", help="build an image and write its bill of materials")
    make.add_argument("--gpu", action="store_true", help="with the CUDA build of torch")
    make.add_argument("--python-image", metavar="IMAGE", help="base, best pinned by digest")
    make.add_argument("--wheels", type=Path, metavar="DIR", help="wheels to install from")
    make.add_argument("--torch-sha256", metavar="HEX", help="digest that the wheel of torch has")
    make.add_argument("--no-cache", action="store_true", help="build every layer anew")
    make.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR")
    make.set_defaults(call=build)
    check = commands.add_parser("test", help="run everything in an image; needs llmbin here too")
    check.add_argument("--threads", type=int, default=1, metavar="N")
    check.set_defaults(call=test)
    write = commands.add_parser("export", help="write what Apptainer builds from")
    write.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR")
    write.set_defaults(call=export)
    materials = commands.add_parser("sbom", help="write a bill of materials, or check one")
    materials.add_argument("--check", type=Path, metavar="FILE", help="a bill to compare with")
    materials.set_defaults(call=bill)
    for command in (check, write, materials):
        command.add_argument("image", metavar="IMAGE")
    return top


def main() -> int:
    args = parser().parse_args()
    try:
        client = docker.from_env(timeout=600)
        if "image" in args:
            # Not found here, it would be asked of a registry.
            client.images.get(args.image)
        args.call(client, args)
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
