"""The page that `spclap report` makes of a record, which is written here by hand."""

import base64
import io
import json
import math
import re
import sys

import numpy as np
import pytest
import soundfile
from page_tree import Node, Parser
from programs import ROOT
from small_record import FIRST, HOSTILE, METRICS, SECOND, record_of, write_set

from spclap import cli
from spclap.evaluate import page
from spclap.evaluate.frozen import read_frozen
from spclap.evaluate.record import scenes_that_show
from spclap.evaluate.tables import head


@pytest.fixture
def frozen(tmp_path):
    write_set(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def record(frozen) -> dict:
    return record_of(frozen)


@pytest.fixture
def report(tmp_path, record, monkeypatch, capsys):
    """Writes the record and runs the verb: exit code, stderr and the page, None if there is none."""

    def run(*options, out=tmp_path / "scored" / "report.html"):
        folder = tmp_path / "scored"
        folder.mkdir(exist_ok=True)
        (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["spclap", "report", str(folder), *map(str, options)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        text = out.read_text(encoding="utf-8") if out.is_file() else None
        return code, capsys.readouterr().err, text

    return run


@pytest.fixture
def seen(report) -> Node:
    code, _, text = report()
    assert code == 0
    return Parser(text).open[0]


def shown(found: dict) -> str:
    return f"{found['value']:.1f} [{found['low']:.1f}, {found['high']:.1f}]"


def cells(table: Node) -> list[list[str]]:
    return [[cell.words for cell in row if cell.tag in ("th", "td")] for row in table.all("tr")]


def test_tables_hold_the_figures_of_the_record(seen, record):
    models = record["models"]
    rows = [[head(m), *(shown(own["figures"][m]) for own in models.values())] for m in METRICS]
    assert cells(seen.all("table", "main")[0]) == [["", *models], *rows]
    differences = cells(seen.all("table", "differences")[0])
    assert differences[2] == [head("direction_1src"), "5.5 [1.1, 9.9]"] and differences[1][1] == "-"
    clear = [cell.words for cell in seen.all("td", "clear")]
    assert clear == ["5.5 [1.1, 9.9]"]  # the other interval holds 0
    counts = [[int(word) for word in row[1:]] for row in cells(seen.all("table", "confusion")[1])[1:]]
    assert counts == models[SECOND]["confusion"]
    cell = seen.all("table", "confusion")[1].all("td")[1 + 5]  # behind the corner and the first row
    share = 60 * counts[1][0] / sum(counts[1])
    assert cell.attributes == {"class": "wrong", "style": f"--share: {share:.0f}%"}
    assert [[i for i, cell in enumerate(row.all("td")) if cell.attributes["class"] == "right"]
            for row in seen.all("table", "confusion")[0].all("tr")[1:]] == [[0], [1], [2], [3], [4]]  # fmt: skip


def test_every_other_model_has_differences_of_its_own(report, record):
    record["models"]["third"] = record["models"][SECOND]
    record["differences"].append({**record["differences"][0], "second": "third", "value": 6.6})
    table = Parser(report()[2]).open[0].all("table", "differences")[0]
    assert cells(table)[2][1:] == ["5.5 [1.1, 9.9]", "6.6 [1.1, 9.9]"] and cells(table)[4][2] == "-"


def test_how_many_scenes_would_be_needed_is_told(seen, record):
    wanted = scenes_that_show(record["models"][FIRST]["figures"]["assignment_2src"])
    assert seen.all("section")[-1].words.endswith(f"of as many recordings each: binding, 2 sources: {wanted}.")


def test_controls_above_chance_stand_out(seen, record):
    for table, own in zip(seen.all("table", "controls"), record["models"].values(), strict=True):
        asked = list(own["controls"]["mono"])
        rows = cells(table)
        assert [row[1:] for row in rows[1:]] == [
            [shown(found[m]) for m in asked] for found in (own["figures"], *own["controls"].values())
        ]
        assert rows[0][1:] == ["direction, 1 source chance 20.0", "binding, 2 sources chance 50.0"]
        assert "channels" in rows[2][0] and "○" in rows[2][0] and "○" not in rows[3][0]
    faults = [cell.words for cell in seen.all("td", "fault")]
    blind = [own["controls"]["mono"] for own in record["models"].values()]
    assert faults == [shown(blind[0]["direction_1src"]), shown(blind[0]["assignment_2src"]),
                      shown(blind[1]["direction_1src"])]  # fmt: skip


def marks(row: Node) -> list[tuple]:
    """Low, value, high and numbers of each model in a line of a chart."""
    out = []
    for mark in row.all("div", "mark"):
        (line,), (sign,) = mark.all("line", "span"), mark.all("svg")[1:]
        out.append((line.attributes["x1"], sign.attributes["x"], line.attributes["x2"], mark.words))
    return out


def drawn(found: dict) -> tuple:
    return (*(f"{found[key]:.2f}%" for key in ("low", "value", "high")), shown(found))


def test_charts_draw_what_the_tables_say(seen, record):
    models, (chart, *curves) = record["models"].values(), seen.all("div", "chart")
    rows = chart.all("div", "row")
    assert [row.all("div", "label")[0].words for row in rows] == [*map(head, METRICS), ""]
    for row, metric in zip(rows, METRICS, strict=False):
        assert marks(row) == [drawn(own["figures"][metric]) for own in models]
        chance = {line.attributes["x1"] for line in row.all("line", "chance")}
        assert chance == {"direction_1src": {"20.00%"}, "assignment_2src": {"50.00%"}}.get(metric, set())
    (level,) = curves  # the array has one point, which is no curve
    labels = ["-12 to -6 dB 12 scenes", "-6 to -2 dB 13 scenes", "+2 to +6 dB 11 scenes"]
    assert [row.all("div", "label")[0].words for row in level.all("div", "row")] == [*labels, ""]
    for row, point in zip(level.all("div", "row"), ["-12 to -6 dB", "-6 to -2 dB", "+2 to +6 dB"], strict=False):
        assert marks(row) == [drawn(own["curves"]["level"][point]) for own in models]


def test_intervals_without_end_stay_within_a_chart(report, record):
    record["models"][FIRST]["figures"]["direction_1src"] |= {"low": -math.inf, "high": math.inf}
    row = Parser(report()[2]).open[0].all("div", "chart")[0].all("div", "row")[1]
    assert marks(row)[0][:3] == ("0.00%", "38.30%", "100.00%")


def test_texts_of_users_are_texts(seen, record):
    body = seen.all("body")[0]
    assert not {"script", "img", "iframe", "link", "object", "form"} & {node.tag for node in seen}
    assert all({below.tag for below in node} <= {"bdi", "wbr"} for node in seen.all("bdi"))
    assert all(not name.startswith("on") for node in seen for name in node.attributes)
    captions = [node.words for node in seen.all("p", "caption")]
    assert captions == [f"{HOSTILE} on the left side", "a dog in front", "a dog in front, and rain on the right side"]
    assert {node.text for node in seen.all("h4")} == {FIRST, SECOND} and len(seen.all("h4")) == 6
    assert seen.all("title")[0].text.endswith(f": {FIRST}, {SECOND}")
    for text in ("a<b>", "arr<i>2</i>", "how <it> is asked", "spclap score <x>", record["warnings"][0]):
        assert text in body.words


def test_warnings_come_first(report, record):
    body = Parser(report()[2]).open[0].all("body")[0]
    (box,) = body.all("section", "warnings")
    assert [line.text for line in box.all("li")] == record["warnings"]
    assert body.words.index(record["warnings"][0]) < body.words.index("caption found first")
    record["warnings"] = []
    body = Parser(report()[2]).open[0].all("body")[0]
    assert not body.all("section", "warnings") and "No warnings" in body.words


def test_nothing_points_out_of_the_page(seen):
    names = [
        node.attributes[name] for node in seen for name in ("src", "href", "xlink:href") if name in node.attributes
    ]
    assert len(names) == 3 and all(name.startswith("data:audio/flac;base64,") for name in names)
    style = seen.all("style")[0].text
    assert "prefers-color-scheme: dark" in style and not re.search(r"url\(|@import|//", style)
    policy = [node.attributes["content"] for node in seen.all("meta") if "http-equiv" in node.attributes]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; media-src data:"]


def test_players_play_the_recordings(seen, frozen):
    for card, id in zip(seen.all("article"), ["1src-0", "1src-1", "2src-0"], strict=True):
        (player,) = card.all("audio")
        heard, rate = soundfile.read(io.BytesIO(base64.b64decode(player.attributes["src"].partition(",")[2])))
        wanted, own = soundfile.read(frozen / "audio" / f"{id}.flac")
        assert card.all("h3")[0].words.startswith(id) and rate == own
        np.testing.assert_array_equal(heard, wanted)


def test_the_true_caption_is_marked(seen):
    true = [[line.words for line in card.all("li", "true")] for card in seen.all("article")]
    assert true == [[f"{HOSTILE} on the left side ✓ 0.5000"] * 2, ["a dog in front ✓ 0.8000"] * 2, []]
    absent = [sum("not among these" in p.words for p in card.all("p")) for card in seen.all("article")]
    assert absent == [0, 0, 2]
    assert [line.words for line in seen.all("article")[0].all("li")][0] == "a dog in front 0.9123"


@pytest.mark.parametrize("way", ["gone", "other", "damaged"])
def test_without_the_scenes_that_were_scored_nothing_is_heard_and_a_line_says_so(report, record, frozen, way):
    why = "1src-0.flac is not what was written"
    if way == "gone":
        record["about"]["scenes"] = str(frozen.parent / "no<b>where</b>")
        why = "no<b>where</b> is no set of scenes that is here; give --scenes"
    elif way == "other":
        record["about"]["sha256"] = "0" * 64
        why = "scored was 000000000000"
    else:
        (frozen / "audio" / "1src-0.flac").write_bytes(b"fLaC")
    code, _, text = report()
    seen = Parser(text).open[0]
    lines = [p.words for p in seen.all("p", "silent")]
    assert code == 0 and len(lines) == 1 and lines[0].startswith("No players: ") and why in lines[0]
    assert not seen.all("audio") and not seen.all("li", "true") and len(seen.all("article")) == 3


def test_scenes_that_are_given_must_be_those_that_were_scored(report, record, frozen):
    record["about"]["scenes"] = "data/mini, test"
    code, _, text = report("--scenes", frozen)
    assert code == 0 and len(Parser(text).open[0].all("audio")) == 3 and "No players" not in text
    (frozen.parent / "scored" / "report.html").unlink()
    record["about"]["sha256"] = "0" * 64
    code, told, text = report("--scenes", frozen)
    assert code == 1 and text is None and told.count("\n") == 1 and told.startswith(f"error: {frozen}: SHA256SUMS")
    code, told, text = report("--scenes", frozen.parent / "nowhere")
    assert code == 1 and text is None and told.count("\n") == 1 and "spclap make-scenes" in told


def test_a_page_is_kept_small(frozen):
    sets = read_frozen(frozen)
    size = [(frozen / "audio" / f"{id}.flac").stat().st_size for id in ("1src-0", "1src-1", "2src-0")]
    scenes = page.heard(sets, ["1src-0", "2src-0"], size[0] + size[2])
    assert all(own.audio for own in scenes.values()) and list(scenes) == ["1src-0", "2src-0"]
    scenes = page.heard(sets, ["1src-0", "2src-0"], size[0] + size[2] - 1)
    assert scenes["1src-0"].audio and scenes["2src-0"].audio is None
    assert page.AUDIO_BYTES * 4 / 3 < 10e6


def test_a_recording_too_long_is_told(report, monkeypatch):
    monkeypatch.setattr(page, "AUDIO_BYTES", 0)
    seen = Parser(report()[2]).open[0]
    assert not seen.all("audio") and seen.words.count("Too long for this page") == 3


def test_a_folder_without_a_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["spclap", "report", str(tmp_path / "empty")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().err
    assert end.value.code == 1 and told.count("\n") == 1 and str(tmp_path / "empty" / "record.json") in told
    assert "spclap score" in told and not (tmp_path / "empty").exists()


@pytest.mark.parametrize("way", ["about", "models", "differences", "figures", "curves", "no models", "value"])
def test_a_record_that_lacks_something(report, record, tmp_path, way):
    if way == "no models":
        record["models"] = {}
    elif way == "value":
        record["models"][SECOND]["figures"]["direction_1src"]["value"] = "many"
    else:
        del (record if way in record else record["models"][FIRST])[way]
    code, told, text = report()
    assert code == 1 and text is None and told.count("\n") == 1
    assert f"{tmp_path / 'scored' / 'record.json'}: " in told and "score again" in told
    assert [path.name for path in (tmp_path / "scored").iterdir()] == ["record.json"]


def test_only_pages_of_ours_are_overwritten(report, record, tmp_path):
    out = tmp_path / "pages" / "mine.html"
    assert report("--out", out, out=out)[0] == 0 and not (tmp_path / "scored" / "report.html").exists()
    record["warnings"] = ["another"]
    code, _, text = report("--out", out, out=out)
    assert code == 0 and "another" in text
    out.write_text("<!doctype html><title>my notes</title>", encoding="utf-8")
    code, told, text = report("--out", out, out=out)
    assert code == 1 and told.count("\n") == 1 and str(out) in told and "my notes" in text
    code, told, _ = report("--out", tmp_path / "pages")
    assert code == 1 and "is a folder" in told and [path.name for path in out.parent.iterdir()] == ["mine.html"]


def test_vectors_that_are_given_may_lack_controls_and_directions(report, record):
    for own in record["models"].values():
        own |= {"controls": {}, "confusion": None, "ranked": None, "curves": {}}
    record["differences"] = []
    code, _, text = report()
    seen = Parser(text).open[0]
    heads = [node.text for node in seen.all("h2")]
    assert code == 0 and heads == ["Warnings", "Figures", "How it was made"]


def test_names_that_are_no_utf8_do_not_stop_a_page(report, record):
    record["models"] = {"caf\udce9": record["models"][FIRST]}
    record["differences"] = []
    code, _, text = report()
    assert code == 0 and "caf\\udce9" in text


def test_what_a_page_is_made_of_is_installed_with_the_package():
    listed = (ROOT / "setup.py").read_text(encoding="utf-8")
    for name in ("page.html", "page.css"):
        assert (ROOT / "spclap" / "evaluate" / name).is_file() and f'"{name}"' in listed
    assert '"jinja2"' in listed
