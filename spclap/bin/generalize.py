"""Score trained models in places that they were not trained on: other microphones, other rooms, a measured head."""

import argparse
import json
import logging
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from spclap.bin import environment, require_gpus, run_main
from spclap.data.config import load_config, parse
from spclap.data.datadir import load_datadir
from spclap.data.files import atomic_write_text
from spclap.data.stamp import require_corpus
from spclap.errors import DataError
from spclap.evaluate import markdown
from spclap.evaluate.intervals import shown
from spclap.evaluate.protocols import Embeddings, assignment, direction
from spclap.evaluate.results import FixedSet
from spclap.scene.corpus import Corpus
from spclap.scene.head import HeadConf, read_head, write_head_bank
from spclap.scene.rooms import RirBank, RoomConf, write_bank
from spclap.scene.sampler import SceneSampler
from spclap.scene.scene import Scene

Values = dict[str, np.ndarray]  # metric -> outcome of each scene
Scenes = dict[int, list[Scene]]  # number of sources -> scenes


@dataclass(frozen=True)
class GeneralizeConf:
    """conf/generalize.yaml."""

    seed: int
    rooms: int
    scenes: dict[int, int]
    conditions: dict[str, dict]
    heads: dict[str, dict]

    def __post_init__(self):
        if self.rooms < 1 or not self.scenes or min(self.scenes.values()) < 1:
            raise ValueError(f"rooms is {self.rooms} and scenes {self.scenes}; both must be 1 or more")


def banks(conf: GeneralizeConf, corpus: Corpus, folder: Path, sofa: Path | None, nj: int) -> dict[str, RirBank]:
    """Impulse responses of every condition, written below `folder`."""
    rooms, rate = corpus.simu.rooms, corpus.simu.sample_rate
    base, seed = {**asdict(rooms), "count": {"test": conf.rooms}}, conf.seed
    changed = {
        n: parse(RoomConf, {**base, **(values or {})}, f"conditions: {n}") for n, values in conf.conditions.items()
    }
    shapes = {name: parse(HeadConf, values or {}, f"heads: {name}") for name, values in conf.heads.items()}
    if sofa is None and shapes:
        logging.warning("no --sofa, so no measured head: %s are left out", ", ".join(shapes))
    elif sofa:
        head, taps = read_head(sofa, rate), round(rooms.rir_seconds * rate)
        for name, shape in shapes.items():
            write_head_bank(folder / name, head, shape, conf.rooms, taps, rate, [seed, 8])
    for name, room in changed.items():
        write_bank(folder / name, "test", room, rate, [seed, 7], nj)
    return {name: RirBank(folder / name) for name in (*changed, *(shapes if sofa else ()))}


def outcomes(model, corpus: Corpus, bank: RirBank, scenes: Scenes, what: str) -> Values:
    """Direction and assignment per scene of a model in one condition."""
    pack, values = corpus.pack("test"), {}
    for size, own in scenes.items():
        embeddings = Embeddings(model.clap)
        embeddings.add(own, model.embed_scenes(own, pack, bank, corpus.samples, f"{what} {size}src"))
        if size <= 2:
            values[f"direction_{size}src"] = 100.0 * direction(embeddings)[0]
        if size >= 2:
            values[f"assignment_{size}src"] = 100.0 * assignment(embeddings)
    return values


def table(found: dict[str, dict[str, Values]], tags: list[str], tests: dict[str, FixedSet]) -> str:
    """Markdown: a line per condition and model, and the difference of the first two models on the same scenes."""
    metrics = list(next(iter(found.values()))[tags[0]])
    lines = []
    for condition, models in found.items():
        rows = [row for tag in tags for row in tests[condition].rows(tag, models[tag], {})]
        rows += tests[condition].difference_rows(models, [tuple(tags[:2])] if len(tags) > 1 else [], {})
        for tag in dict.fromkeys(row["tag"] for row in rows):
            cells = {row["metric"]: shown(row["value"], row["low"], row["high"]) for row in rows if row["tag"] == tag}
            lines.append([condition, tag, *(cells[metric] for metric in metrics)])
    return markdown.table(["condition", "model", *metrics], lines)


def header(args: argparse.Namespace, conf: GeneralizeConf) -> str:
    """What the table is of: models, corpus, sizes, and the environment."""
    scenes = ", ".join(f"{count} of {size}" for size, count in conf.scenes.items())
    made = "; ".join(f"{key}: {value}" for key, value in environment().items())
    return (
        f"Models: {' '.join(map(str, args.models))}. Sounds: {args.data / 'test'}. {conf.rooms} rooms a condition, "
        f"seed {conf.seed}; scenes by number of sources: {scenes}. Intervals: 95%, over recordings.\n{made}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument(
        "--models",
        type=Path,
        nargs="+",
        required=True,
        help="folders of trained models; the difference of the first two is told",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="Markdown table, written; scenes' outcomes beside it as JSON"
    )
    parser.add_argument("--conf", type=Path, nargs="+", default=[Path("conf/generalize.yaml")])
    parser.add_argument("--sofa", type=Path, help="SOFA file of a measured head, first receiver left")
    parser.add_argument("--nj", type=int, default=2, help="processes that simulate rooms")
    parser.add_argument("--ngpu", type=int, default=0, help="1: encode on a GPU")
    args = parser.parse_args()
    from spclap.engine.trained import load_training, require_clap

    if args.out.suffix == ".json":
        raise DataError(f"--out is {args.out}; the outcomes get that name, so give it another suffix, such as .md")
    require_gpus(args.ngpu)
    conf, corpus = load_config(GeneralizeConf, *args.conf), Corpus(args.data, args.dump)
    require_corpus(args.data, args.dump)
    if not conf.conditions and not (conf.heads and args.sofa):
        raise DataError(f"{args.conf[-1]}: no conditions, and no heads with --sofa; name one: {{recipe: {{}}}}")
    for folder in args.models:
        require_clap(folder)
    names = [folder.name for folder in args.models]
    labels = [name if names.count(name) == 1 else str(folder) for name, folder in zip(names, args.models, strict=True)]
    loaded = (load_training(folder, corpus, args.ngpu)[0] for folder in args.models)
    models = dict(zip(labels, loaded, strict=True))
    with tempfile.TemporaryDirectory() as scratch:
        conditions = banks(conf, corpus, Path(scratch), args.sofa, args.nj)
        clips, drawn = load_datadir(args.data / "test"), {}
        for name, bank in conditions.items():
            sampler = SceneSampler(clips, bank, corpus.simu.scenes)
            drawn[name] = {size: sampler.fixed([conf.seed, 9], size, n, name) for size, n in conf.scenes.items()}
        found = {
            name: {tag: outcomes(model, corpus, bank, drawn[name], f"{name} {tag}") for tag, model in models.items()}
            for name, bank in conditions.items()
        }
    tests = {name: FixedSet({size: corpus.recordings(own) for size, own in drawn[name].items()}) for name in drawn}
    text = header(args, conf) + "\n\n" + table(found, list(models), tests)
    plain = {n: {t: {m: v.tolist() for m, v in values.items()} for t, values in ms.items()} for n, ms in found.items()}
    atomic_write_text(args.out.with_suffix(".json"), json.dumps(plain) + "\n")
    atomic_write_text(args.out, text + "\n")
    print(text)


if __name__ == "__main__":
    run_main(main)
