"""Published weights under their own names: the paper's checkpoint (hub id sarulab-speech/SpatialCLAP) as a model
directory, and LAION's CLAP as a folder that `content_encoder: htsat` can name.

`import_official` was never tried on the file that the authors released: see `UNTRIED`.
"""

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from spclap.errors import DataError
from spclap.model.checkpoints import read_checkpoint, require_weights, save_model
from spclap.model.folders import new_folder
from spclap.model.htsat import LogMel
from spclap.model.spatial_clap import SpatialClap

# Names of HTSAT's weights in LAION's code and in transformers'. A fused `qkv` is split afterwards.
HTSAT_NAMES = [
    (r"^bn0\.", "batch_norm."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.", ".attention.self."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
]
# Constants of the front end and of attention, which transformers computes, and LAION's unused classifier.
HTSAT_UNUSED = r"spectrogram_extractor\.stft\.|logmel_extractor\.melW$|tscam_conv\.|head\.|.*\.attn_mask$"
HTSAT_UNUSED += r"|.*\.relative_position_index$"
CONSTANTS = (".feature_extractor.window", ".embeddings.position_ids")  # of the paper's checkpoint
UNTRIED = (
    "import-official was never tried on the file that the authors released; weights of equal shape could stand for "
    "another order unseen, and these orders are guesses: magnitudes of left and right before their phases, channels "
    "before frequencies at the GRU's input, content before space at the projection; compare its scores with the paper's"
)
FUSED = r"(patch_embed\.)?(mel_conv[12]d|fusion_model)\."


@contextmanager
def reading(checkpoint: Path, what: str) -> Iterator[None]:
    """DataError inside, for weights of a checkpoint that are missing or have shapes that `what` cannot have."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"temporary files: {error}; free some space or set TMPDIR to another folder") from error
    except KeyError as error:
        raise DataError(f"{checkpoint}: {error} is missing; this is not {what}") from error
    except (IndexError, OverflowError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"{checkpoint}: its weights have shapes of something else, not {what}: {error}") from error


def stored_weights(checkpoint: Path, key: str) -> dict[str, torch.Tensor]:
    """Weights under a key of a checkpoint; DataError for a file without."""
    stored = read_checkpoint(checkpoint)
    if key not in stored:
        raise DataError(f"{checkpoint}: has no {key}; give the file that its authors released")
    return require_weights(stored[key], checkpoint)


def convert_htsat(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """LAION's HTSAT -> transformers' ClapAudioEncoder. DataError for one with feature fusion or another front end."""
    out = {}
    for name, value in weights.items():
        if re.match(FUSED, name):
            raise DataError(f"the checkpoint fuses several views of long recordings (`{name}`); take an unfused CLAP")
        if name == "logmel_extractor.melW":
            ours = LogMel().filters
            if value.shape != ours.shape or not torch.allclose(value.double(), ours, atol=1e-5):
                raise DataError(f"the checkpoint's mel filters {tuple(value.shape)} are not LAION-CLAP's at 48 kHz")
        if re.match(HTSAT_UNUSED, name):
            continue
        for old, new in HTSAT_NAMES:
            name = re.sub(old, new, name)
        if ".qkv." in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                out[name.replace("qkv", part)] = third
        else:
            out[name] = value
    return out


def htsat_config(weights: dict[str, torch.Tensor]):
    """transformers' configuration of LAION's HTSAT weights, read off their shapes. To be called inside `reading`."""
    from transformers import ClapAudioConfig

    width = weights["patch_embed.proj.weight"].shape[0]
    tables: dict[int, list[int]] = {}
    for name, value in weights.items():
        if found := re.match(r"layers\.(\d+)\.blocks\.\d+\.attn\.relative_position_bias_table$", name):
            tables.setdefault(int(found[1]), []).append(value.shape[1])
    depths = [len(tables[stage]) for stage in range(len(tables))]
    heads = [tables[stage][0] for stage in range(len(tables))]
    return ClapAudioConfig(
        patch_embeds_hidden_size=width, depths=depths, num_attention_heads=heads,
        hidden_size=width * 2 ** (len(depths) - 1), num_hidden_layers=len(depths), enable_fusion=False,
    )  # fmt: skip


def below(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Weights whose name starts with `prefix`, without it."""
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}


def convert_laion(checkpoint: Path, folder: Path) -> None:
    """LAION's `.pt` -> a folder that `content_encoder_conf: {name: FOLDER}` and transformers can read.

    Raises DataError for a file that is no unfused CLAP with HTSAT, and when `folder` exists.
    """
    from transformers import ClapAudioModelWithProjection

    with new_folder(folder) as temporary:
        stored = stored_weights(checkpoint, "state_dict")
        weights = {name.removeprefix("module."): value for name, value in stored.items()}
        tower, projection = below(weights, "audio_branch."), below(weights, "audio_projection.")
        with reading(checkpoint, "LAION's CLAP with an HTSAT"):
            config = htsat_config(tower)
            config.projection_dim = projection["0.weight"].shape[0]
            model = ClapAudioModelWithProjection(config)
            converted = {f"audio_model.audio_encoder.{name}": value for name, value in convert_htsat(tower).items()}
        for old, new in (("0", "linear1"), ("2", "linear2")):
            converted.update({f"audio_projection.{new}.{k}": v for k, v in below(projection, f"{old}.").items()})
        load_all(model, converted, checkpoint)
        model.save_pretrained(temporary)


