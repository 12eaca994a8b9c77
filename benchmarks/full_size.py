"""The paper's model at its real size with random weights, for benchmarks: no hub, no downloads."""

from pathlib import Path

from transformers import ClapAudioConfig, RobertaConfig, RobertaTokenizerFast

from spclap.model.spatial_clap import SpatialClap
from spclap.recipe.compose import Recipe

CONF = Path(__file__).resolve().parents[1] / "conf" / "paper"
SIZES = {"base": {"patch_embeds_hidden_size": 128, "depths": [2, 2, 12, 2], "hidden_size": 1024},
         "tiny": {"patch_embeds_hidden_size": 96, "depths": [2, 2, 6, 2], "hidden_size": 768}}  # fmt: skip


def paper_model(folder: Path, captions: list[str], size: str = "base", checkpointing: bool = False) -> SpatialClap:
    """The model of conf/paper, its configurations and a tokenizer of `captions` written into `folder`."""
    from tokenizers import ByteLevelBPETokenizer

    ClapAudioConfig(num_attention_heads=[4, 8, 16, 32], **SIZES[size]).save_pretrained(folder / "content")
    RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1).save_pretrained(folder / "text")
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(captions, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    bpe.save_model(str(folder / "text"))
    RobertaTokenizerFast.from_pretrained(folder / "text").save_pretrained(folder / "text")
    config = Recipe(CONF).config("model/default").values
    for part, name in (("content_encoder", "content"), ("text_encoder", "text")):
        options = {"name": str(folder / name), "pretrained": False, "checkpointing": checkpointing}
        config[f"{part}_conf"] = {**config[f"{part}_conf"], **options}
    parts = ("content_encoder", "spatial_encoder", "fusion", "text_encoder")
    keys = [key for part in parts for key in (part, f"{part}_conf")]
    return SpatialClap(**{key: config[key] for key in [*keys, "text_head", "dim", "equal_level"]})
