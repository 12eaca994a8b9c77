"""Spatialization against physics and against scipy."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pyroomacoustics as pra
import pytest
import torch
from conftest import RATE, ROOMS
from scipy.signal import fftconvolve

from spclap.data.pack import ClipPack, write_pack
from spclap.scene import rooms
from spclap.scene.rirs import Listener, room_rirs
from spclap.scene.rooms import simulate_room, write_bank
from spclap.scene.scene import Source
from spclap.scene.spatialize import dry_parts, dry_window, render, spatialize
from spclap.space.array import SPEED_OF_SOUND, array_of
from spclap.space.directions import DIRECTIONS, direction_of, zone

SIZE = np.array([6.0, 6.0, 3.0])
CENTER = np.array([3.0, 3.0, 1.5])


def listener(text="pair:0.17", yaw=0.7, middle=CENTER) -> Listener:
    return Listener(array_of(text), np.array(middle, dtype=float), yaw)


def source_at(hears: Listener, azimuth: float, distance: float, height: float) -> np.ndarray:
    """By the angle on a map of the room, clockwise from where the array looks."""
    angle = hears.yaw - np.deg2rad(azimuth)
    return np.array([*(hears.middle[:2] + distance * np.array([np.cos(angle), np.sin(angle)])), height])


def microphones(hears: Listener) -> np.ndarray:
    """(2, 3) m, left one first, by the same angle."""
    half = hears.array.spacing / 2
    return np.stack([source_at(hears, side, half, hears.middle[2]) for side in (-90, 90)])


def rirs_at(azimuths, distance=1.5, yaw=0.7, rt60=0.2):
    hears = listener(yaw=yaw)
    sources = np.stack([source_at(hears, azimuth, distance, 1.5) for azimuth in azimuths])
    return room_rirs(SIZE, rt60, hears, sources, 4096), microphones(hears), sources


def first_arrival(rir):
    peak = np.abs(rir).max()
    return int(np.argmax(np.abs(rir) > 0.5 * peak))


def test_arrival_time_difference_follows_geometry_at_37_azimuths():
    azimuths = np.linspace(-90, 90, 37)
    rirs, mics, sources = rirs_at(azimuths)
    for azimuth, rir, source in zip(azimuths, rirs, sources, strict=True):
        distances = np.linalg.norm(mics - source, axis=1)
        expected = (distances[1] - distances[0]) / SPEED_OF_SOUND * RATE
        direct = [np.argmax(np.abs(r[: first_arrival(r) + 8])) for r in rir]
        assert abs((direct[1] - direct[0]) - expected) <= 1, azimuth
        assert np.sign(np.round(expected)) == np.sign(np.round(-azimuth / 10)) or abs(expected) < 1


def test_a_source_on_the_left_reaches_the_left_channel_first_and_louder():
    rir = rirs_at([-80.0])[0][0]
    assert first_arrival(rir[0]) < first_arrival(rir[1])
    assert np.abs(rir[0]).max() > np.abs(rir[1]).max()


@pytest.mark.parametrize("text", ["pair:0.17", "ortf", "ms", "panned", "sphere:0.0875"])
def test_mirrored_source_swaps_the_channels(text):
    hears = listener(text, np.pi / 2)  # looking along +y in the middle of the room: the room is its own mirror
    sources = np.stack([source_at(hears, azimuth, 1.4, 1.2) for azimuth in (-35.0, 35.0)])
    left, right = room_rirs(SIZE, 0.2, hears, sources, 4096)
    np.testing.assert_allclose(left, right[::-1], atol=1e-5)
    assert np.abs(left - right).max() > 1e-3


@pytest.mark.parametrize("text", ["pair:0.17", "xy:90", "sphere:0.0875"])
@pytest.mark.parametrize("rt60", [0.15, 0.2, 0.26])
def test_decay_follows_rt60(rt60, text):
    size, hears = np.array([5.0, 4.0, 2.8]), listener(text, 0.3, [2.2, 1.9, 1.5])
    rirs = room_rirs(size, rt60, hears, np.array([[3.9, 2.9, 1.2]]), 8192)
    measured = pra.experimental.measure_rt60(rirs[0, 0], RATE, decay_db=20)
    assert measured == pytest.approx(rt60, rel=0.3)  # Sabine's formula is that good in small rooms


def test_one_array_hears_all_places_of_a_room_as_its_table_says():
    rirs, rows = simulate_room(ROOMS, "paper", "x", 4096, [3])
    again, _ = simulate_room(ROOMS, "paper", "x", 4096, [3])
    np.testing.assert_array_equal(rirs, again)
    assert len({(*row["middle"], row["yaw"], row["array"]) for row in rows}) == 1
    for rir, row in zip(rirs, rows, strict=True):
        hears = listener(row["array"], row["yaw"], row["middle"])
        distance = np.linalg.norm(microphones(hears) - row["source"], axis=1)
        lead = (distance[1] - distance[0]) / SPEED_OF_SOUND * RATE
        direct = [np.argmax(np.abs(r[: first_arrival(r) + 8])) for r in rir]
        assert abs((direct[1] - direct[0]) - lead) <= 1
        sine = np.clip((distance[0] - distance[1]) / 0.17, -1, 1)
        assert row["azimuth"] == pytest.approx(np.rad2deg(np.arcsin(sine)), abs=3 + 8 * abs(sine) ** 20)
        assert direction_of(row["azimuth"]) == row["direction"]
        assert np.all(row["source"] > 0) and np.all(row["source"] < row["size"])


def test_a_source_above_the_array_lies_nearer_to_its_middle_plane_than_the_map_says():
    hears = listener()
    up = source_at(hears, 80.0, 1.0, CENTER[2] + 1.0)
    assert hears.lateral(up) == pytest.approx(np.rad2deg(np.arcsin(np.sin(np.deg2rad(80)) / 2**0.5)))
    assert hears.lateral(source_at(hears, 80.0, 1.0, CENTER[2])) == pytest.approx(80)


def test_rooms_are_drawn_evenly_and_simulated_with_what_their_table_says(monkeypatch):
    asked = []

    def simulated(size, rt60, hears, sources, taps):
        asked.extend((*size, rt60, str(hears.array), *hears.middle, hears.yaw, *source) for source in sources)
        return np.ones((len(sources), 2, taps), np.float32)

    monkeypatch.setattr(rooms, "room_rirs", simulated)
    conf = replace(ROOMS, arrays={"pair:0.15-0.2": 3, "ortf": 1})
    table = [row for seed in range(160) for row in simulate_room(conf, "paper", "x", 8, [seed])[1]]
    said = [(*r["size"], r["rt60"], r["array"], *r["middle"], r["yaw"], *r["source"]) for r in table]
    assert asked == said
    each = table[:: 5 * conf.places_per_direction]
    assert np.mean([row["array"] == "ortf" for row in each]) == pytest.approx(0.25, abs=0.1)
    size = np.array([row["size"] for row in each])
    spacing = [float(row["array"].split(":")[1]) for row in each if row["array"] != "ortf"]
    away = [np.linalg.norm((row["source"] - row["middle"])[:2]) for row in table]
    heights = [row["source"][2] for row in table]
    for values, (low, high), near in (
        ([row["rt60"] for row in each], conf.rt60, 0.1), (size[:, 2], conf.height, 0.1), (spacing, [0.15, 0.2], 0.1),
        (heights, conf.source_height, 0.1), ([row["yaw"] for row in each], [0, 2 * np.pi], 0.1),
        (size[:, 0], conf.length, 0.2), (size[:, 1], conf.width, 0.2), (away, conf.distance, 0.15),
    ):  # fmt: skip
        assert low - 1e-6 <= min(values) and max(values) <= high + 1e-6
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=near * (high - low))
        assert np.std(values) == pytest.approx((high - low) / 12**0.5, rel=0.25)
    for direction in DIRECTIONS:
        low, high = zone(direction)
        found = [row["azimuth"] for row in table if row["direction"] == direction]
        assert low <= min(found) and max(found) <= high and np.std(found) > (high - low) / 5


def test_a_room_with_a_longer_rt60_decays_longer():
    """Energy after 60 ms, of rooms of one size."""
    late = []
    for rt60 in (0.15, 0.2, 0.25):
        conf = replace(ROOMS, rt60=[rt60, rt60], length=[5.0, 5.0], width=[4.0, 4.0], height=[2.8, 2.8])
        rirs, _ = simulate_room(conf, "paper", "x", 4096, [1])
        late.append(np.square(rirs[..., round(0.06 * RATE) :]).sum() / np.square(rirs).sum())
    assert late[1] > 1.5 * late[0] and late[2] > 1.5 * late[1]


def test_table_on_disk_fits_the_bank(bank):
    assert len(bank.table) == 3 * 5 * ROOMS.places_per_direction
    for room in bank.rooms():
        assert len(bank.rows(room, "front")) == ROOMS.places_per_direction
    assert len(json.loads(bank.table.source[0])) == 3


def test_number_of_processes_changes_nothing(tmp_path):
    conf = replace(ROOMS, count={"train": 1}, arrays={"sphere:0.07-0.1": 1})
    for nj in (1, 2):
        write_bank(tmp_path / str(nj), "train", {"paper": ROOMS, "other": conf}, 0.256, [7], nj)
    for name in ("rirs.npy", "table.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_splits_share_no_room(corpus):
    tables = {split: corpus.bank(split).table for split in ("train", "valid", "test")}
    for what in ("room", "size", "rt60", "source"):
        for one, other in itertools.combinations(tables, 2):
            assert not set(tables[one][what]) & set(tables[other][what])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("rt60", [0.26], "rt60 is"),
        ("length", [7.0, 4.0], "in order"),
        ("distance", 1.5, "must be .low, high."),
        ("arrays", {}, "at least one share above 0"),
        ("arrays", {"pair:0.17": 0}, "share above 0"),
        ("arrays", {"pair:0.1-0.9": 1}, "outside a room"),
        ("arrays", {"pear:0.1": 1}, "is none of: ortf"),
        ("mic_height", [2.0, 2.7], "outside a room"),
        ("count", {"train": 0}, "it must be split: rooms, 1 or more, see `train`"),
    ],
)
def test_rooms_that_cannot_be_are_refused(key, value, message):
    with pytest.raises(ValueError, match=message):
        replace(ROOMS, **{key: value})


def test_equals_a_loop_of_scipy_convolutions():
    rng = np.random.default_rng(0)
    dry, rirs = rng.standard_normal((3, 5000)).astype("f"), rng.standard_normal((3, 2, 700)).astype("f")
    pairs = [[(0, 0), (1, 1), (2, 2)], [(1, 0), (0, 1), (2, 2)], [(2, 1), (-1, -1), (-1, -1)]]
    got = spatialize(torch.from_numpy(dry), torch.from_numpy(rirs), torch.tensor(pairs)).numpy()
    for item, row in zip(got, pairs, strict=True):
        expected = sum(fftconvolve(dry[c][None], rirs[p], axes=1)[:, :5000] for c, p in row if c >= 0)
        np.testing.assert_allclose(item, expected, atol=2e-3)


def test_mixture_is_the_sum_of_its_images_and_permutations_move_images(sampler, pack, bank):
    scene = sampler.draw(np.random.default_rng(5), 3, "x")
    dry, rirs, _ = dry_parts([(scene, [(0, 1, 2)])], pack, bank, RATE)
    images = {(c, p): spatialize(dry, rirs, torch.tensor([[(c, p)]]))[0] for c in range(3) for p in range(3)}
    for permutation in scene.permutations():
        mixture = render(scene, pack, bank, RATE, permutation)
        expected = sum(images[clip, place] for place, clip in enumerate(permutation))
        torch.testing.assert_close(mixture, expected, atol=1e-5, rtol=1e-4)


def test_rendering_twice_is_bit_identical(sampler, pack, bank):
    scene = sampler.draw(np.random.default_rng(6), 2, "x")
    assert torch.equal(render(scene, pack, bank, RATE), render(scene, pack, bank, RATE))


def test_scene_size_in_a_batch_changes_nothing(sampler, pack, bank):
    one, two = (sampler.draw(np.random.default_rng(n), n, "x") for n in (1, 2))
    both = spatialize(*dry_parts([(one, [(0,)]), (two, two.permutations())], pack, bank, RATE))
    torch.testing.assert_close(both[0], render(one, pack, bank, RATE))
    torch.testing.assert_close(both[2], render(two, pack, bank, RATE, (1, 0)))


@pytest.mark.parametrize(("seconds", "first"), [(4.0, 0.25), (5.0, 0.0), (9.0, 0.0)])
def test_clips_that_tell_a_story_keep_its_order(seconds, first, tmp_path):
    """A ramp shows where its window begins."""
    ramp = np.linspace(0.1, 1.0, round(seconds * RATE), dtype="f")
    write_pack(tmp_path, [("ramp", ramp)])
    window = dry_window(ClipPack(tmp_path), Source("ramp", "", ("x",), 0, "front", 0.0, 0.25, 0.0), 10 * RATE)
    begins = ramp[round(first * len(ramp))]
    assert window[0] / window[: len(ramp)].max() == pytest.approx(begins, rel=1e-4)


@pytest.mark.parametrize("start", [0.0, 0.3, 0.999])
def test_long_clips_are_heard_from_anywhere_to_their_end(start, tmp_path):
    """`start` is a share of where a window can begin."""
    noise = np.random.default_rng(0).standard_normal(3 * RATE).astype("f")
    write_pack(tmp_path, [("other", noise[::-1].copy()), ("noise", noise)])
    window = dry_window(ClipPack(tmp_path), Source("noise", "", ("x",), 0, "front", 0.0, start, 0.0), RATE)
    first = int(start * 2 * RATE)
    heard = noise[first : first + RATE]
    np.testing.assert_allclose(window, 0.1 * heard / np.sqrt(np.mean(heard**2)), rtol=1e-4, atol=1e-6)


def test_windows_of_short_clips_repeat_and_have_one_level(pack, clips):
    short = min(pack.ids, key=pack.length)
    loud = Source(short, "", ("x",), 0, "front", 0.0, 0.3, 0.0)
    window = dry_window(pack, loud, 3 * RATE)
    length = pack.length(short)
    np.testing.assert_array_equal(window[:length], window[length : 2 * length])
    assert np.sqrt(np.mean(window**2)) == pytest.approx(0.1, rel=1e-3)
    quiet = dry_window(pack, replace(loud, gain_db=-6.0), 3 * RATE)
    assert 20 * np.log10(np.std(quiet) / np.std(window)) == pytest.approx(-6, abs=0.01)
