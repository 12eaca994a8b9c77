"""spclap import-official and convert-laion: checkpoints of others as folders of ours."""

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    what = "the paper's released checkpoint as a model directory; never tried on the real file"
    example = "example: spclap import-official l1proposed-spatial_contrastive-model_epoch_49.pt official"
    verb = commands.add_parser("import-official", help=what, epilog=example)
    verb.add_argument("checkpoint", type=Path, help="l1proposed-spatial_contrastive-model_epoch_49.pt")
    verb.add_argument("out", type=Path, help="model directory, written")
    verb.add_argument("--text", default="roberta-base", help="hub id or folder: config.json and tokenizer of RoBERTa")
    verb.set_defaults(run=import_)

    example = "example: spclap convert-laion music_speech_audioset_epoch_15_esc_89.98.pt htsat"
    what = "LAION's CLAP .pt as a folder for content_encoder htsat"
    verb = commands.add_parser("convert-laion", help=what, epilog=example)
    verb.add_argument("checkpoint", type=Path, help="such as music_speech_audioset_epoch_15_esc_89.98.pt")
    verb.add_argument("out", type=Path, help="folder, written")
    verb.set_defaults(run=convert)


def import_(args: argparse.Namespace) -> None:
    from spclap.model.official import import_official

    import_official(args.checkpoint, args.out, args.text)


def convert(args: argparse.Namespace) -> None:
    from spclap.model.official import convert_laion

    convert_laion(args.checkpoint, args.out)
