"""Measured heads as arrays, and banks of their responses, from files that the tests write."""

import numpy as np
import pytest
from programs import ROOT
from test_sofa import MAKERS, RATE, delay_of, late, toy_sofa

from spclap.bin.simulate import write_rooms
from spclap.data.config import load_config
from spclap.errors import DataError
from spclap.scene.bank import RirBank
from spclap.scene.conf import SimuConf
from spclap.scene.heads import MeasuredConf, diffuse_tail, write_head_bank
from spclap.space.array import array_of
from spclap.space.directions import DIRECTIONS, direction_of
from spclap.space.measured import Head
from spclap.space.sofa import read_head


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return toy_sofa(tmp_path_factory.mktemp("sofa") / "head.sofa")


def test_a_measured_head_is_an_array_and_mirrors(path, tmp_path):
    frequencies = np.fft.rfftfreq(512, 1 / RATE)
    head, looks = array_of(f"head:{path}"), np.arange(-80.0, 81, 20)
    responses = head.responses(looks, frequencies)
    slope = np.polyfit(frequencies[5:60], np.unwrap(np.angle(responses[:, 1] / responses[:, 0]), axis=1)[:, 5:60].T, 1)
    np.testing.assert_allclose(-slope[0] / 2 / np.pi, [late(azimuth) for azimuth in looks], atol=2e-5)
    np.testing.assert_allclose(head.mirrored().responses(-looks, frequencies)[:, ::-1], responses)
    measured_in_room = array_of(f"head:{toy_sofa(tmp_path / 'room.sofa', MAKERS['sources'])}")
    with pytest.raises(DataError, match="measured in a room"):
        measured_in_room.responses(looks, frequencies)


def test_bank_of_a_head_holds_every_direction_where_it_says(tmp_path, path):
    head = read_head(path, RATE)
    write_head_bank(tmp_path, head, MeasuredConf(str(path)), 4, 4096, [0])
    bank = RirBank(tmp_path)
    for room in bank.rooms():
        assert bank.array(room) == array_of(f"head:{path}")
        for direction in DIRECTIONS:
            (row,) = bank.rows(room, direction)
            azimuth = bank.table.azimuth[row]
            assert direction_of(azimuth) == direction
            assert delay_of(bank.rirs[row]) == pytest.approx(late(azimuth), abs=1.1 / RATE)
    write_head_bank(tmp_path, head, MeasuredConf(str(path)), 40, 4096, [0])
    assert {-90, 90} <= {round(azimuth) for azimuth in RirBank(tmp_path).table.azimuth}
    backwards = Head(head.responses[:3], np.array([120.0, 150, 180]), np.zeros(3))
    with pytest.raises(DataError, match="no response"):
        write_head_bank(tmp_path, backwards, MeasuredConf("x"), 1, 4096, [0])


def test_tail_has_the_level_and_decay_that_was_asked_for(tmp_path, path):
    head, conf = read_head(path, RATE), MeasuredConf(str(path), rt60=[0.2, 0.2], drr_db=[6.0, 6.0])
    write_head_bank(tmp_path, head, conf, 6, 4096, [0])
    rirs = np.array(RirBank(tmp_path).rirs)
    start = round(conf.tail_delay * RATE)
    direct, tail = np.square(rirs[..., :start]).sum((1, 2)), np.square(rirs[..., start:]).sum((1, 2))
    np.testing.assert_allclose(10 * np.log10(direct / tail), 6, atol=0.7)
    noise = diffuse_tail(head, 0.2, 4096, np.random.default_rng(0))
    energy = 10 * np.log10(np.square(noise).sum(axis=0)[::-1].cumsum()[::-1])  # Schroeder
    fall = np.polyfit(np.arange(200, 2200) / RATE, energy[200:2200], 1)[0]
    assert -60 / fall == pytest.approx(0.2, rel=0.1)


def test_rooms_are_made_anew_when_the_file_of_their_head_has_changed(tmp_path):
    path = toy_sofa(tmp_path / "head.sofa")
    (tmp_path / "over.yaml").write_text(
        f"settings: {{paper: {{count: {{train: 1, valid: 1, test: 1}}, arrays: {{'pair:0.17': 0, 'head:{path}': 1}}}}, "
        f"varied: {{count: {{train: 1}}, arrays: {{'sphere:0.07-0.10': 0}}}}}}"
    )
    conf = load_config(SimuConf, ROOT / "conf" / "simu.yaml", tmp_path / "over.yaml")
    file, made = tmp_path / "rirs" / "test" / "rirs.npy", []
    for change in (None, None, lambda sofa: setattr(sofa, "Data_IR", sofa.Data_IR * 0.5)):
        if change:
            toy_sofa(path, damage=change)
        write_rooms(tmp_path, conf, 1)
        made.append((file.stat().st_mtime_ns, np.abs(np.load(file)).max()))
    assert made[0] == made[1] and made[2][1] == pytest.approx(made[0][1] / 2)
