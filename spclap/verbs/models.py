"""MODEL of the command line: whatever can be scored, by its name."""

import importlib
import sys
from pathlib import Path

from spclap.errors import DataError
from spclap.evaluate.adapters import TransformersClap
from spclap.evaluate.embedder import Embedder, OfClap, as_embedder
from spclap.model.checkpoints import load_model
from spclap.scene.corpus import Corpus


def load_embedder(
    name: str, device: str = "cpu", corpus: Corpus | None = None, known: dict | None = None
) -> Embedder:  # fmt: skip
    """A training folder, a model directory, a folder or cached hub id of transformers' CLAP, or what the function of
    `module:function` returns. DataError for anything else; nothing is downloaded.

    Args: corpus, whose data a training is used on, its own if none is given; known, what frozen layers of other models
    have read, see `FrozenLayers`.
    """
    folder = Path(name)
    if (folder / "done.json").is_file():
        return _trained(folder, device, corpus, {} if known is None else known)
    if (folder / "SHA256SUMS").is_file():
        return OfClap(load_model(folder, device))
    module, _, factory = name.partition(":")
    if factory and not folder.exists():
        return as_embedder(_made(module, factory), name)
    return TransformersClap(name, device)


def _made(module: str, factory: str) -> object:
    """What `factory` of a module returns, which is found from the working directory too."""
    sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(f"{module}:{factory}: {error}; give module:function of a function without arguments") from error
    finally:
        sys.path.remove("")


def _trained(folder: Path, device: str, corpus: Corpus | None, known: dict) -> OfClap:
    from spclap.engine.heard import Hearer
    from spclap.engine.trained import arguments, load_training, require_clap

    require_clap(folder)
    args = arguments(folder)
    corpus = corpus or Corpus(args.data, args.dump)
    clap = load_training(folder, corpus, device).clap
    clap.text_encoder.remember(known)
    return Hearer(clap, corpus)
