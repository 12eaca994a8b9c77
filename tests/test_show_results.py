"""The table program."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def row(tag, metric, value, corpus="mini", seed=0):
    return dict(tag=tag, corpus=corpus, metric=metric, value=value, low=value - 1, high=value + 1, n=400, seed=seed)


def show(*arguments):
    command = [sys.executable, ROOT / "utils" / "show_results.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_table_of_a_file_and_of_folders(tmp_path):
    rows = [row("scl", "assignment_2src", 71.26), row("single", "direction_1src", 90.0, seed=1)]
    (tmp_path / "results.json").write_text(json.dumps([*rows, row("scl-single", "assignment_2src", 20.0)]))
    out = show(tmp_path / "results.json").stdout
    assert "| scl | 0 | - | 71.3 [70.3, 72.3] |" in out
    assert "| single | 1 | 90.0 [89.0, 91.0] | - |" in out
    assert "paired differences" in out and "| scl-single | 0 | 20.0 [19.0, 21.0] |" in out and "400" in out
    (tmp_path / "exp" / "scl").mkdir(parents=True)
    (tmp_path / "exp" / "scl" / "scores.json").write_text(json.dumps({"results": rows}))
    assert "71.3 [70.3, 72.3]" in show(tmp_path / "exp").stdout


def test_provenance_tells_how_figures_were_made(tmp_path):
    model = tmp_path / "mini" / "seed0" / "scl"
    model.mkdir(parents=True)
    scores = {"protocol": {"direction": "5 ways"}, "git": "abc-dirty", "torch": "2", "machine": "Linux"}
    (model / "scores.json").write_text(json.dumps({**scores, "results": [row("scl", "direction_1src", 50.0)]}))
    (model.parent / "stage_times.tsv").write_text("0\t3\tx\n3\t50\tx\n3\t40\tx\n")
    for folder in (tmp_path, model):
        out = show("--provenance", folder).stdout
        assert out.count("- direction: 5 ways") == 1
        assert f"| {tmp_path}/mini/seed0 | scl | abc-dirty | 2 | Linux | 3, -, -, 40, -, - |" in out
    (model.parent / "single").mkdir()
    (model.parent / "single" / "scores.json").write_text(json.dumps({**scores, "git": "def", "results": []}))
    (model.parent / "multi").mkdir()
    (model.parent / "multi" / "scores.json").write_text(json.dumps({**scores, "results": []}))
    out = show("--provenance", tmp_path).stdout
    assert "/mini/seed0 | multi, scl | abc-dirty | 2 | Linux |" in out
    assert "/mini/seed0 | single | def | 2 | Linux |" in out


def test_words_that_would_break_a_table_stay_in_their_cells(tmp_path):
    for folder in ("a|b", "c\nd"):
        scores(tmp_path / folder / "m", row("scl|\n x", "direction_1src", 80.0))
    out = show(tmp_path / "a|b", tmp_path / "c\nd").stdout
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert len(table) == 4 and {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {5}
    assert f"| {tmp_path}/a\\|b | scl\\| x | 0 | 80.0 [79.0, 81.0] |" in table


def test_the_command_holds_no_path_of_this_machine(tmp_path):
    origins = {"protocol": {}, "git": "a", "torch": "2", "machine": "Linux"}
    origins["results"] = [row("a", "direction_1src", 1.0)]
    (tmp_path / "exp" / "a").mkdir(parents=True)
    (tmp_path / "exp" / "a" / "scores.json").write_text(json.dumps(origins))
    command = [sys.executable, ROOT / "utils" / "show_results.py", "--provenance", tmp_path / "exp"]
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout
    program = os.path.relpath(ROOT / "utils" / "show_results.py", tmp_path)
    assert f"Made by `python {program} --provenance exp`." in out


def test_full_adds_the_other_ranks(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps([row("scl", "meanrank_a2t_2src", 3.0), row("scl", "r1_a2t_2src", 3.0)]))
    assert "meanrank" not in show(tmp_path / "r.json").stdout
    out = show(tmp_path / "r.json", "--full").stdout
    head, further = out.split("## R@5, R@10 and mean rank")
    assert "r1_a2t_2src" in head and "meanrank" not in head
    assert "meanrank_a2t_2src" in further and "r1_a2t_2src" not in further


def test_full_shows_what_other_programs_wrote(tmp_path):
    scores(tmp_path / "mini" / "seed0" / "scl", row("scl", "r1_a2t_2src", 3.0))
    (tmp_path / "mini" / "table1").mkdir()
    (tmp_path / "mini" / "table1" / "table.md").write_text("| Ours |\n")
    (tmp_path / "mini" / "seed0" / "captions.md").write_text("| a dog |\n")
    assert "| Ours |" not in show(tmp_path).stdout
    out = show("--full", tmp_path).stdout
    assert f"## The paper's Table 1, {tmp_path}/mini/table1\n\n| Ours |" in out
    assert f"## Captions, {tmp_path}/mini/seed0\n\n| a dog |" in out


def scores(folder, *rows):
    folder.mkdir(parents=True)
    (folder / "scores.json").write_text(json.dumps({"results": rows}))


def test_models_set_aside_by_a_retraining_are_not_shown(tmp_path):
    scores(tmp_path / "seed0" / "scl", row("scl", "direction_1src", 80.0))
    scores(tmp_path / "seed0" / "scl.old1", row("scl", "direction_1src", 30.0))
    assert "| scl | 0 | 80.0 [79.0, 81.0] |" in show(tmp_path).stdout
    assert "| scl | 0 | 30.0 [29.0, 31.0] |" in show(tmp_path / "seed0" / "scl.old1").stdout


def test_several_folders_are_compared_in_one_table(tmp_path):
    scores(tmp_path / "a", row("scl", "direction_1src", 80.0))
    scores(tmp_path / "b", row("scl", "direction_1src", 70.0))
    assert "| scl | 0 | 80.0 [79.0, 81.0] |" in show(tmp_path / "a", tmp_path / "a").stdout
    out = show(tmp_path / "a", tmp_path / "b").stdout
    assert "| from | model | seed | direction_1src |" in out
    assert f"| {tmp_path}/a | scl | 0 | 80.0 [79.0, 81.0] |\n| {tmp_path}/b | scl | 0 | 70.0 [69.0, 71.0] |" in out


def test_the_same_figure_twice_is_shown_once_and_two_figures_are_refused(tmp_path):
    scores(tmp_path / "a", row("scl", "direction_1src", 80.0))
    scores(tmp_path / "b", row("scl", "direction_1src", 80.0))
    assert show(tmp_path).stdout.count("80.0 [") == 1
    scores(tmp_path / "c", row("scl", "direction_1src", 70.0))
    result = show(tmp_path)
    assert result.returncode == 1 and "tag scl, seed 0, metric direction_1src" in result.stderr


def test_corpora_have_their_own_tables_and_seeds_their_own_lines(tmp_path):
    rows = [row("scl", "direction_1src", 80.0, corpus, seed) for corpus in ("mini", "esc50") for seed in (0, 1, "0+1")]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    out = show(tmp_path / "r.json").stdout
    assert out.index("### mini") < out.index("### esc50")
    assert all(out.count(f"| scl | {seed} | 80.0 [79.0, 81.0] |") == 2 for seed in (0, 1, "0+1"))


def test_a_table_without_columns_says_so(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps([row("scl", "r5_a2t_1src", 3.0)]))
    assert "--full" in show(tmp_path / "r.json").stdout


def test_provenance_needs_its_keys(tmp_path):
    scores(tmp_path / "seed0" / "scl", row("scl", "direction_1src", 80.0))
    result = show("--provenance", tmp_path)
    assert result.returncode == 1 and "`protocol`" in result.stderr and "scores.json" in result.stderr


def test_errors_name_file_and_key(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "lacking.json").write_text(json.dumps([{"tag": "scl"}]))
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    (tmp_path / "numbers.json").write_text("[1, 2]")
    (tmp_path / "null.json").write_text(json.dumps([{**row("scl", "direction_1src", 1.0), "value": None}]))
    for path, word in (
        ("none.json", "stage 5"),
        ("bad.json", "not JSON"),
        ("lacking.json", "corpus"),
        ("binary.json", "not JSON"),
        ("numbers.json", "not an object"),
        ("null.json", "`value`"),
        (".", "stage 5"),
    ):
        result = show(tmp_path / path)
        assert result.returncode == 1 and word in result.stderr and not result.stdout
        assert (tmp_path / path).name in result.stderr
