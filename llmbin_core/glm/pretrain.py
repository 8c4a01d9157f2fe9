"""The training loop of gLMs: one objective, one corpus, exact resume."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from llmbin_core.errors import InputError
from llmbin_core.glm import checkpoint, modelfolder, models, processes
from llmbin_core.glm.corpus import Corpus
from llmbin_core.glm.sampling import Sampler
from llmbin_core.glm.tasks import TASKS, Batch, Task, TaskOptions
from llmbin_core.glm.traininglog import TrainingLog
from llmbin_core.precision import autocast
from llmbin_core.progress import task as progress_task

log = logging.getLogger("llmbin")

_TABLE_GENOMES, _TABLE_BASES = 400, 400_000
_SMOOTHING = 0.98
# The largest gradient norm that is applied as it is.
_CLIP = 1.0


@dataclass(frozen=True)
class PretrainOptions:
    """Everything that decides the weights, besides corpus and architecture.

    Attributes
    ----------
    objective : str
        ``contrastive``, ``next`` or ``masked``.
    steps, warmup : int
        Optimizer steps in all, and those of the linear warm-up before the cosine decay.
    learning_rate, weight_decay : float
        Of AdamW; biases, norms and other vectors are not decayed.
    genomes, views : int
        Contrastive: genomes of a batch and fragments of each.
    min_length, max_length : int
        Contrastive: fragment lengths in bp, log-uniform.
    error_rate, temperature : float
        Contrastive: mean substitution rate, and temperature of the loss.
    window, windows : int
        Next, masked: bases of a window, windows of a batch.
    mask_share : float
        Masked: share of bases to predict.
    accumulate : int
        Batches whose gradients are averaged for one step.
    balance : float
        See `llmbin_core.glm.sampling.Sampler`.
    seed : int
    save_every, validate_every : int
        Steps between checkpoints and between validations.
    precision : str
        ``auto``, ``bf16`` or ``fp32``.
    """

    objective: str = "contrastive"
    steps: int = 2000
    warmup: int = 50
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    genomes: int = 192
    views: int = 4
    min_length: int = 1000
    max_length: int = 32000
    error_rate: float = 0.003
    temperature: float = 0.05
    window: int = 1024
    windows: int = 32
    mask_share: float = 0.15
    accumulate: int = 1
    balance: float = 0.5
    seed: int = 0
    save_every: int = 200
    validate_every: int = 200
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.objective not in TASKS:
            raise InputError(f"objective '{self.objective}': use {', '.join(TASKS)}")
        if not 1 <= self.min_length <= self.max_length:
            raise InputError(f"lengths {self.min_length}..{self.max_length}: not a range of bp")
        for name in ("steps", "genomes", "views", "window", "windows", "accumulate"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: must be at least 1")

    def task_options(self) -> TaskOptions:
        """The part that decides what a step sees."""
        lengths = (self.min_length, self.max_length)
        return TaskOptions(
            self.genomes, self.views, lengths, self.error_rate, self.temperature,
            self.window, self.windows, self.mask_share,
        )  # fmt: skip


@dataclass
class Run:
    """A model in training."""

    model: nn.Module
    optimizer: torch.optim.AdamW
    task: Task
    train: Sampler
    valid: Sampler | None
    options: PretrainOptions
    work: Path
    device: torch.device
    rank: int = 0
    world: int = 1
    step: int = 0
    log: TrainingLog = field(default_factory=TrainingLog)


def pretrain(
    architecture: str,
    settings: Mapping[str, Any],
    corpus: Corpus,
    splits: tuple[list[int], list[int]],
    options: PretrainOptions,
    work: Path,
    device: torch.device,
    start: Path | None = None,
) -> nn.Module:
    """Train a gLM, resuming from the checkpoint in `work` when there is one.

    Parameters
    ----------
    architecture, settings
        See `models.build`.
    corpus : Corpus
    splits : (list of int, list of int)
        Genomes to train on, and genomes to validate on (may be empty).
    options : PretrainOptions
    work : Path
        Folder of checkpoint, ``log.tsv`` and ``log.svg``.
    device : torch.device
    start : Path, optional
        gLM folder whose weights are the first ones (architecture and settings are then its own).

    Returns
    -------
    nn.Module
        The trained model, on the CPU.

    Raises
    ------
    InputError
        The checkpoint was made with other options.
    """
    run = _set_up(architecture, settings, corpus, splits, options, work, device, start)
    with progress_task("pretraining", options.steps, "steps") as bar:
        bar.advance(run.step)
        for step, batches in _prefetched(run):
            loss = _train_step(run, step, batches)
            run.step = step + 1
            run.log.smooth(loss, _SMOOTHING)
            bar.advance()
            _record(run)
    return run.model.cpu().eval()


def learning_rate(step: int, options: PretrainOptions) -> float:
    """Linear warm-up, then half a cosine to zero (Loshchilov and Hutter 2017)."""
    if step < options.warmup:
        return options.learning_rate * (step + 1) / options.warmup
    done = (step - options.warmup) / max(options.steps - options.warmup, 1)
    return options.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _set_up(
    architecture: str,
    settings: Mapping[str, Any],
    corpus: Corpus,
    splits: tuple[list[int], list[int]],
    options: PretrainOptions,
    work: Path,
    device: torch.device,
    start: Path | None,
) -> Run:
    torch.manual_seed(options.seed)
    model = modelfolder.load_model(start)[0] if start else models.build(architecture, settings)
    train = Sampler(corpus, splits[0], options.seed, processes.rank(), options.balance)
    valid = Sampler(corpus, splits[1], 0, 0, 0.0) if splits[1] else None
    optimizer = _optimizer(model, options)
    task = TASKS[options.objective](model, options.task_options())
    run = Run(
        model,
        optimizer,
        task,
        train,
        valid,
        options,
        work,
        device,
        processes.rank(),
        processes.world(),
    )
    model.to(device).train()
    saved = work / "checkpoint"
    if saved.is_dir():
        _resume(run, saved)
    elif start is None and hasattr(model, "initialise"):
        _initialise(run)
    return run


def _initialise(run: Run) -> None:
    """Let a model look at the data once before the first step; the same on every rank."""
    o, corpus = run.options, run.train.corpus
    same = Sampler(corpus, [int(g) for g in run.train.genomes], o.seed, 0, o.balance)
    rng = same.rng(0, stream=2)
    size = min(_TABLE_GENOMES, len(same.genomes))
    chosen = sorted(rng.choice(same.genomes, size=size, replace=False))
    log.info("reading %d genomes to initialise the model", size)
    stretches = [corpus.longest(int(g), _TABLE_BASES) for g in chosen]
    sample = same.views(0, o.genomes, o.views, (o.min_length, o.max_length), 0.0)
    run.model.initialise(stretches, sample.sequences)  # type: ignore[operator]


def _resume(run: Run, saved: Path) -> None:
    state = checkpoint.load(saved, run.model, run.optimizer)
    mine = asdict(run.options)
    for name, value in state.options.items():
        if mine.get(name) != value:
            raise InputError(
                f"{saved}: was made with {name} {value}, now {mine.get(name)}; "
                "give the same options or another output folder"
            )
    run.step = state.step
    run.log = TrainingLog.read(run.work / "log.tsv", run.step)
    log.info("resuming at step %d of %d", run.step, run.options.steps)


def _optimizer(model: nn.Module, options: PretrainOptions) -> torch.optim.AdamW:
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=options.learning_rate)


def _prefetched(run: Run) -> Iterator[tuple[int, list[Batch]]]:
    """Batches of each step still to do, the next one being made while this one is used."""
    o = run.options

    def make(step: int) -> list[Batch]:
        return [run.task.batch(run.train, step * o.accumulate + i) for i in range(o.accumulate)]

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, run.step)
        for step in range(run.step, o.steps):
            batches = coming.result()
            if step + 1 < o.steps:
                coming = pool.submit(make, step + 1)
            yield step, batches


def _train_step(run: Run, step: int, batches: list[Batch]) -> float:
    # Dropout draws from torch's generator, which thus also depends on the step alone.
    torch.manual_seed((run.options.seed * 1_000_003 + step) * 1009 + run.rank)
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(step, run.options)
    run.optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for inputs, targets in batches:
        with autocast(run.device, run.options.precision):
            loss = run.task.loss(run.model, (inputs.to(run.device), targets.to(run.device)))
        torch.autograd.backward(loss / len(batches))
        total += float(loss.detach()) / len(batches)
    parameters = [p for p in run.model.parameters() if p.grad is not None]
    _average(parameters, run.world)
    nn.utils.clip_grad_norm_(parameters, _CLIP)
    run.optimizer.step()
    return total


def _record(run: Run) -> None:
    """Checkpoint, validation and log, when their turn has come; only the first rank writes."""
    o, last = run.options, run.step == run.options.steps
    if run.rank != 0:
        return
    if last or run.step % o.validate_every == 0:
        figures = _validate(run)
        rate = learning_rate(run.step - 1, o)
        run.log.add(run.step, rate, figures)
        run.log.write(run.work)
        shown = " ".join(f"{k} {v:.4f}" for k, v in figures.items())
        log.info("step %d loss %.4f %s", run.step, run.log.loss, shown)
    if last or run.step % o.save_every == 0:
        checkpoint.save(run.work / "checkpoint", run.model, run.optimizer, run.step, asdict(o))


@torch.no_grad()
def _validate(run: Run) -> dict[str, float]:
    if run.valid is None:
        return {}
    run.model.eval()
    with autocast(run.device, run.options.precision):
        figures = run.task.validate(run.model, run.valid, run.device)
    run.model.train()
    return figures


def _average(parameters: Sequence[Tensor], world: int) -> None:
    """Replace each gradient by its mean over the processes."""
    if world == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= world
