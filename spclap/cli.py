"""The `spclap` command."""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from spclap.bin import run_main
from spclap.data.datadir import atomic_path
from spclap.errors import DataError


def embed(args: argparse.Namespace) -> None:
    from spclap.inference import SpatialCLAP

    if not (args.files or args.text) or not (args.out or (args.files and args.text)):
        raise DataError("nothing to show; give stereo files and --text for a table of cosines, or --out for vectors")
    model = SpatialCLAP.from_pretrained(args.model, args.device)
    vectors = {}
    if args.files:
        rows = [model.embed_audio([file]) for file in tqdm(args.files, unit="file", disable=len(args.files) < 20)]
        vectors.update(files=np.array([str(file) for file in args.files]), audio=np.concatenate(rows))
    if args.text:
        vectors.update(captions=np.array(args.text), text=model.embed_text(args.text))
    if args.out:
        with atomic_path(args.out) as temporary, temporary.open("wb") as file:
            np.savez(file, **vectors)
    if args.files and args.text:
        print_similarity(vectors)


def print_similarity(vectors: dict[str, np.ndarray]) -> None:
    """A Markdown table of cosines, a row per file."""
    print("| file | " + " | ".join(vectors["captions"]) + " |\n|" + "---|" * (1 + len(vectors["captions"])))
    for file, row in zip(vectors["files"], vectors["audio"] @ vectors["text"].T, strict=True):
        print(f"| {file} | " + " | ".join(f"{cosine:.3f}" for cosine in row) + " |")


def caption(args: argparse.Namespace) -> None:
    from spclap.data.audio import MIN_SECONDS, read_stereo
    from spclap.inference import SpatialCLAP

    model = SpatialCLAP.from_pretrained(args.model, args.device)
    rate, seconds = model.sample_rate, model.scene_seconds if args.window is None else args.window
    if seconds < MIN_SECONDS or args.beams < 1:
        raise DataError(f"--window is {seconds} s, --beams {args.beams}; they must be {MIN_SECONDS} s and 1 or more")
    window = round(seconds * rate)
    for file in args.files:
        stereo = read_stereo(file, rate)
        length = stereo.shape[1]
        for start in window_starts(length, window):
            part = stereo[:, start : start + window]
            text = model.caption([part], rate, args.beams)[0] if part.any() else "(silence)"
            when = f" {start / rate:.1f}-{(start + window) / rate:.1f} s" if length > window else ""
            print(f"{file}{when}: {text}")


def window_starts(length: int, window: int) -> list[int]:
    """Where windows of a recording begin: one after the other, the last one at its end."""
    starts = list(range(0, length - window + 1, window)) or [0]
    if starts[-1] + window < length:
        starts.append(length - window)
    return starts


def export(args: argparse.Namespace) -> None:
    from spclap.engine.trained import export

    export(args.training, args.out)


def import_official(args: argparse.Namespace) -> None:
    from spclap.model.official import import_official

    import_official(args.checkpoint, args.out, args.text)


def convert_laion(args: argparse.Namespace) -> None:
    from spclap.model.official import convert_laion

    convert_laion(args.checkpoint, args.out)


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="spclap", description=__doc__)
    commands = main.add_subparsers(required=True, metavar="COMMAND")
    listening = argparse.ArgumentParser(add_help=False)
    listening.add_argument("--model", type=Path, required=True, help="model directory")
    listening.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    recording = {"type": Path, "metavar": "FILE", "help": "stereo recording, channel 0 left"}

    add = commands.add_parser("embed", parents=[listening], help="vectors of stereo files and captions, and cosines")
    add.add_argument("files", nargs="*", **recording)
    add.add_argument("--text", nargs="+", default=[], help="captions")
    add.add_argument("--out", type=Path, help=".npz file: files, audio (n, dim), captions, text (m, dim)")
    add.set_defaults(run=embed)

    add = commands.add_parser("caption", parents=[listening], help="say what sounds where, long files by window")
    add.add_argument("files", nargs="+", **recording)
    add.add_argument("--window", type=float, help="s; as long as the scenes that the model learned from if not given")
    add.add_argument("--beams", type=int, default=1, help="1: greedy")
    add.set_defaults(run=caption)

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
    return main


def main() -> None:
    def chosen() -> None:
        args = parser().parse_args()
        args.run(args)

    run_main(chosen)


if __name__ == "__main__":
    main()
