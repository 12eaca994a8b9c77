"""What could be had on scenes."""

from dataclasses import replace

import pytest
from conftest import ROOMS

from spclap.evaluate.ceilings import best_look, ceilings
from spclap.scene.bank import RirBank
from spclap.scene.rooms import write_bank
from spclap.scene.scene import Scene, Source
from spclap.space.directions import DIRECTIONS


def scene(row: int, direction: str, room: str, *more: Source) -> Scene:
    return Scene("s", room, (Source("dog", "a dog", ("dog",), row, direction, 0.0, 0.0, 0.0), *more))


@pytest.mark.parametrize("text", ["pair:0.17", "ortf", "sphere:0.0875"])
def test_the_direct_sound_tells_where_sources_of_a_room_are(tmp_path, text):
    conf = replace(ROOMS, count={"test": 3}, arrays={text: 1})
    write_bank(tmp_path, "test", {"paper": conf}, 0.256, [3], 1)
    bank = RirBank(tmp_path)
    right = [scene(row.Index, row.direction, row.room) for row in bank.table.itertuples()]
    assert ceilings(right, bank)["direct_sound"]["direction_1src"].mean() >= 90
    wrong = [
        scene(row.Index, DIRECTIONS[DIRECTIONS.index(row.direction) - 1], row.room) for row in bank.table.itertuples()
    ]
    assert ceilings(wrong, bank)["direct_sound"]["direction_1src"].mean() <= 10
    for row in bank.table.itertuples():
        assert abs(best_look(bank, row.Index, row.room) - row.azimuth) < (12 if abs(row.azimuth) < 60 else 25)


def test_shared_captions_take_from_assignment(bank):
    cow = Source("cow", "an animal", ("cow",), 0, "left", -60.0, 0.0, 0.0, captions=("a cow", "an animal"))
    ewe = Source("ewe", "an animal", ("sheep",), 1, "right", 60.0, 0.0, 0.0, captions=("a ewe", "an animal"))
    dog = Source("dog", "a dog", ("dog",), 1, "right", 60.0, 0.0, 0.0)
    pairs = [Scene("same", bank.rooms()[0], (cow, ewe)), Scene("other", bank.rooms()[0], (cow, dog))]
    assert ceilings(pairs, bank)["ceiling"]["assignment_2src"].tolist() == [0, 100]
