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
from spclap.model.checkpoints import read_checkpoint


@contextmanager
def atomic_saves() -> Iterator[None]:
    """Inside, `torch.save` to a path writes a temporary file and renames it; ESPnet saves in place.

    Into an open file, since then torch's RuntimeError about an archive without end has a context: what stopped it, such
    as a full disk or a signal. That is raised.
    """
    plain = torch.save

    def save(obj, f, *args, **kwargs):
        if not isinstance(f, str | os.PathLike):
            return plain(obj, f, *args, **kwargs)
        with atomic_path(Path(f)) as temporary, temporary.open("wb") as file:
            try:
                plain(obj, file, *args, **kwargs)
            except RuntimeError as error:
                raise error.__context__ or error from None

    torch.save = save
    try:
        yield
    finally:
        torch.save = plain


def complete_epoch_files(output_dir: Path) -> None:
    """Write the model file of the checkpoint's epoch if a kill came between the two.

    Without it a resumed run would go on, and the average of the best epochs would miss a file.
    """
    checkpoint = output_dir / "checkpoint.pth"
    if not checkpoint.is_file():
        return
    states = read_checkpoint(checkpoint)
    epoch_file = output_dir / f"{states['reporter']['epoch']}epoch.pth"
    if not epoch_file.exists():
        logging.info("%s: written again from %s", epoch_file, checkpoint)
        torch.save(states["model"], epoch_file)


class SceneTrainer(Trainer):
    """Used by all tasks."""

    @classmethod
    def run(cls, *, trainer_options, distributed_option, **kwargs) -> None:
        end_with_parent()  # which holds the lock of the folder, where ESPnet starts a process per GPU
        with atomic_saves():
            if trainer_options.resume and not distributed_option.dist_rank:  # the first rank, or the only one
                complete_epoch_files(Path(trainer_options.output_dir))
            super().run(trainer_options=trainer_options, distributed_option=distributed_option, **kwargs)

    @classmethod
    @torch.no_grad()
    def validate_one_epoch(cls, model, iterator, reporter, options, distributed_option) -> None:
        """Every rank scores the whole set: batch averages of retrieval figures would mean nothing."""
        model.eval()
        reporter.register(getattr(model, "module", model).validate(iterator))
        reporter.next()
