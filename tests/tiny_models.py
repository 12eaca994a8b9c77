"""Tiny CLAP and RoBERTa folders as transformers saves them, in place of hub models."""

from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import ClapConfig, ClapModel, RobertaConfig, RobertaModel, RobertaTokenizerFast

AUDIO = {
    "patch_embeds_hidden_size": 8, "depths": [2, 2, 1, 1], "num_attention_heads": [1, 1, 2, 2], "hidden_size": 64,
    "num_hidden_layers": 4,
}  # fmt: skip
TEXT = {"vocab_size": 280, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}


def randomise(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every weight and running statistic drawn, so that none of them could be left out unseen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                drawn = torch.randn(value.shape, generator=generator) * 0.4
                value.copy_(drawn.abs() + 0.5 if name.lower().endswith(("running_var", "norm.weight")) else drawn)
    return model.eval()


def tiny_clap(folder: Path, fusion: bool = False) -> ClapModel:
    """A CLAP model with random weights, saved in `folder`."""
    config = ClapConfig(audio_config={**AUDIO, "enable_fusion": fusion}, text_config=TEXT)
    model = randomise(ClapModel(config))
    model.save_pretrained(folder)
    return model


def tiny_roberta(folder: Path) -> RobertaModel:
    """A RoBERTa with random weights and its tokenizer, saved in `folder`."""
    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(["a dog on the left side", "a cat"], vocab_size=280, special_tokens=special)
    folder.mkdir(exist_ok=True)
    bpe.save_model(str(folder))
    RobertaTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(0)
    model = RobertaModel(RobertaConfig(**TEXT)).eval()
    model.save_pretrained(folder)
    return model
