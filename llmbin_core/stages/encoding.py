"""Stages of the binning encoder: training a model, and the latents it gives."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmbin_core import defaults, outputs
from llmbin_core.errors import InputError, UsageError
from llmbin_core.wording import counted

if TYPE_CHECKING:
    import torch

    from llmbin_core.encoder.features import FeatureSet, Sample
    from llmbin_core.encoder.train import EpochLog
    from llmbin_core.stagefile import StageFile

log = logging.getLogger("llmbin")


def train(
    features: Sequence[Path],
    out: Path,
    *,
    separator: str | None = None,
    sample: str | None = None,
    per_sample: bool = False,
    init: str | Path | None = None,
    taxonomy: Path | None = None,
    half: bool = False,
    curve_out: Path | None = None,
    checkpoint: Path | None = None,
    device: str = "auto",
    threads: int = 1,
    **options: Any,
) -> dict[str, list[EpochLog]]:
    """Train a binning encoder; returns the curve of each sample, or of all under ``""``.

    Parameters
    ----------
    features : sequence of Path
        A folder with the stage files of each sample, or files; those of one contig set are one.
    out : Path
        Model file; with `per_sample` a folder with a model file for each sample.
    separator : str, optional
        Contigs are named ``sample<separator>contig``: every set of features holds several samples.
    sample : str, optional
        Train on this sample of them alone.
    per_sample : bool
        Train a model on each sample instead of one on all.
    init : str or Path, optional
        Name or file of a model to begin with; the size of the network is that of the model.
    taxonomy, curve_out, checkpoint : Path, optional
        Species of contigs, see `llmbin_core.encoder.taxonomy`; curve to write (TSV); written
        during training, and continued where it exists.
    half : bool
        Store the weights in 16 bits.
    **options
        Of `llmbin_core.encoder.train.TrainingOptions` and `NetworkShape`.
    """
    from llmbin_core.device import choose_device, use_threads
    from llmbin_core.encoder.features import load_samples
    from llmbin_core.encoder.train import write_curve

    _check_sample(sample, separator, per_sample)
    use_threads(threads)
    samples = load_samples(features, separator, sample)
    samples = _with_species(samples, taxonomy) if taxonomy else samples
    trainer = _Trainer(options, choose_device(device), init, half)
    if per_sample:
        curves = trainer.train_each(samples, out, checkpoint)
    else:
        log.info("training on %s", _amount(samples))
        curves = {sample or "": trainer.train(samples, out, checkpoint)}
    if curve_out is not None:
        write_curve(curve_out, curves)
    if checkpoint is not None:
        for name in ("", *curves):
            _checkpoint_of(checkpoint, name).unlink(missing_ok=True)
    return curves


def _check_sample(sample: str | None, separator: str | None, per_sample: bool = False) -> None:
    if per_sample and sample is not None:
        raise UsageError("--per-sample and --sample exclude each other; leave one of them out")
    if separator is None and (per_sample or sample is not None):
        option = "--per-sample" if per_sample else f"--sample {sample}"
        raise UsageError(f"{option} needs --separator: which contigs are of which sample")


def model_name(sample: str) -> str:
    """File of the model of a sample, in a folder of models."""
    return f"{sample}.{outputs.MODEL}"


def _checkpoint_of(checkpoint: Path, sample: str) -> Path:
    return checkpoint.with_name(f"{checkpoint.name}.{sample}") if sample else checkpoint


def _amount(samples: Sequence[Sample]) -> str:
    contigs = sum(len(sample.contigs) for sample in samples)
    return f"{counted(contigs, 'contig')} of {counted(len(samples), 'sample')}"


def _with_species(samples: Sequence[Sample], taxonomy: Path) -> list[Sample]:
    """The samples with the species of their contigs."""
    from llmbin_core.encoder.taxonomy import number_species, read_taxonomy

    log.warning(
        "--taxonomy: semi-supervised training is not recommended, self-supervised training is as "
        "good; it may be removed in a later version"
    )
    species = read_taxonomy(taxonomy)
    named = [replace(s, species=number_species(s.contigs, species)) for s in samples]
    _check_names(named, taxonomy)
    labelled = sum(int((s.species >= 0).sum()) for s in named if s.species is not None)
    if not labelled:
        raise InputError(
            f"{taxonomy}: tells the species of none of the contigs; check that its contigs are "
            f"named as in the features (such as '{samples[0].contigs.names[0]}')"
        )
    log.info("%s: species of %d of %s", taxonomy, labelled, _amount(samples))
    return named


def _check_names(samples: Sequence[Sample], taxonomy: Path) -> None:
    """Refuse labels whose contig is not one: assemblies name theirs alike (``k141_1``)."""
    owners: dict[str, str] = {}
    for sample in samples:
        digest, names, species = sample.contigs.digest, sample.contigs.names, sample.species
        labelled = () if species is None else (species >= 0).nonzero()[0].tolist()
        for name in (names[row] for row in labelled):
            if owners.setdefault(name, digest) != digest:
                raise InputError(
                    f"{taxonomy}: names the contig '{name}', which two of the samples have; "
                    "prepare their assemblies together with llmbin-prepare, which names contigs "
                    "SAMPLE:CONTIG, and classify those, or train on each sample by itself"
                )


class _Trainer:
    """Trains and writes models with the same options."""

    def __init__(
        self, options: dict[str, Any], device: torch.device, init: str | Path | None, half: bool
    ) -> None:
        self.options, self.device, self.half = dict(options), device, half
        self.init = None
        if init is not None:
            from llmbin_core.encoder.modelcard import check_network
            from llmbin_core.encoder.modelfile import load_model
            from llmbin_core.registry import ENCODER, find

            self.path = find(init, ENCODER)
            self.init = load_model(self.path, device)
            card = self.init[1]
            check_network(card, self.options)
            self.options |= {name: card["shape"][name] for name in defaults.NETWORK}

    def train(
        self, samples: Sequence[Sample], out: Path, checkpoint: Path | None
    ) -> list[EpochLog]:
        """Train on samples and write the model; returns the curve."""
        from llmbin_core.encoder.modelcard import check_fit
        from llmbin_core.encoder.modelfile import save_model
        from llmbin_core.encoder.train import make_plan, train_encoder

        shape, settings = make_plan(samples, self.options)
        weights = card = None
        if self.init is not None:
            encoder, card = self.init
            for sample in samples:
                check_fit(self.path, card, sample)
            weights = encoder.state_dict()
        if all(len(sample.contigs) < 2 for sample in samples):
            log.warning(
                "%s: there are no two contigs to tell apart; the model is written without training",
                out.name,
            )
        encoder, curve = train_encoder(samples, shape, settings, self.device, checkpoint, weights)
        save_model(out, encoder, samples, settings, curve, half=self.half, init=card)
        return curve

    def train_each(
        self, samples: Sequence[Sample], out: Path, checkpoint: Path | None
    ) -> dict[str, list[EpochLog]]:
        """Train a model for each sample, in a folder; returns the curves by sample."""
        from llmbin_core.files import atomic_folder

        curves = {}
        with atomic_folder(out) as folder:
            for sample in samples:
                log.info("training on sample %s", sample.name)
                own = _checkpoint_of(checkpoint, sample.name) if checkpoint else None
                model = folder / model_name(sample.name)
                curves[sample.name] = self.train([sample], model, own)
        return curves


def encode(
    features: Sequence[Path],
    model: str | Path,
    out: Path,
    *,
    separator: str | None = None,
    sample: str | None = None,
    device: str = "auto",
    threads: int = 1,
) -> StageFile:
    """Write the latents of one set of contigs: ``latent`` float32 [n, d], unit vectors.

    Parameters
    ----------
    features : sequence of Path
        Stage files of one set of contigs, or the folder that holds them.
    model : str or Path
        Name of an encoder that comes with the program, output of `train`, or a folder with a
        model for each sample.
    out : Path
    separator : str, optional
        Contigs are named ``sample<separator>contig`` and each sample is encoded, and later
        clustered, on its own.
    sample : str, optional
        Encode this sample alone; the output holds its contigs and no others.
    """
    import numpy as np

    from llmbin_core.device import choose_device, use_threads
    from llmbin_core.encoder.modelcard import check_fit
    from llmbin_core.encoder.modelfile import load_model
    from llmbin_core.encoder.train import encode as latents_of
    from llmbin_core.files import fingerprint
    from llmbin_core.registry import ENCODER, find
    from llmbin_core.stagefile import Provenance, write_stage

    _check_sample(sample, separator)
    use_threads(threads)
    whole = _one_set(features)
    target, source = choose_device(device), find(model, ENCODER)
    contigs = whole.composition.contigs
    inputs, cards = {}, {}
    latent = None
    for one in whole.samples(separator, sample):
        path = _model_of(source, one.name)
        encoder, card = load_model(path, target)
        check_fit(path, card, one)
        found = latents_of(encoder, one, target)
        contigs = one.contigs if sample is not None else contigs
        if latent is None:
            latent = np.zeros((len(contigs), found.shape[1]), dtype=np.float32)
        latent[slice(None) if one.rows is None or sample is not None else one.rows] = found
        inputs[path.name], cards[path.name] = fingerprint(path), card
    options: dict[str, Any] = {"models": cards, "separator": separator}
    options |= {"sample": sample} if sample is not None else {}
    p = whole.composition.provenance
    tensors = {"latent": latent if latent is not None else np.zeros((0, 1), np.float32)}
    return write_stage(
        out, contigs, tensors, Provenance("latent", p.seed, p.n_views, options, inputs)
    )


def merge_latents(parts: Sequence[Path], features: Sequence[Path], out: Path) -> StageFile:
    """Join the latents of samples into the file that encoding all of them at once writes.

    Parameters
    ----------
    parts : sequence of Path
        Outputs of `encode` of each sample alone, in any order.
    features : sequence of Path
        Stage files of the whole set of contigs: one is enough, composition.
    out : Path
    """
    import numpy as np

    from llmbin_core.bysample import place_samples
    from llmbin_core.stagefile import read_stage, write_stage

    whole = _one_set(features).composition
    placed = place_samples([read_stage(p, "latent") for p in parts], whole.contigs, whole.path)
    files = [file for _, file in placed.values()]
    size = {file.tensors["latent"].shape[1] for file in files}
    if len(size) > 1:
        raise InputError("the latents of the samples differ in size; encode all with one model")
    latent = np.zeros((len(whole.contigs), size.pop()), dtype=np.float32)
    inputs: dict[str, str] = {}
    cards: dict[str, Any] = {}
    for rows, file in placed.values():
        latent[rows] = file.tensors["latent"]
        inputs |= file.provenance.inputs
        cards |= file.provenance.options["models"]
    first = files[0].provenance
    options = {"models": cards, "separator": first.options["separator"]}
    provenance = replace(first, options=options, inputs=inputs)
    return write_stage(out, whole.contigs, {"latent": latent}, provenance)


def _one_set(features: Sequence[Path]) -> FeatureSet:
    from llmbin_core.encoder.features import load_sets

    sets = load_sets(features)
    if len(sets) != 1:
        raise InputError(
            f"the features belong to {len(sets)} different sets of contigs; encode one at a time"
        )
    return sets[0]


def _model_of(source: Path, sample: str) -> Path:
    """The model file, or that of a sample where `source` is a folder of models."""
    if not source.is_dir():
        return source
    path = source / model_name(sample)
    if path.exists():
        return path
    if not sample:
        raise UsageError(
            f"{source}: is a folder with a model for each sample; give --separator, which tells "
            "the samples apart (llmbin-prepare writes ':'), or one model file"
        )
    have = ", ".join(sorted(p.name for p in source.glob(model_name("*")))) or "no model"
    raise InputError(
        f"{source}: has no model '{path.name}' (it has {have}); give the folder that "
        "llmbin-train --per-sample wrote for these samples, or one model file"
    )
