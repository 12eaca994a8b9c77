"""The `spclap` command."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from spclap.bin import run_main
from spclap.bin.recipe import add_layers, recipe_of
from spclap.data.files import atomic_path
from spclap.data.progress import progress
from spclap.errors import DataError
from spclap.evaluate.markdown import table
from spclap.recipe.show import listing
from spclap.space.array import FORMS
from spclap.verbs import demo, make_scenes, report, score


def shown(name) -> str:
    """A file name or text as one line that every terminal can print."""
    text = os.fsencode(str(name)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def each(files: Sequence[Path], work: Callable[[Path], Any], strict: bool) -> list[tuple[Path, Any]]:
    """Files and what `work` makes of each, without those that it refuses, which are listed on stderr; DataError at the
    first of them if `strict`, and if none is left."""
    done, bad = [], []
    for file in files:
        try:
            done.append((file, work(file)))
        except DataError as error:
            if strict or len(files) == 1:
                raise
            bad.append(error)
    for error in bad:
        print(f"left out: {shown(error)}", file=sys.stderr)
    if bad and not done:
        raise DataError(f"none of {len(files)} files can be used, see above")
    return done


def require_all(done: list, files: list[Path]) -> None:
    if len(done) < len(files):
        raise DataError(f"{len(files) - len(done)} of {len(files)} files are left out, see above; the others are done")


def embed(args: argparse.Namespace) -> None:
    from spclap.data.stream import SUFFIXES
    from spclap.inference import SpatialCLAP

    for text in args.text:
        if Path(text).suffix.lower() in SUFFIXES or os.path.isfile(text):
            raise DataError(f"--text takes captions, and {shown(text)} is a file; put files before --text")
    if not (args.files or args.text) or not (args.out or (args.files and args.text)):
        raise DataError("nothing to show; give stereo files and --text for a table of cosines, or --out for vectors")
    model = SpatialCLAP.from_pretrained(args.model, args.device)
    vectors = {}
    if args.text:
        vectors.update(captions=np.array(args.text), text=model.embed_text(args.text))
    bar = progress(args.files, desc="recordings", unit="file")
    array = model.told(args.array)
    done = each(bar, lambda file: model.embed_audio([file], array=array)[0], args.strict)
    if done:
        files, rows = zip(*done, strict=True)
        vectors.update(files=np.array([str(file) for file in files]), audio=np.stack(rows))
    if args.out:
        with atomic_path(args.out) as temporary, temporary.open("wb") as file:
            np.savez(file, **vectors)
    if args.files and args.text:
        print_similarity(vectors)
    require_all(done, args.files)


def print_similarity(vectors: dict[str, np.ndarray]) -> None:
    """A Markdown table of cosines, a row per file."""
    cosines = [[f"{cosine:.3f}" for cosine in row] for row in vectors["audio"] @ vectors["text"].T]
    rows = [[shown(file), *row] for file, row in zip(vectors["files"], cosines, strict=True)]
    print(table(["file", *map(shown, vectors["captions"])], rows))


def caption(args: argparse.Namespace) -> None:
    from spclap.data.audio import MIN_SECONDS
    from spclap.inference import SpatialCLAP

    model = SpatialCLAP.from_pretrained(args.model, args.device)
    seconds = model.scene_seconds if args.window is None else args.window
    if not MIN_SECONDS <= seconds < float("inf") or args.beams < 1:
        raise DataError(f"--window is {seconds} s, --beams {args.beams}; they must be {MIN_SECONDS} s and 1 or more")

    array = model.told(args.array)

    def say(file: Path) -> None:
        parts = list(model.caption_windows(file, window=seconds, beams=args.beams, array=array))
        for start, end, text in parts:
            when = f" {start:.1f}-{end:.1f} s" if len(parts) > 1 else ""
            print(f"{shown(file)}{when}: {'(nothing but noise or silence)' if text is None else text}")

    require_all(each(args.files, say, args.strict), args.files)


def doctor(args: argparse.Namespace) -> None:
    from spclap.data.stream import open_stream
    from spclap.doctor import examine, told

    bar = progress(args.files, desc="recordings", unit="file")
    done = each(bar, lambda file: examine(open_stream(file), args.direction), args.strict)
    if args.json:
        print(json.dumps([{"file": str(file), **asdict(report)} for file, report in done], indent=1))
    else:
        print("\n\n".join(f"{shown(file)}\n{told(report)}" for file, report in done))
    require_all(done, args.files)


def export(args: argparse.Namespace) -> None:
    from spclap.engine.trained import export

    export(args.training, args.out)


def import_official(args: argparse.Namespace) -> None:
    from spclap.model.official import import_official

    import_official(args.checkpoint, args.out, args.text)


def convert_laion(args: argparse.Namespace) -> None:
    from spclap.model.official import convert_laion

    convert_laion(args.checkpoint, args.out)


def config_list(args: argparse.Namespace) -> None:
    print(listing(recipe_of(args)), end="")


def config_show(args: argparse.Namespace) -> None:
    from spclap.bin.train import explained

    recipe = recipe_of(args)
    run = recipe.run(args.tag)
    with redirect_stdout(sys.stderr):  # espnet says on stdout what it did not find
        text = explained(run, recipe.config(*run.names), args.options)
    print(text, end="")


def add_config(commands: argparse._SubParsersAction) -> None:
    config = commands.add_parser("config", help="what can be trained, with which settings, each with its file")
    ways = config.add_subparsers(required=True, metavar="list|show")
    add = ways.add_parser("list", help="every training that conf/ describes")
    add_layers(add)
    add.set_defaults(run=config_list)
    what = "each key of a training, its value and the file that it comes from"
    add = ways.add_parser("show", help=what, epilog="behind --: options of ESPnet2, as in run.sh's --train_args")
    add.add_argument("tag", help="name of a training, such as scl or concat_seld")
    add_layers(add)
    add.set_defaults(run=config_show)


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="spclap", description=__doc__)
    commands = main.add_subparsers(required=True, metavar="COMMAND")
    listening = argparse.ArgumentParser(add_help=False)
    listening.add_argument("--model", type=Path, required=True, help="model directory")
    listening.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    listening.add_argument("--array", help=f"what heard the recordings, the model's default if not given: {FORMS}")
    listening.add_argument("--strict", action="store_true", help="stop at the first bad file")
    recording = {"type": Path, "metavar": "FILE", "help": "stereo recording, channel 0 left"}

    add = commands.add_parser("embed", parents=[listening], help="vectors of stereo files and captions, and cosines")
    add.add_argument("files", nargs="*", **recording)
    add.add_argument("--text", nargs="+", default=[], help="captions; files go before them")
    add.add_argument("--out", type=Path, help=".npz file: files, audio (n, dim), captions, text (m, dim)")
    add.set_defaults(run=embed)

    add = commands.add_parser("caption", parents=[listening], help="say what sounds where, long files by window")
    add.add_argument("files", nargs="+", **recording)
    add.add_argument(
        "--window",
        type=float,
        help="s, that of the scenes of training if not given; less is repeated",
    )
    add.add_argument("--beams", type=int, default=1, help="1: greedy")
    add.set_defaults(run=caption)

    what = "what recordings look like: defects, level, and what array heard them"
    add = commands.add_parser("doctor", help=what, epilog="example: spclap doctor street.wav --direction left")
    add.add_argument("files", nargs="+", **recording)
    add.add_argument("--direction", default="", help="where most came from if you know: left, front-left, front, ...")
    add.add_argument("--json", action="store_true", help="a list of reports")
    add.add_argument("--strict", action="store_true", help="stop at the first bad file")
    add.set_defaults(run=doctor)

    add = commands.add_parser("export", help="a finished training as a model directory")
    add.add_argument("training", type=Path, help="such as exp/mini/seed0/scl")
    add.add_argument("out", type=Path, help="model directory, written")
    add.set_defaults(run=export)

    add = commands.add_parser(
        "import-official", help="the paper's released checkpoint as a model directory; never tried on the real file"
    )
    add.add_argument("checkpoint", type=Path, help="l1proposed-spatial_contrastive-model_epoch_49.pt")
    add.add_argument("out", type=Path, help="model directory, written")
    add.add_argument("--text", default="roberta-base", help="hub id or folder: config.json and tokenizer of RoBERTa")
    add.set_defaults(run=import_official)

    add = commands.add_parser("convert-laion", help="LAION's CLAP .pt as a folder for content_encoder htsat")
    add.add_argument("checkpoint", type=Path, help="such as music_speech_audioset_epoch_15_esc_89.98.pt")
    add.add_argument("out", type=Path, help="folder, written")
    add.set_defaults(run=convert_laion)
    for verb in (make_scenes, score, report, demo):
        verb.add(commands)
    add_config(commands)
    return main


def main() -> None:
    def chosen() -> None:
        words = sys.argv[1:]
        cut = words.index("--") if words[:1] == ["config"] and "--" in words else len(words)
        args = parser().parse_args(words[:cut])
        args.options = words[cut + 1 :]
        args.run(args)

    run_main(chosen)


if __name__ == "__main__":
    main()
