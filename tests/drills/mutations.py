"""Break the code in one place at a time and see that a test notices; docs/mutations.md holds the last outcome.

python tests/drills/mutations.py [--only 3 17] [--list]

By hand, not in CI: some ten seconds a mutation. The repository is copied to a temporary folder; only the copy changes.
Prints a Markdown table and fails when a mutation survives, or when its line is not in the code any more.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from spclap.evaluate.markdown import table

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 300  # s for the tests of a mutation


class Mutation(NamedTuple):
    """`old`, which occurs once in spclap/`file`, becomes `new`; the `tests`, in tests/, should fail."""

    file: str
    old: str
    new: str
    breaks: str
    tests: str


SPLIT = "test_engine.py::test_training_hears_clips_and_rooms_of_the_training_split_alone"
HEARD = "test_heard.py"
READ = "test_frozen_layers.py"
SCENES = "test_scene.py test_spatialize.py -k 'not share_no_room and not number_of_processes'"
MODEL = "test_model.py"
TRAIN = 'corpus.sampler("train"), corpus.pack("train"), corpus.bank("train")'
TEST = TRAIN.replace("train", "test")
# fmt: off
SCORED = "test_score_any.py"
MUTATIONS = [Mutation(*fields) for fields in (
    # data
    ("engine/batches.py", 'corpus.sampler("train", rooms, sounds)', 'corpus.sampler("test", rooms, sounds)',
     "training draws clips and rooms from the test split", SPLIT),
    ("scene/corpus.py", "clips, rooms = load_datadir(self.data / split)",
     'clips, rooms = load_datadir(self.data / "test")', "training draws clips from the test split", SPLIT),
    ("scene/corpus.py", 'self.data / "rirs" / split', 'self.data / "rirs" / "test"', "rooms of the test split", SPLIT),
    ("scene/corpus.py", 'self.dump / "clips" / split', 'self.dump / "clips" / "test"',
     "sounds of the test split", SPLIT),
    ("engine/made.py", TRAIN, TEST, "statistics of the test split",
     "test_engine.py::test_what_is_made_for_parts_is_made_of_the_training_split_alone"),
    ("data/datadir.py", ', ("original recording", clip.source))', ")", "splits may share a recording",
     "test_datadir.py"),
    ("data/datadir.py", 'tuple(value.split(","))', 'tuple(sorted(value.split(",")))', "labels lose their order",
     "test_datadir.py"),
    ("data/pack.py", "[first + start : first + stop]", "[first : first + stop - start]",
     "parts of a clip are its beginning", "test_pack.py::test_pack_equals_clips"),
    ("data/audio.py", "mono = audio.mean(axis=1)", "mono = audio[:, 0]", "stereo clips lose a channel",
     "test_audio.py"),
    ("data/audio.py", "else soxr.resample(frames, ", "else soxr.resample(frames[:, ::-1], ",
     "resampling exchanges left and right", "test_inference.py"),
    ("data/audio.py", "else soxr.resample(frames, ", "else soxr.resample(frames / frames.std(axis=0), ",
     "resampling normalises the channels apart", "test_inference.py"),
    ("data/stamp.py", "if not same:", "if False:", "changed outputs are not told", "test_stamp.py"),
    ("data/stamp.py", 'return {**stored, "outputs": 0} == {"complete": complete, **self.inputs, "outputs": 0}',
     'return stored.get("complete") == complete', "other inputs count as the same", "test_stamp.py"),
    ("data/lock.py", "fcntl.LOCK_EX", "fcntl.LOCK_SH", "two hold a lock", "test_files.py -k lock"),
    # scene
    ("scene/sounds.py", '"gain_db": float(rng.uniform(-self.level_db, self.level_db))', '"gain_db": 0.0',
     "all sources have one level", SCENES),
    ("scene/sampler.py", "room = self.rooms[rng.integers(len(self.rooms))]", "room = self.rooms[0]",
     "training hears one room", SCENES),
    ("scene/sampler.py", "size=count, replace=recurring", "size=count, replace=True",
     "two sources of a kind", SCENES),
    ("scene/rooms.py", "rt60, array, margin = float(rng.uniform(*conf.rt60))",
     "rt60, array, margin = float(conf.rt60[0])", "RT60 is the lowest", SCENES),
    ("scene/rirs.py", "inverse_sabine(rt60, size)", "inverse_sabine(0.2, size)", "decay ignores the RT60", SCENES),
    ("scene/rirs.py", "[ahead[1], -ahead[0], 0.0]", "[-ahead[1], ahead[0], 0.0]",
     "left and right exchanged in rooms", SCENES),
    ("scene/rooms.py", "direction_of(listener.lateral(position)) == direction", "True",
     "sources above the array keep the word of the map", SCENES),
    ("scene/rirs.py", "zip(array.positions, np.deg2rad(array.axes)", "zip(-array.positions, np.deg2rad(array.axes)",
     "channels of RIRs exchanged", SCENES),
    ("scene/rirs.py", "distance, gains * pattern, 1", "distance, gains, 1", "cardioids hear all round",
     "test_array.py"),
    ("scene/grid.py", "self.rooms[rng.integers(len(self.rooms))]", "self.rooms[0]",
     "Table 1's grid in one room", "test_table1.py -k 'not program'"),
    ("scene/grid.py", "int(rng.choice(self.bank.rows(room, direction)))", "int(self.bank.rows(room, direction)[0])",
     "Table 1's grid at the first place of a direction", "test_table1.py -k 'not program'"),
    ("scene/spatialize.py", "np.float32(SOURCE_RMS / rms * ", "np.float32(SOURCE_RMS * ",
     "loud clips stay loud", SCENES),
    ("scene/spatialize.py", "first = int(source.start * (length - wanted))", "first = 0",
     "long clips are heard from their beginning", SCENES),
    ("scene/spatialize.py", "int(source.start * length) if length < LOOPED else 0", "0",
     "short clips always begin at their beginning", SCENES),
    ("scene/spatialize.py", "spectrum[present] += ", "spectrum[present] = ", "the last source alone is heard", SCENES),
    ("scene/spatialize.py", "(clip >= 0).nonzero()", "(clip >= -1).nonzero()", "absent sources are heard", SCENES),
    ("scene/spatialize.py", "[:: -1 if scene.mirrored else 1]", "", "mirrored words, not channels", "test_augment.py"),
    ("scene/augment.py", "DIRECTIONS[-1 - DIRECTIONS.index(source.direction)]", "source.direction",
     "mirrored channels, not words", "test_augment.py"),
    ("scene/caption.py", "{clip: place for place, clip in enumerate(permutation)}", "dict(enumerate(permutation))",
     "captions of the inverse permutation", SCENES),
    ("scene/scene.py", "any(clip == place for", "all(clip == place for", "negatives are no derangements", SCENES),
    ("scene/meaning.py", 'for caption in source.every_caption]', 'for caption in (source.caption,)]',
     "other captions of a clip count as wrong", "test_meaning.py"),
    ("scene/rirs.py", "weight * (1 - rest)", "weight", "images fall twice between samples", "test_array.py"),
    ("scene/rirs.py", "[np.cos(look), np.sin(look), 0.0]", "[np.cos(look), -np.sin(look), 0.0]",
     "cardioids look to the other side", "test_array.py"),
    ("scene/sampler.py", "bank.rooms(settings)", "bank.rooms()", "models train in rooms of every setting",
     "test_engine.py -k setting"),
    ("engine/batches.py", "a.mirrored() if scene.mirrored else a", "a", "a mirrored head is told as it is",
     "test_augment.py"),
    # space
    ("space/array.py", "early = vectors[:, 1:2] * self.positions",
     "early = -vectors[:, 1:2] * self.positions", "pairs are mirrored", "test_array.py"),
    ("scene/heads.py", "np.abs(head.azimuth) < 90.01", "np.abs(head.azimuth) < 89", "the sides of heads are left out",
     "test_heads.py"),
    ("bin/simulate.py", "seed=conf.seed, heads=heads", "seed=conf.seed", "rooms of a head that has changed are kept",
     "test_heads.py"),
    ("bin/train.py", "name: getattr(trained, name) for", "name: [] for",
     "captioners hear in other rooms than their model", "test_captioning.py -k rooms"),
    ("engine/clap.py", "if model.clap.told and not belongs(model.clap.array, learned):", "if False:",
     "a model assumes an array that it never learned", "test_training_options.py -k assumes"),
    ("space/array.py", "(2 * order + 1)", "(order + 1)", "a sphere sums too little of its higher orders",
     "test_array.py"),
    ("space/array.py", "rows += [cross.real, -cross.imag]", "rows += [cross.real, cross.imag]", "matches are mirrored",
     "test_array.py"),
    ("space/array.py", "/ power.sum(axis=1, keepdims=True)", "/ power.max(axis=1, keepdims=True)",
     "looks of unequal power", "test_array.py"),
    ("space/family.py", "low + (high - low) * share", "low", "arrays are the smallest of their family",
     "test_array.py"),
    ("space/sofa.py", "np.arctan2(-left, ahead)", "np.arctan2(left, ahead)", "measured heads are mirrored",
     "test_sofa.py"),
    ("space/sofa.py", "[0, 1] if places", "[0, 1] if True or places", "the order of receivers is not read",
     "test_sofa.py"),
    ("space/measured.py", "if not (level > 0 and delay > 0)", "if not (level > 0 or delay > 0)",
     "an ear that is louder or earlier is enough", "test_sofa.py"),
    # features
    ("model/features.py", "(self.maps(stereo) - self.mean) / self.std", "self.maps(stereo)",
     "statistics are not used", MODEL),
    ("model/features.py", "spectrum[:, 0] * spectrum[:, 1].conj()", "spectrum[:, 1] * spectrum[:, 0].conj()",
     "sign of the phase difference", MODEL),
    ("model/features.py", "mean(dim=(1, 2), keepdim=True)", "mean(dim=2, keepdim=True)",
     "level of each channel apart", MODEL),
    ("model/direction_masks.py", "match_table(array, self.looks, FREQUENCIES) for array in arrays",
     "match_table(arrays[0], self.looks, FREQUENCIES) for array in arrays", "all items are told the first array",
     "test_direction_masks.py"),
    ("model/direction_masks.py", "imag[:, i] * real[:, j] - real[:, i] * imag[:, j]",
     "real[:, i] * imag[:, j] - imag[:, i] * real[:, j]", "masks are mirrored", "test_direction_masks.py"),
    ("model/direction_masks.py", "self.bands[bins, number", "self.bands[bins.start + 1 : bins.stop + 1, number",
     "bands of matches one bin too low", "test_direction_masks.py"),
    # model
    ("model/fusion/directions.py", "masked = masks * spectrum[:, None]", "masked = masks.ceil() * spectrum[:, None]",
     "masks are all or nothing", "test_blocks.py"),
    ("model/fusion/directions.py", "masks * (maps - silence)[:, None]", "(0 * masks + 1) * (maps - silence)[:, None]",
     "every direction hears the whole mixture (with depth)", "test_blocks.py"),
    ("model/fusion/directions.py", "content_encoder.spectrum(stereo.mean(dim=1))",
     "content_encoder.spectrum(stereo[:, 0])", "content of the left channel alone", "test_blocks.py"),
    ("model/fusion/directions.py", "energy / energy.sum(dim=1, keepdim=True).clamp_min(1e-9)", "energy",
     "energy instead of its share", "test_blocks.py"),
    ("model/blocks.py", "level = (share + 1e-4)", "level = (0 * share + 1e-4)", "ContentBlocks ignores the share",
     "test_blocks.py"),
    ("model/blocks.py", " * F.softplus(self.gate(level))", "", "no gate", "test_blocks.py"),
    ("model/blocks.py", 'scores.masked_fill(mask[:, None] == 0, float("-inf"))', "scores", "queries read padding",
     "test_blocks.py"),
    ("model/text_encoder.py", "weights = mask.unsqueeze(-1).to(states.dtype)",
     "weights = torch.ones_like(mask).unsqueeze(-1).to(states.dtype)", "padding counts in pooling",
     MODEL),
    ("model/spatial_clap.py", "return F.normalize(self.fusion(*heard), dim=1)", "return vectors", "audio of any length",
     MODEL),
    ("model/spatial_clap.py", "getattr(self, name).requires_grad_(False)", "getattr(self, name).requires_grad_(True)",
     "frozen parts are trained", MODEL),
    ("model/spatial_clap.py", "getattr(self, name).eval()", "getattr(self, name)",
     "frozen parts gather batch statistics", MODEL),
    ("model/spatial_clap.py", ".clamp(max=math.log(100))", "", "temperature not clamped", MODEL),
    ("model/captioner.py", "labels.new_full(prefix.shape[:2], IGNORED)", "labels.new_full(prefix.shape[:2], 0)",
     "the caption loss counts the prefix", "test_captioning.py -k loss"),
    ("model/checkpoints.py", "if not torch.isfinite(value).all():", "if False:", "weights of NaN are used",
     "test_checkpoints.py -k not_finite"),
    ("model/folders.py", "if sha256(path) != digest:", "if False:", "changed files of a model are used",
     "test_checkpoints.py -k changed"),
    # loss and engine
    ("model/loss.py", '.masked_fill(others, float("-inf"))', "", "true captions are negatives", MODEL),
    ("model/loss.py", "masked_fill(others,", "masked_fill(others.T,", "fits transposed", MODEL),
    ("model/loss.py", "(F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2",
     "F.cross_entropy(logits, target)", "audio to text alone is learned", MODEL),
    ("engine/clap.py", "self.clause_weight * (apart + away)", "apart + away", "clause_weight is ignored",
     "test_engine.py -k clause"),
    ("engine/clap.py", "enumerate((content, places[:, None] == places))",
     "enumerate((places[:, None] == places, content))",
     "halves of Structured exchanged", "test_structured.py"),
    ("engine/seld.py", 'float("nan") if active[row, index] else angle', "angle", "one class at two places",
     "test_seld.py"),
    ("engine/batches.py", "self.draw([self.epoch, step, index]", "self.draw([step, index]",
     "every epoch has the same scenes", "test_engine.py -k negatives_change"),
    ("engine/batches.py", "range(self.rank, len(sizes), self.world)", "range(len(sizes))",
     "every rank trains on all scenes", "test_engine.py -k negatives_change"),
    ("engine/heard.py", "if part[0].size == scenes[0].size", "", "vectors of other scenes", HEARD),
    ("engine/heard.py", "every.index(permutation) for", "0 for", "all permutations sound like the first", HEARD),
    ("engine/heard.py", "default_rng([self.fresh.seed, self.epoch, step])", "default_rng([self.fresh.seed, step])",
     "every epoch has the same batches", HEARD),
    ("engine/heard.py", "if number % self.fresh.world == self.fresh.rank:", "if True:", "ranks have all scenes", HEARD),
    ("engine/heard.py", "self.folder = corpus.dump / \"heard\" / self._digest()",
     "self.folder = corpus.dump / \"heard\"", "models with other encoders share what was heard", HEARD),
    ("engine/heard.py", "every[rng.integers(len(every))]", "every[0]",
     "SCL alone hears swapped scenes", HEARD),
    ("engine/masks.py", "factor[rows] * alone", "level_factor(alone) * alone",
     "shares of sources that are all of one level", "test_direction_masks.py"),
    ("model/frozen_layers.py", "    model.eval()\n    try", "    try", "what is kept has dropout", READ),
    ("model/frozen_layers.py", "(mark, row) not in self.known", "True", "captions are read again", READ),
    ("model/frozen_layers.py", "masked_fill(mask == 0", "masked_fill(mask == 2", "padding is read", READ),
    ("engine/clap.py",
     "groups.setdefault(batch.scenes[0].size, Embeddings(OfClap(self.clap))).add(batch.scenes, audio)",
     "groups[batch.scenes[0].size] = Embeddings(OfClap(self.clap))\n"
     "            groups[batch.scenes[0].size].add(batch.scenes, audio)",
     "validation within a batch", "test_engine.py -k validation_figures"),
    ("engine/scene_task.py", 'CRITERION = ["valid", "score", "max"]', 'CRITERION = ["valid", "score", "min"]',
     "the worst epochs are kept", "test_engine.py -k average_of_the_best"),
    # evaluate
    ("evaluate/metrics.py", "~(similarity < best)", "(similarity > best)", "ties count for the model",
     "test_metrics.py"),
    ("evaluate/metrics.py", "ranks(scores, np.arange(scores.shape[1]) == target[:, None]) == 0",
     "scores.argmax(axis=1) == target", "the first of equal choices wins", "test_metrics.py"),
    ("evaluate/protocols.py", "_any_of(fits(said, true[rows]), owner, len(texts))",
     "np.arange(len(texts)) == who[rows, None]",
     "true captions count as errors", "test_protocols.py"),
    ("evaluate/protocols.py", "return products[:, [unique[caption] for caption in captions]]",
     "return self.audio[rows] @ self.text(captions).T", "equal captions do not tie", "test_protocols.py"),
    ("evaluate/protocols.py", "for p in scene.permutations()] for", "for p in scene.permutations()[::-1]] for",
     "another permutation counts as true", "test_protocols.py"),
    ("evaluate/protocols.py", "options.index(truth) for", "options.index(truth[::-1]) for",
     "directions of two sources exchanged", "test_protocols.py"),
    ("evaluate/protocols.py", "DIRECTIONS.index(true), DIRECTIONS.index(chosen)",
     "DIRECTIONS.index(chosen), DIRECTIONS.index(true)", "confusion transposed", "test_protocols.py"),
    ("evaluate/intervals.py", "(shared > 0).astype(float)", 'sparse.eye_array(len(recordings), format="csr")',
     "intervals over scenes", "test_intervals.py"),
    ("evaluate/intervals.py", "deviations) * self.correction", "deviations)", "no correction of few recordings",
     "test_intervals.py"),
    ("evaluate/intervals.py", "(sizes**2).sum() ** 2 / (sizes**4).sum() - 1", "len(recordings) - 1",
     "degrees of freedom of scenes", "test_intervals.py"),
    ("evaluate/intervals.py", "if whole is None:", "if True:", "intervals beyond 0 and 100%", "test_intervals.py"),
    ("evaluate/intervals.py", "return self.mean(first - second)", "return self.mean(np.sort(first) - np.sort(second))",
     "differences are not paired", "test_intervals.py"),
    ("evaluate/figures.py", "(values < k)", "(values <= k)", "R@1 counts the second", "test_results.py"),
    ("evaluate/figures.py", "np.mean([values[metric] for values in seeds], axis=0)", "seeds[0][metric]",
     "pooled figures are of one seed", "test_results.py"),
    ("evaluate/seld.py", "= all(direction_of(a)", "= any(direction_of(a)", "one right direction is enough",
     "test_protocols.py"),
    ("evaluate/ceilings.py", "spectrum[0] * spectrum[1].conj()", "spectrum[1] * spectrum[0].conj()",
     "ceiling of mirrored places",
     "test_ceilings.py"),
    ("evaluate/description.py", "bool(best[True] > best[False])", "bool(best[True] >= best[False])",
     "ties of matches count for the captioner", "test_description.py"),
    # inference
    ("data/audio.py", "np.square(frames[-new:], ", "np.square(frames, ", "overlapping windows count twice",
     "test_inference.py"),
    ("listening.py", "heard.energy * heard.vector", "heard.vector", "windows weigh the same", "test_inference.py"),
    ("data/audio.py", "frames = without_dc(frames)\n", "frames = frames.copy()\n", "DC is kept", "test_inference.py"),
    ("data/audio.py", "if level >= SILENCE_DB:", "if level > -190:", "silence is exact zeros", "test_inference.py"),
    ("data/audio.py", "np.resize(audio, (wanted, 2)).T", "np.pad(audio, ((0, wanted - len(audio)), (0, 0))).T",
     "short recordings are followed by silence", "test_inference.py"),
    # precision
    ("engine/precision.py", '"threads": torch.get_num_threads(), ', "", "another machine's timing is taken over",
     "test_precision.py"),
    ("engine/precision.py", "args.bfloat16 = wanted", "pass", "a resumed training times anew", "test_precision.py"),
    # sounds, words, what heard it
    ("space/wording.py", "for k in self.order or range(len(contents))", "for k in range(len(contents))",
     "clauses keep their order", "test_wording.py"),
    ("space/wording.py", "HOURS[-1 - hour_of(found[2]) % 12]", "found[2]", "hours have no mirror image",
     "test_wording.py"),
    ("space/words.py", "if rng.random() < self.reworded else", "if True else", "all is said in other words",
     "test_wording.py"),
    ("scene/meaning.py", "row = PLACES + place if clip in scene.wording.unplaced else where", "row = where",
     "what has no place has one", "test_meaning.py"),
    ("model/blocks.py", "DIRECTION_COUNT**-0.5)", "1.0)", "what has no place is louder than what has one",
     "test_engine.py -k clause_targets"),
    ("scene/recorder.py", "(torch.fft.rfft(heard) + level * room)", "torch.fft.rfft(heard)", "rooms have no noise",
     "test_recorder.py"),
    ("scene/recorder.py", "spectrum = response * (", "spectrum = (", "channels have one gain", "test_recorder.py"),
    ("space/diffuse.py", "covariance / power +", "np.einsum('fcd->fcd', covariance * np.eye(2)) / power +",
     "noise of the room is that of the microphones", "test_recorder.py"),
    ("scene/spatialize.py", "source.onset * (samples - len(sound))", "0 * samples", "all begins at once",
     "test_sounds.py"),
    ("scene/spatialize.py", "sound[-FADE:] *= ramp[::-1]", "pass", "what is cut ends in a click", "test_sounds.py"),
    ("scene/sampler.py", "< count and recurring:", "< count and False:", "a label recurs", "test_sounds.py"),
    ("engine/masks.py", "spectra(factor[rows] * alone)", "spectra(alone)",
     "sources alone have another level than the recording", "test_sounds.py"),
    ("model/content_encoder.py", "(found * weights).sum(dim=2) / weights.sum(dim=2)", "found.mean(2)",
     "silence counts as much as sound", "test_blocks.py"),
    ("model/recognise.py", "self.fitting(array, *heard).max(dim=0)", "self.fitting(array, *heard).min(dim=0)",
     "the worst look counts", "test_doctor.py"),
    ("model/recognise.py", "for x in (spectra, white))", "for x in (spectra, spectra))", "a diffuse field is a wave",
     "test_doctor.py"),
    ("inference.py", "beams)[0] if heard.something else None",
     "beams)[0] if heard.vector is not None else None", "noise has a caption",
     "test_cli.py"),
    # any model scored
    ("evaluate/frozen.py", "scale = min(1.0, PEAK / max(float(np.abs(wave).max()), 1e-9))",
     "scale = PEAK / np.abs(wave).max(axis=1, keepdims=True)", "channels of a frozen scene are scaled apart",
     "test_frozen.py"),
    ("evaluate/frozen.py", '    check_sums(folder, ["audio"], "set of scenes", "make it anew")\n', "",
     "a changed set is read", "test_frozen.py"),
    ("evaluate/controls.py", "return waves[:, ::-1]", "return waves", "exchanged channels are not", SCORED),
    ("evaluate/controls.py", "azimuth=-s.azimuth", "azimuth=s.azimuth", "mirrored words, not places", SCORED),
    ("evaluate/controls.py", "np.roll(x, 1, axis=0)", "x", "the control hears the scene itself", SCORED),
    ("evaluate/record.py", 'figure["low"] > chance(metric)', 'figure["low"] > 100', "no warning of a control", SCORED),
    ("evaluate/record.py", "values[rows] = ", "values[: len(rows)] = ",
     "curves with the intervals of other scenes", SCORED),
    ("evaluate/adapters.py", "arrays[row % len(arrays)]", "arrays[0]", "cues of the first array alone", SCORED),
    ("evaluate/metrics.py", "return vectors / lengths", "return vectors", "products of vectors for cosines",
     "test_protocols.py"),
    ("listening.py", "else [arrays[row] for row in rows])\n            for", "else arrays[:1])\n            for",
     "a batch is heard through the first array", "test_inference.py"),
    ("evaluate/generated.py", "< 1 - SAME", "< 2", "a prompt's own recordings are among its others",
     "test_generated.py"),
    ("evaluate/generated.py", "of_prompts - of_prompts.mean()", "of_prompts * 0", "hubs among prompts widen intervals",
     "test_generated.py"),
    ("evaluate/generated.py", "control.difference[1] > 0", "control.difference[0] > 0",
     "what is above a control by chance is not warned of", "test_generated.py"),
    # what people ask
    ("zero_shot.py", "shares.sum(axis=1), [", "shares.max(axis=1), [", "a sound is only where it is likeliest",
     "test_zero_shot.py"),
    ("zero_shot.py", "logits[:, DIRECTIONS.index(where)]", "logits.max(axis=1)", "what sounds there sounds anywhere",
     "test_zero_shot.py"),
    ("zero_shot.py", "cosines.astype(float) / temperature", "cosines.astype(float)", "locate has no temperature",
     "test_zero_shot.py"),
    ("evaluate/calibration.py", "np.abs(gaps).sum()", "np.abs(gaps.sum())", "bins too sure and too unsure cancel",
     "test_calibration.py"),
    ("data/recordings.py", '{"array": samples.data, ', '{"array": np.stack([samples.data.mean(0)] * 2), ',
     "decoders of others average the channels", "test_recordings.py"),
    ("data/audio.py", "size if last is None else hop", "size", "windows that overlap count twice",
     "test_recordings.py"),
    ("listening.py", 'next(iter(self.doubts)) if len(self.doubts) == 1 else ""', 'max(self.doubts, default="")',
     "one window of equal channels makes a mono recording", "test_wrong_input.py -k tell_no_place"),
    ("timeline.py", "if filled[k]\n", "if True\n", "no direction is ever empty",
     "test_timeline.py -k 'not any_length'"),
    ("model/folders.py", "return here.parents[1] if cached", "return here.parents[3] if cached",
     "links of the hub's cache may lead out of a repository", "test_hub.py"),
    ("cli.py", "sys.exit(2)", "sys.exit(1)", "a command that makes no sense ends as a bad file does", "test_verbs.py"),
    # one seam
    ("evaluate/record.py", "says(metric, asked) == says(metric, protocol)", "True", "two protocols share a column",
     "test_results.py"),
    ("evaluate/protocols.py", "[direction for direction in DIRECTIONS if direction not in where]", "list(DIRECTIONS)",
     "a sound is put where another one sounds", SCORED),
    # words for kinds without a clip, drawn lengths, what packages carry
    ("model/frozen_layers.py", "key=order.__getitem__", "key=lengths.__getitem__",
     "captions are given each other's states", READ),
    ("model/class_scores.py", "(1 - part) * away.square()", "0 * away.square()", "means that differ are no spread",
     "test_class_scores.py"),
    ("model/class_scores.py", "return F.layer_norm(self._scores(content), (self.count,))",
     "return self._scores(content)",
     "near silence every class is far below its average", "test_class_scores.py"),
    ("model/class_scores.py", "chosen - chosen.mean(dim=-1, keepdim=True)", "chosen",
     "a caption is near to every class", "test_class_scores.py"),
    ("engine/clap.py", "scores.learn(*batch.heard)", "scores.learn(*self.renaming(batch).heard)",
     "what nobody recorded counts among averages", "test_class_scores.py"),
    ("model/class_scores.py", "content[share > HEARD]", "content[share > -1]", "silence counts, too",
     "test_class_scores.py"),
    ("engine/renamed.py", "content[at] = self.scores", "content[at[0], 0] = self.scores", "all that is renamed is left",
     "test_class_scores.py"),
    ("engine/renamed.py", "left = iter(drawn)", "left = iter(drawn[::-1])", "sounds are told by each other's names",
     "test_class_scores.py"),
    ("engine/heard.py", "np.argsort(order)", "np.arange(len(order))", "scenes of drawn lengths are heard out of order",
     "test_heard.py -k every_permutation"),
    ("model/checkpoints.py", "if packaged and packaged != _digest(model, state):", "if False:",
     "other weights of a package are taken", "test_released.py"),
    ("model/checkpoints.py", "rtol=1e-5, atol=1e-7", "rtol=1e-1, atol=1e-7", "small changes of training are lost",
     "test_released.py"),
    ("verbs/given.py", "path.suffix.lower() in SUFFIXES or any(", "any(",
     "other recordings are overwritten by a result", "test_verbs.py -k overwritten"),
    ("verbs/given.py", "path.samefile(file)", "False",
     "what is heard is overwritten by a result", "test_verbs.py -k overwritten"),
    ("search/index.py", "sampling_rate, self.listing.array)", "sampling_rate)",
     "a query in sound is heard through another array", "test_search.py -k sounds_like"),
    ("search/listing.py", "os.walk(folder, onerror=refused)", "os.walk(folder)",
     "folders that may not be read are passed over", "test_search.py -k may_not_be_read"),
    ("search/build.py", "{*names, *files}", "{*names}",
     "what a folder that may not be read holds counts as gone", "test_search.py -k may_not_be_read"),
    ("space/array.py", 'np.format_float_positional(float(size), trim="-")', 'f"{size:g}"',
     "sizes of arrays are rounded", "test_array.py -k hears_the_same"),
    ("space/array.py", "if self.omni != 0.5:", "if False:", "an index is continued through cardioids",
     "test_array.py -k hears_the_same"),
    ("data/decode.py", "!= 1:", "== 0:",
     "the first of several audio tracks is taken", "test_audio.py -k several_audio"),
    ("demo/handlers.py", 'own = folder / "exchanged"', "own = folder", "uploads are removed while they are seen",
     "test_demo.py -k old_exchanged"),
    ("verbs/given.py", "    with sensible():\n        args.array", "    if True:\n        args.array",
     "a wrong array counts as a bad file", "test_verbs.py -k ends_with_2"),
)]
# fmt: on


def copied(folder: Path) -> None:
    """The files that git knows, as they are in the working tree."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def pytest(folder: Path, tests: str) -> tuple[int, str]:
    """Exit code and the first test that failed."""
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", tests)]
    words = [f"tests/{word}" if ".py" in word else word for word in words]
    # no bytecode: a mutation may leave size and second of a file as they were
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *words]
    try:
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return 1, f"no end after {LIMIT} s"
    found = re.search(r"^(?:FAILED|ERROR) (?:tests/)?([^\s\[]+)", run.stdout, re.MULTILINE)
    return run.returncode, found[1] if found else (run.stdout + run.stderr).strip().splitlines()[-1]


