"""The training loop: every network of a run takes the same batches, step by step, and everything is written down."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

import torch

from fxsim import data
from fxsim.cost.windows import Window
from fxsim.data import Dataset
from fxsim.train.checkpoint import Checkpoint, check_config, warn_of_differences
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.learner import Batch, Learner
from fxsim.train.networks import dataset_of, learner_of
from fxsim.train.observer import Observer, Plan, Progress, Silent, Standing
from fxsim.train.runfolder import RunFolder

EVALUATION_BATCH: Final = 256

COUNT_WINDOWS: Final = 100
"""Windows that a network's counts are kept apart in, at most."""


def train(
    config: TrainConfig,
    path: Path,
    *,
    observer: Observer | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Run a configuration from the first step, writing to a new folder. True: it came to its end.

    observer: is told of every step. stop: asked after every step; once it says so, a checkpoint is written
    and the result is False: `resume` goes on from there.

    Raises:
        FileExistsError: the folder is not empty.
        ValueError, FileNotFoundError: the model, the data or the policy cannot be had as configured.
    """
    loop = _Loop(config, RunFolder(path), dataset_of(config), observer or Silent(), stop)
    RunFolder.create(path, config)
    with _surroundings(config.threads, config.seed):
        loop.prepare()
        loop.save(finished=False)
        return loop.go()


def resume(
    path: Path,
    *,
    observer: Observer | None = None,
    stop: Callable[[], bool] = lambda: False,
    threads: int | None = None,
) -> bool:
    """Go on with the run in a folder from its last checkpoint, to the same bits as if it had never stopped.

    Lines that were written after the checkpoint are cut off and written again. A run that came to its end
    is left as it is. threads: other than the run's own; warned of, as are another torch build or CPU.

    Raises:
        FileNotFoundError: no run, or no checkpoint of one.
        ValueError: the files do not belong together.
    """
    folder = RunFolder.open(path)
    config = folder.config()
    checkpoint = Checkpoint.load(folder.checkpoint)
    check_config(checkpoint.config, config)
    if checkpoint.finished:
        return True
    threads = threads or config.threads
    warn_of_differences(config.environment, Environment.current(threads))
    loop = _Loop(config, folder, dataset_of(config), observer or Silent(), stop)
    with _surroundings(threads, config.seed):
        loop.restore(checkpoint)
        return loop.go()


@final
class _Loop:
    """A run under way. step: optimizer steps done, which say where in which epoch the run is."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        dataset: Dataset,
        observer: Observer,
        stop: Callable[[], bool],
    ) -> None:
        self.config: Final = config
        self.folder: Final = folder
        self.dataset: Final = dataset
        self.observer: Final = observer
        self.stop: Final = stop
        self.per_epoch: Final = data.batch_count(dataset, "train", config.batch_size)
        self.total: Final = config.epochs * self.per_epoch
        self.steps_per_line: Final = -(-self.total // config.most_lines)
        lines_per_window = -(-self.total // (COUNT_WINDOWS * self.steps_per_line))
        self.steps_per_window: Final = lines_per_window * self.steps_per_line
        self.learners: Final = tuple(learner_of(config, recipe, dataset) for recipe in config.recipes)
        self.step = 0

    def prepare(self) -> None:
        """What a policy must know before the first step is measured on the run's own batches."""
        for learner in self.learners:
            learner.prepare(self._all_batches(), functools.partial(self.observer.measured, learner.recipe.name))
            self._log_switches(learner)

    def _all_batches(self) -> Iterator[Batch]:
        for epoch in range(self.config.epochs):
            yield from data.batches(self.dataset, "train", self.config.batch_size, seed=self.config.seed, epoch=epoch)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to where the checkpoint was made."""
        for learner in self.learners:
            learner.load_state_dict(checkpoint.learners[learner.recipe.name])
        torch.set_rng_state(checkpoint.torch_rng)
        self.folder.truncate(checkpoint.log_lengths)
        self.step = checkpoint.step

    def go(self) -> bool:
        """To the end (True), or to where `stop` says so (False)."""
        self.observer.started(
            Plan(
                folder=self.folder.path,
                runs=tuple(learner.recipe.name for learner in self.learners),
                epochs=self.config.epochs,
                steps_per_epoch=self.per_epoch,
                first_step=self.step,
            )
        )
        while self.step < self.total:
            if not self._epoch():
                return False
        self._finish()
        return True

    def _epoch(self) -> bool:
        """The rest of the current epoch, ending with a checkpoint; False when `stop` asked to end the run."""
        epoch, done = divmod(self.step, self.per_epoch)
        for batch in data.batches(
            self.dataset, "train", self.config.batch_size, seed=self.config.seed, epoch=epoch, start=done
        ):
            self._step(batch, epoch)
            if self.step % self.per_epoch == 0:
                break
            stopping = self.stop()
            if stopping or (self.config.checkpoint_every and self.step % self.config.checkpoint_every == 0):
                self.save(finished=False)
            if stopping:
                return False
        self._evaluate(epoch, finalized=False)
        self.save(finished=False)
        return self.step == self.total or not self.stop()

    def _step(self, batch: Batch, epoch: int) -> None:
        standings = []
        for learner in self.learners:
            outcome = learner.step(batch, self.step)
            standings.append(
                Standing(
                    run=learner.recipe.name,
                    loss=outcome.loss,
                    accuracy=outcome.correct / outcome.samples,
                    mean_word_length=outcome.mean_word_length,
                )
            )
        self.step += 1
        due = self.step % self.steps_per_line == 0 or self.step == self.total
        for learner in self.learners:
            if due:
                self.folder.log_metrics(learner.close_window(epoch, self.step))
            if self.step % self.steps_per_window == 0 or self.step == self.total:
                self._log_window(learner.close_counts(self.step))
            self._log_switches(learner)
        self.observer.stepped(Progress(self.step, epoch, tuple(standings)))

    def _evaluate(self, epoch: int, *, finalized: bool) -> None:
        for learner in self.learners:
            batches = data.batches(self.dataset, "test", EVALUATION_BATCH)
            line = learner.evaluate(batches, epoch=epoch, step=self.step, finalized=finalized)
            self.folder.log_metrics(line)
            self.observer.evaluated(line)

    def _finish(self) -> None:
        for learner in self.learners:
            learner.finalize()
            self._log_switches(learner)
        self._evaluate(self.config.epochs - 1, finalized=True)
        for learner in self.learners:
            if learner.evaluation_counts is not None:
                self._log_window(Window(self.total, 0, learner.evaluation_counts, learner.recipe.name))
        counts = {learner.recipe.name: json.loads(learner.counts.to_json()) for learner in self.learners}
        self.folder.write_counts(json.dumps(counts))
        self.save(finished=True)

    def _log_window(self, window: Window | None) -> None:
        if window is not None:
            self.folder.log_window(window)

    def _log_switches(self, learner: Learner) -> None:
        for line in learner.switches(self.step):
            self.folder.log_switch(line)

    def save(self, *, finished: bool) -> None:
        """Write a checkpoint of the present moment."""
        Checkpoint(
            config=self.config.to_toml(),
            step=self.step,
            finished=finished,
            learners={learner.recipe.name: learner.state_dict() for learner in self.learners},
            torch_rng=torch.get_rng_state(),
            log_lengths=self.folder.lengths(),
        ).save(self.folder.checkpoint)
        self.observer.checkpointed(self.step)


@contextmanager
def _surroundings(threads: int, seed: int) -> Iterator[None]:
    """That many threads and torch's default generator seeded; both are put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
