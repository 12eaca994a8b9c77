"""spclap embed: vectors of stereo files and captions, and their cosines."""

import argparse
from pathlib import Path

from spclap.errors import Misuse
from spclap.verbs import given


def add(commands: argparse._SubParsersAction) -> None:
    example = f'{given.SHIPPED} --text "a dog on the left side" "a dog on the right side" --out vectors.npz'
    verb = given.add_verb(commands, "embed", "vectors of stereo files and captions, and cosines", example, run)
    given.add_files(verb, "*")
    given.add_model(verb)
    verb.add_argument("--text", nargs="+", default=[], help="captions; files go before them")
    verb.add_argument("--out", type=Path, help=".npz file: files, audio (n, dim), captions, text (m, dim)")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from spclap.data.files import atomic_path

    given.require_words(args.text, "--text")
    given.require_outputs(args.out, files=args.files)
    if not (args.files or args.text) or not (args.out or args.json or (args.files and args.text)):
        raise Misuse("nothing to show; give stereo files and --text for a table of cosines, or --out or --json")
    model, vectors = given.load(args), {}
    if args.text:
        with given.sensible():
            text = model.embed_text(args.text)
        vectors.update(captions=np.array(args.text), text=text)
    done = given.each(args.files, lambda file: model.embed_audio([file], array=args.array)[0], args.strict)
    if done:
        files, rows = zip(*done, strict=True)
        vectors.update(files=np.array([str(file) for file in files]), audio=np.stack(rows))
    if args.out:
        with atomic_path(args.out) as temporary, temporary.open("wb") as file:
            np.savez(file, **vectors)
    if args.json:
        given.print_json({key: rows.tolist() for key, rows in vectors.items()} | cosines(vectors))
    elif args.files and args.text:
        print_cosines(vectors)
    given.require_all(done, args.files)


def cosines(vectors: dict) -> dict:
    """{"cosines": a row per file} where there are files and captions."""
    both = "audio" in vectors and "text" in vectors
    return {"cosines": (vectors["audio"] @ vectors["text"].T).tolist()} if both else {}


def print_cosines(vectors: dict) -> None:
    """A Markdown table, a row per file."""
    from spclap.evaluate.markdown import table

    found = [[f"{cosine:.3f}" for cosine in row] for row in cosines(vectors)["cosines"]]
    rows = [[given.shown(file), *row] for file, row in zip(vectors["files"], found, strict=True)]
    print(table(["file", *map(given.shown, vectors["captions"])], rows))