def outcome(folder: Path, mutation: Mutation) -> tuple[bool, str]:
    """Whether a test noticed, and which."""
    path = folder / "spclap" / mutation.file
    plain = path.read_text(encoding="utf-8")
    if (count := plain.count(mutation.old)) != 1:
        return False, f"NO MUTATION: {count} times in the code"
    path.write_text(plain.replace(mutation.old, mutation.new), encoding="utf-8")
    code, what = pytest(folder, mutation.tests)
    path.write_text(plain, encoding="utf-8")
    if code > 1:
        return False, f"NO TEST RAN: {what}"
    return code == 1, what.split("::")[-1] if code else "SURVIVED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="numbers of mutations to try")
    parser.add_argument("--list", action="store_true", help="tell the mutations and try none")
    args = parser.parse_args()
    chosen = args.only or range(1, len(MUTATIONS) + 1)
    if args.list:
        print(table(["#", "file", "what it breaks"], [(n, *MUTATIONS[n - 1][:4:3]) for n in chosen]))
        return
    rows, survived = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copied(folder)
        for tests in dict.fromkeys(MUTATIONS[n - 1].tests for n in chosen):
            code, what = pytest(folder, tests)
            if code:
                sys.exit(f"error: {tests}: fails without any mutation: {what}")
        for n in chosen:
            began = time.monotonic()
            killed, what = outcome(folder, MUTATIONS[n - 1])
            survived += [] if killed else [n]
            rows.append((n, MUTATIONS[n - 1].file, MUTATIONS[n - 1].breaks, what))
            print(n, what, f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(table(["#", "file", "what it breaks", "noticed by"], rows))
    print(f"\n{len(rows) - len(survived)} of {len(rows)} noticed")
    sys.exit(bool(survived))


if __name__ == "__main__":
    main()