def load_all(model: torch.nn.Module, weights: dict[str, torch.Tensor], source: Path) -> None:
    """Load `weights`, all of a model's but its constants, no less and no more; DataError names what does not fit."""
    state = model.state_dict()
    learned = {name for name, _ in model.named_parameters()}
    learned |= {name for name in state if re.search(r"\.(running_mean|running_var|num_batches_tracked)$", name)}
    problems = [f"missing {name}" for name in sorted(learned - weights.keys())]
    problems += [f"left over {name}" for name in sorted(weights.keys() - state.keys())]
    problems += [
        f"{name} is {tuple(weights[name].shape)}, expected {tuple(state[name].shape)}"
        for name in sorted(weights.keys() & state.keys())
        if weights[name].shape != state[name].shape
    ]
    if problems:
        shown = "; ".join(problems[:8])
        raise DataError(f"{source}: {len(problems)} weights do not fit: {shown}{' ...' if len(problems) > 8 else ''}")
    model.load_state_dict({**state, **weights})


def official_conf(weights: dict[str, torch.Tensor], content: str, text: str) -> dict:
    """Arguments of `SpatialClap` for the paper's model, sizes read off its weights (PAPER, "The system")."""
    window = weights["audio_encoder.spatial_encoder.feature_extractor.window"]
    encoder = "audio_encoder.spatial_encoder.encoder."
    n_fft = len(window)
    if not torch.allclose(window.float(), torch.hann_window(n_fft), atol=1e-6):
        raise DataError("feature_extractor.window is not a periodic Hann window, which is the only one there is here")
    return {
        "content_encoder": "htsat",
        "content_encoder_conf": {"name": content, "pretrained": False},
        "spatial_encoder": "ca_se",
        "spatial_encoder_conf": {
            "input": {
                "kind": "magnitude_phase",
                "n_fft": n_fft,
                "hop": n_fft // 2,
                "bins": n_fft // 2 + 1,
                "statistics": False,
            },
            "channels": weights[f"{encoder}cnn_block.0.weight"].shape[0],
            "hidden": weights[f"{encoder}middle_linear.weight"].shape[0],
        },
        "fusion": "concat",
        "fusion_conf": {"normalise": False},
        "text_encoder": "hf",
        "text_encoder_conf": {"name": text, "pooling": "pooler", "pretrained": False},
        "text_head": "pooled",
        "dim": weights["audio_projection.2.weight"].shape[0],
        "equal_level": False,
    }


def import_official(checkpoint: Path, folder: Path, text: str = "roberta-base") -> None:
    """The paper's checkpoint -> a model directory; `text`, hub id or folder with RoBERTa's config.json and tokenizer.

    Orders of weights of equal shape are guesses (`UNTRIED`, which is logged), as is the name `text_projection.{0,2}.*`.

    Raises DataError for a file that is none, with every weight that is missing, left over or of another shape.
    """
    logging.warning(UNTRIED)
    weights = stored_weights(checkpoint, "model_state_dict")
    tower = below(weights, "audio_encoder.mel_encoder.")
    with reading(checkpoint, "the paper's checkpoint"), tempfile.TemporaryDirectory() as scratch:
        htsat_config(tower).save_pretrained(scratch)
        conf = official_conf(weights, scratch, text)
        clap = SpatialClap(**conf)
        converted = {f"content_encoder.tower.audio_encoder.{k}": v for k, v in convert_htsat(tower).items()}
    places = {
        "audio_encoder.spatial_encoder.encoder.cnn_block.": "spatial_encoder.cnn.",
        "audio_encoder.spatial_encoder.encoder.": "spatial_encoder.",
        "audio_projection.": "fusion.projection.",
        "text_projection.": "text_head.projection.",
        "text_encoder.": "text_encoder.model.",
        "logit_scale": "logit_scale",
    }
    for name, value in weights.items():
        if name.startswith("audio_encoder.mel_encoder.") or name.endswith(CONSTANTS):
            continue
        prefix = next((prefix for prefix in places if name.startswith(prefix)), None)
        converted[name if prefix is None else places[prefix] + name[len(prefix) :]] = value
    load_all(clap, converted, checkpoint)
    save_model(clap, conf, folder, source=Path(checkpoint).name, paper="arXiv 2509.14785", scene_seconds=10.0)
