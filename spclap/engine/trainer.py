"""ESPnet2's trainer with validation over whole sets and checkpoints that survive a kill."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from espnet2.train.trainer import Trainer

from spclap.data.files import atomic_path
from spclap.data.workers import end_with_parent
from spclap.errors import DataError
from spclap.model.checkpoints import read_checkpoint, require_weights


@contextmanager
def safe_files() -> Iterator[None]:
    """Inside, `torch.save` to a path writes a temporary file and renames it, and `torch.load` runs no code; ESPnet
    saves in place and loads whatever a pickle wants.

    Into an open file, since then torch's RuntimeError about an archive without end has a context: what stopped it, such
    as a full disk or a signal. That is raised.
    """
    plain_save, plain_load = torch.save, torch.load

    def save(obj, f, *args, **kwargs):
        if not isinstance(f, str | os.PathLike):
            return plain_save(obj, f, *args, **kwargs)
        with atomic_path(Path(f)) as temporary, temporary.open("wb") as file:
            try:
                plain_save(obj, file, *args, **kwargs)
            except RuntimeError as error:
                raise error.__context__ or error from None

    def load(f, *args, weights_only=True, **kwargs):
        if weights_only:
            return plain_load(f, *args, weights_only=True, **kwargs)
        return read_checkpoint(Path(f))

    torch.save, torch.load = save, load
    try:
        yield
    finally:
        torch.save, torch.load = plain_save, plain_load


def check_epoch_files(output_dir: Path) -> None:
    """Read the files of a training that is to go on; DataError for one that is damaged or would run code.

    The model file of the checkpoint's epoch is written if a kill came between the two. Without it a resumed run would
    go on, and the average of the best epochs would miss a file.
    """
    checkpoint = output_dir / "checkpoint.pth"
    for path in output_dir.glob("[0-9]*epoch.pth"):  # now, and not when the last epoch is done
        require_weights(read_checkpoint(path), path)
    if not checkpoint.is_file():
        return
    states = read_checkpoint(checkpoint)
    try:
        epoch_file = output_dir / f"{states['reporter']['epoch']}epoch.pth"
        require_weights(states["model"], checkpoint)
    except (KeyError, TypeError) as error:
        raise DataError(f"{checkpoint}: is no checkpoint of a training: {error!r}; remove {output_dir}") from error
    if not epoch_file.exists():
        logging.info("%s: written again from %s", epoch_file, checkpoint)
        torch.save(states["model"], epoch_file)


class SceneTrainer(Trainer):
    """Used by all tasks."""

    @classmethod
    def run(
        cls, *, model, train_iter_factory, valid_iter_factory, trainer_options, distributed_option, **kwargs
    ) -> None:  # fmt: skip
        end_with_parent()  # which holds the lock of the folder, where ESPnet starts a process per GPU
        with safe_files():
            if trainer_options.resume and not distributed_option.dist_rank:  # the first rank, or the only one
                check_epoch_files(Path(trainer_options.output_dir))
            for factory in (train_iter_factory, valid_iter_factory):
                factory.dataset = model.listen(factory.dataset)
            super().run(
                model=model, train_iter_factory=train_iter_factory, valid_iter_factory=valid_iter_factory,
                trainer_options=trainer_options, distributed_option=distributed_option, **kwargs,
            )  # fmt: skip

    @staticmethod
    def resume(checkpoint, **kwargs) -> None:
        try:
            Trainer.resume(checkpoint, **kwargs)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{checkpoint}: does not fit this training: {error}; remove {Path(checkpoint).parent} and train again"
            ) from error

    @classmethod
    @torch.no_grad()
    def validate_one_epoch(cls, model, iterator, reporter, options, distributed_option) -> None:
        """Every rank scores the whole set: batch averages of retrieval figures would mean nothing."""
        model.eval()
        batches = (fields["sealed"].batch for _, fields in iterator)
        reporter.register(getattr(model, "module", model).validate(batches))
        reporter.next()
