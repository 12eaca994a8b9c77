#!/usr/bin/env python3
"""What a model hears of kinds of sounds that training never had.

In turn a fifth of the kinds is left out of the scenes that a finished training has heard: it is trained again on the
others, and asked about clips of the test split of these kinds alone, beside what the finished training, which knows
them, is asked of all kinds. Masks are those of the finished training. Clips of another corpus (--clips, a pattern of
their ids) have no part in it, since they may be of the same kinds by other names.
python benchmarks/left_out.py exp/twin/released/seed0/named_scl --data data/twin --dump dump/twin --clips '[1-5]-*'
"""

import argparse
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from spclap.data.datadir import Clip, load_datadir
from spclap.data.progress import progress
from spclap.engine.clap import ClapTask, ClapTraining
from spclap.engine.heard import Heard, PooledScenes
from spclap.engine.trained import arguments, load_training
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.frozen import RenderedSet
from spclap.evaluate.intervals import Clusters, shown
from spclap.evaluate.protocols import Embeddings, assignment, direction
from spclap.scene.corpus import Corpus
from spclap.scene.sampler import SceneSampler
from spclap.space.wording import TEMPLATE

TURNS = 5


def kept(pool: Heard, clips: Collection[str]) -> Heard:
    """The scenes of a pool that are made of these clips alone."""
    rows = [row for row, scene in enumerate(pool.scenes) if all(source.clip in clips for source in scene.sources)]
    shapes = ((array, array.reshape(len(pool.scenes), -1, *array.shape[1:])) for array in pool.arrays)
    arrays = [whole[rows].reshape(-1, *array.shape[1:]) for array, whole in shapes]
    return Heard([pool.scenes[row] for row in rows], pool.permutations, arrays)


def trained(folder: Path, clips: Collection[str], epochs: int | None) -> ClapTraining:
    """As a finished training was, on scenes of these clips alone, for another number of epochs if one is given."""
    args = arguments(folder)
    args.max_epoch = epochs or args.max_epoch
    torch.manual_seed(args.seed)
    model = ClapTask.build_model(args).train()
    ranks = SimpleNamespace(dist_rank=None, dist_world_size=None)
    scenes: PooledScenes = model.listen(ClapTask.build_task_iter_factory(args, ranks, "train").dataset)
    scenes.pools = {size: kept(pool, clips) for size, pool in scenes.pools.items()}
    (optimizer,) = ClapTask.build_optimizers(args, model)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, **args.scheduler_conf)
    for step in progress(range(args.max_epoch * len(scenes)), desc="training", unit="step"):
        scenes.epoch = 1 + step // len(scenes)
        loss, *_ = model.losses(scenes[step % len(scenes)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.grad_clip)
        optimizer.step()
        schedule.step()
    return model.eval()


def which(found: Embeddings, kinds: dict[str, str]) -> np.ndarray:
    """Whether the caption of its kind, at its direction, is the best of those of all kinds; scenes of one source."""
    right, names = [], list(kinds)
    for scene, audio in zip(found.scenes, found.audio, strict=True):
        (source,) = scene.sources
        texts = found.text([TEMPLATE.caption([caption], [source.direction]) for caption in kinds.values()])
        right.append(names[int(np.argmax(texts @ audio))] == source.labels[-1])
    return np.array(right)


def scores(model: ClapTraining, corpus: Corpus, clips: list[Clip], count: int, seed: int) -> dict[str, tuple]:
    """Metric -> outcomes and the recordings of each, of drawn scenes of these clips."""
    kinds = {clip.labels[-1]: clip.captions[0] for clip in clips}
    sampler = SceneSampler(clips, corpus.bank("test"), corpus.simu.sounding([]), [corpus.simu.scenes.rooms])
    out = {}
    for size in (1, 2):
        scenes = sampler.fixed([seed], size, count, f"left-{seed}")
        sounds = RenderedSet.of(f"{size}src", scenes, corpus, sampler.bank, "test", corpus.simu.scenes.seconds)
        found, recordings = Embeddings(OfClap(model.clap)).hear(sounds), corpus.recordings(scenes)
        out[f"direction_{size}src"] = direction(found)[0], recordings
        asked = ("which", which(found, kinds)) if size == 1 else ("assignment_2src", assignment(found))
        out[asked[0]] = asked[1], recordings
    return out


def row(name: str, parts: list[dict[str, tuple]]) -> str:
    """Of all turns together, with intervals over recordings."""
    cells = []
    for metric in ("which", "direction_1src", "direction_2src", "assignment_2src"):
        outcomes, recordings = zip(*(part[metric] for part in parts), strict=True)
        values = 100.0 * np.concatenate(outcomes)
        cells.append(shown(*Clusters([one for own in recordings for one in own]).mean(values, whole=100.0)))
    return f"| {name} | " + " | ".join(cells) + f" | {len(values)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--dump", type=Path, required=True)
    parser.add_argument("--clips", default="*")
    parser.add_argument("--turns", type=int, nargs="+", default=range(TURNS))
    parser.add_argument("--epochs", type=int, help="as many as the training had if not given")
    parser.add_argument("--count", type=int, default=200, help="scenes of one and of two sources, each turn")
    args = parser.parse_args()
    corpus = Corpus(args.data, args.dump)
    clips = {s: [c for c in load_datadir(args.data / s) if fnmatch(c.id, args.clips)] for s in ("train", "test")}
    kinds = sorted({clip.labels[-1] for clip in clips["test"]})
    print("| kinds | which of them | direction, 1 source | both directions, 2 | which is where, 2 | n |")
    print("|---|---|---|---|---|---|")
    seen = scores(load_training(args.training, corpus), corpus, clips["test"], TURNS * args.count, TURNS)
    print(row(f"all {len(kinds)}, known", [seen]), flush=True)
    parts = []
    for turn in args.turns:
        left = set(kinds[turn::TURNS])
        known = {clip.id for clip in clips["train"] if not left.intersection(clip.labels)}
        model = trained(args.training, known, args.epochs)
        parts.append(scores(model, corpus, [c for c in clips["test"] if c.labels[-1] in left], args.count, turn))
        print(row(f"turn {turn}, left out: {', '.join(sorted(left))}", parts[-1:]), flush=True)
    epochs = args.epochs or arguments(args.training).max_epoch
    print(row(f"left out, {len(parts)} turns of {epochs} epochs", parts))


if __name__ == "__main__":
    main()
