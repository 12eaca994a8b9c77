"""spclap search: which recordings of an index have what is said, where it is said."""

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

EXAMPLE = "example: spclap search recordings.index 'a dog barking on the left' --top 5"


def add(commands: argparse._SubParsersAction) -> None:
    verb = commands.add_parser("search", help="find recordings of an index by words", epilog=EXAMPLE)
    verb.add_argument("index", type=Path, metavar="INDEX_DIR", help="what `spclap index --out` wrote")
    verb.add_argument("caption", help="what sounds where")
    verb.add_argument("--top", type=int, default=10, help="how many are shown")
    verb.add_argument("--every-window", action="store_true", help="windows, not the best one of each recording")
    verb.add_argument("--model", type=Path, help="where the model of the index is now, if it was moved")
    verb.add_argument("--json", action="store_true", help="a list of hits")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from spclap.inference import SpatialCLAP
    from spclap.search import Index
    from spclap.verbs.given import shown

    index = Index.open(args.index, args.model and SpatialCLAP.from_pretrained(args.model))
    if index.unheard:
        logging.warning("%d recordings were not heard, such as %s; spclap index says why", len(index.unheard),
                        shown(index.unheard[0]))  # fmt: skip
    (hits,) = index.search([args.caption], args.top, args.every_window)
    if args.json:
        print(json.dumps([asdict(hit) for hit in hits], indent=1))
        return
    for hit in hits:
        marks = ["nothing but noise"] * (not hit.something) + ["since then " + hit.file] * (hit.file != "same")
        told = f" ({', '.join(marks)})" if marks else ""
        print(f"{hit.score:.3f} {shown(hit.path)} {hit.start:.1f}-{hit.end:.1f} s{told}")
