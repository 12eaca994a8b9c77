"""Which layers run in bfloat16."""

import argparse

import pytest
import torch

from spclap.engine import precision
from spclap.engine.precision import kinds_in_bfloat16
from spclap.errors import DataError


@pytest.mark.parametrize(
    ("maps", "words", "kinds", "kept"),
    [(0.5, 0.5, ("maps", "words"), "true"), (1.1, 0.5, ("words",), "words"), (0.5, 0.9, ("maps",), "maps"),
     (16, 16, (), "false")],
)  # fmt: skip
def test_each_kind_of_layers_is_timed_once_and_the_choice_is_kept(tmp_path, monkeypatch, maps, words, kinds, kept):
    def seconds(run, half):
        out = run()
        return (maps if out.ndim == 4 else words) if half else 1.0

    monkeypatch.setattr(precision, "_seconds", seconds)
    args = argparse.Namespace(bfloat16="auto", ngpu=0, dump=str(tmp_path))
    assert kinds_in_bfloat16(args) == kinds and args.bfloat16 == kept
    monkeypatch.setattr(precision, "_seconds", lambda run, half: pytest.fail("timed again"))
    assert kinds_in_bfloat16(args) == kinds
    assert kinds_in_bfloat16(argparse.Namespace(bfloat16="auto", ngpu=0, dump=str(tmp_path))) == kinds


def test_another_machine_times_anew(tmp_path, monkeypatch):
    for choice, threads in (("false", 1), ("true", 2), ("true", 2)):
        monkeypatch.setattr(precision, "_faster", lambda choice=choice: choice)
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert precision.faster_on_cpu(tmp_path) == choice


def test_timings_are_of_layers_in_bfloat16():
    seen = []
    for half in (False, True):
        precision._seconds(
            lambda: seen.append(torch.nn.functional.linear(torch.ones(1, 2), torch.ones(1, 2)).dtype), half
        )
    assert seen == [torch.float32] * 6 + [torch.bfloat16] * 6


def test_other_words_are_refused():
    assert kinds_in_bfloat16(argparse.Namespace(bfloat16=True, ngpu=0)) == ("maps", "words")
    assert kinds_in_bfloat16(argparse.Namespace(bfloat16=False, ngpu=0)) == ()
    with pytest.raises(DataError, match="bfloat16 is 'fast'; it must be auto or one of"):
        kinds_in_bfloat16(argparse.Namespace(bfloat16="fast", ngpu=0))
