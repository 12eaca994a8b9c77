"""spclap make-scenes: a frozen set of scenes, with their audio, that any model can be scored on."""

import argparse
import logging
import tempfile
from pathlib import Path

from spclap.data.datadir import SPLITS
from spclap.errors import DataError
from spclap.space.array import FORMS

EXAMPLE = "example: spclap make-scenes --data data/mini --dump dump/mini --array ortf --sources 1 2 --out sets/ortf"


def add(commands: argparse._SubParsersAction) -> None:
    verb = commands.add_parser("make-scenes", help="a frozen set of scenes with audio and checksums", epilog=EXAMPLE)
    verb.add_argument("--data", type=Path, required=True, help="data/<corpus>, after stage 1")
    verb.add_argument("--dump", type=Path, required=True, help="dump/<corpus>, after stage 2")
    verb.add_argument("--out", type=Path, required=True, help="folder, written; it must not be there")
    verb.add_argument("--split", default="test", choices=SPLITS)
    verb.add_argument("--sources", type=int, nargs="+", default=[1, 2, 3], help="1 to 4 of them")
    verb.add_argument("--count", type=int, default=200, help="scenes of each number of sources")
    verb.add_argument("--array", default="pair:0.17", help=f"what hears, ranges are drawn from: {FORMS}")
    verb.add_argument("--rt60", type=float, nargs=2, metavar=("LOW", "HIGH"), help="s; those of the recipe's rooms")
    verb.add_argument("--sounds", default="clean", help="a setting of `sounds` in conf/simu.yaml: clean, real")
    verb.add_argument("--seconds", type=float, default=2.0, help="length of a scene")
    verb.add_argument("--rooms", type=int, default=40)
    verb.add_argument("--seed", type=int, default=0)
    verb.add_argument("--nj", type=int, default=2, help="processes that simulate rooms")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.bin import environment
    from spclap.data.datadir import load_datadir
    from spclap.data.stamp import require_corpus
    from spclap.evaluate.benchmarks.scenes import asked
    from spclap.evaluate.frozen import RenderedSet, write_frozen
    from spclap.scene.bank import RirBank
    from spclap.scene.corpus import Corpus
    from spclap.scene.rooms import write_bank
    from spclap.scene.sampler import SceneSampler

    if not set(args.sources) <= {1, 2, 3, 4} or args.count < 1 or not 0.1 <= args.seconds <= 60:
        raise DataError(
            f"--sources {args.sources}, --count {args.count}, --seconds {args.seconds}: sources are 1 to 4, scenes 1 "
            f"or more, of 0.1 to 60 s"
        )
    if args.out.exists():
        raise DataError(f"{args.out}: is there already; give another folder or remove it")
    require_corpus(args.data, args.dump)
    corpus = Corpus(args.data, args.dump)
    simu, rt60 = corpus.simu, {} if args.rt60 is None else {"rt60": list(args.rt60)}
    own = {"count": {args.split: args.rooms}, "arrays": {args.array: 1}, **rt60}
    room = simu.room_conf({**simu.settings[simu.scenes.rooms], **own}, "rooms of --array and --rt60")
    with tempfile.TemporaryDirectory() as scratch:
        write_bank(Path(scratch), args.split, {args.split: room}, simu.rir_seconds, [args.seed, 7], args.nj)
        bank = RirBank(Path(scratch))
        sampler = SceneSampler(load_datadir(args.data / args.split), bank, simu.sounding([args.sounds]))
        sets = []
        for size in sorted(set(args.sources)):
            scenes = sampler.fixed([args.seed, 9], size, args.count, f"{size}src")
            sets.append(RenderedSet.of(f"{size}src", scenes, corpus, bank, args.split, args.seconds))
        made = {
            key: value for key, value in vars(args).items() if key in ("array", "rt60", "sounds", "seconds", "seed")
        }
        about = {"corpus": args.data.name, "split": args.split, **made, "environment": environment()}
        write_frozen(args.out, sets, asked(sets), about)
    logging.info("%s: %d scenes; score a model with spclap score MODEL --scenes %s", args.out,
                 sum(len(own.scenes) for own in sets), args.out)  # fmt: skip
