"""The ESPnet side of the models: batch in, (loss, stats, weight) out; validation over whole sets."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch.nn import functional as F
from tqdm import tqdm

from spclap.data.pack import ClipPack
from spclap.engine.iterators import Batch, as_they_are, collate, moved
from spclap.errors import DataError
from spclap.evaluate.captioning import TextSimilarity
from spclap.evaluate.description import spatial_accuracy
from spclap.evaluate.protocols import Embeddings, assignment, retrieval
from spclap.model.blocks import ClauseTargets, distance
from spclap.model.captioner import Captioner
from spclap.model.direction_masks import LearnedMasks, mask_loss
from spclap.model.features import level_factor
from spclap.model.loss import gather, symmetric_info_nce
from spclap.model.seld import Seld, seld_loss
from spclap.model.spatial_clap import SpatialClap, build
from spclap.scene.caption import from_left_to_right
from spclap.scene.directions import DIRECTIONS
from spclap.scene.meaning import fits
from spclap.scene.rooms import RirBank
from spclap.scene.scene import Scene
from spclap.scene.spatialize import spatialize


def fast_bfloat16(gpu: bool) -> bool:
    """Whether bfloat16 multiplies faster than float32 here: on a GPU since Ampere, or a CPU with AMX."""
    if gpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    cpu = Path("/proc/cpuinfo")
    return cpu.is_file() and "amx_bf16" in cpu.read_text()


class SceneModel(AbsESPnetModel):
    """What all models share: mixtures are rendered on the device that trains, encoders may run in bfloat16."""

    def __init__(self, bfloat16: bool):
        super().__init__()
        self.bfloat16 = bfloat16

    def autocast(self, batch: dict) -> torch.autocast:
        """Context in which losses run the encoders; scoring stays in float32."""
        return torch.autocast(batch["dry"].device.type, torch.bfloat16, enabled=self.bfloat16)

    def collect_feats(self, **batch) -> dict[str, torch.Tensor]:
        return {}

    def stereo(self, batch: dict) -> torch.Tensor:
        """(N, 2, T) recordings of a batch."""
        with torch.no_grad():
            return spatialize(batch["dry"], batch["rirs"], batch["pairs"])

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Figures over all batches together."""
        raise NotImplementedError


class ClapModel(SceneModel):
    """What hears with a Spatial-CLAP, `clap`."""

    clap: SpatialClap

    @torch.no_grad()
    def embed_scenes(self, scenes: list[Scene], pack: ClipPack, bank: RirBank, samples: int, what: str) -> np.ndarray:
        """Audio vectors (n, dim) of scenes of any RIR bank; `what` names the progress bar."""
        rows = []
        for first in tqdm(range(0, len(scenes), 32), desc=what):
            _, batch = collate(as_they_are(scenes[first : first + 32]), pack, bank, samples)
            rows.append(self.clap.embed_audio(self.stereo(moved(batch, self.clap.logit_scale.device))).cpu())
        return torch.cat(rows).numpy()


class ClapTraining(ClapModel):
    """Contrastive training of Spatial-CLAP.

    `clause_weight` times two more losses are added unless it is 0: the contrastive loss of the audio with
    `ClauseTargets`, and the distance of the text vectors from these.
    """

    def __init__(self, clap: SpatialClap, bfloat16: bool, clause_weight: float = 0.0):
        super().__init__(bfloat16)
        self.clap, self.clause_weight = clap, clause_weight
        sizes = {"inputs": clap.text_encoder.dim, "dim": clap.dim}
        self.clauses = build("clause_weight", ClauseTargets, sizes) if clause_weight else None

    def targets(self, clauses: list[tuple]) -> torch.Tensor:
        """(N, dim) of the sources of N items, each source a (caption, direction index)."""
        flat = [(caption, item, direction) for item, sources in enumerate(clauses) for caption, direction in sources]
        captions = list(dict.fromkeys(caption for caption, *_ in flat))  # each is encoded once
        device = self.clap.logit_scale.device
        ids = self.clap.text_encoder.tokenize(captions).to(device)
        places = torch.tensor([(captions.index(caption), *place) for caption, *place in flat], device=device)
        caption, item, direction = places.unbind(1)
        return self.clauses(self.clap.text_encoder(ids)[caption], item, direction)

    def contrast(self, audio: torch.Tensor, text: torch.Tensor, batch: dict) -> torch.Tensor:
        """InfoNCE over all ranks of audio (N, dim) of unit length and text (N, dim) of any."""
        text = F.normalize(text.float(), dim=1)
        audio, text, said, true = (gather(x) for x in (audio.float(), text, batch["said"], batch["true"]))
        return symmetric_info_nce(audio, text, fits(said, true), self.clap.scale())

    def forward(self, **batch) -> tuple[torch.Tensor, dict, torch.Tensor]:
        ids = self.clap.text_encoder.tokenize(batch["captions"]).to(batch["dry"].device)
        stereo = self.stereo(batch)
        with self.autocast(batch):
            audio, text = self.clap.embed_audio(stereo), self.clap.text_vectors(ids)
            targets = self.targets(batch["clauses"]) if self.clauses else None
        loss = self.contrast(audio, text, batch)
        stats = {"contrastive": loss.detach(), "scale": self.clap.scale().detach()}
        if targets is not None:
            apart = self.contrast(audio, targets, batch)
            away = distance(text.float(), targets.float().detach())
            stats.update(clauses=apart.detach(), distance=away.detach())
            loss = loss + self.clause_weight * (apart + away)
        stats["loss"] = loss.detach()
        return force_gatherable((loss, stats, len(batch["captions"])), loss.device)

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """R@1 both ways and content-space assignment in percent; `score` is their mean."""
        device = self.clap.logit_scale.device
        groups: dict[int, Embeddings] = {}
        for _, batch in batches:
            batch = moved(batch, device)
            scenes = batch["scenes"]
            audio = self.clap.embed_audio(self.stereo(batch), batch.get("content")).cpu().numpy()
            groups.setdefault(scenes[0].size, Embeddings(self.clap)).add(scenes, audio)
        stats = {}
        for size, embeddings in groups.items():
            a2t, t2a, _ = retrieval(embeddings)
            stats[f"r1_{size}src"] = 50 * float((a2t == 0).mean() + (t2a == 0).mean())
            if size > 1:
                stats[f"assignment_{size}src"] = 100 * float(assignment(embeddings).mean())
        stats["score"] = sum(stats.values()) / len(stats)
        return stats


class StructuredTraining(ClapTraining):
    """One source a scene; the content half of the space is contrasted over contents, the other over directions."""

    def contrast(self, audio: torch.Tensor, text: torch.Tensor, batch: dict) -> torch.Tensor:
        if any(len(sources) != 1 for sources in batch["clauses"]):
            raise DataError("fusion structured has one content and one direction a recording; batch must be {1: ...}")
        said, true = gather(batch["said"]), gather(batch["true"])
        items, places = torch.arange(len(said), device=said.device), said[..., 0].argmax(dim=1)
        content = fits(said[items, places][:, None], true[items, places][:, None])
        losses = []
        for half, same in enumerate((content, places[:, None] == places)):
            halves = (gather(F.normalize(x.float().chunk(2, dim=1)[half], dim=1)) for x in (audio, text))
            losses.append(symmetric_info_nce(*halves, same, self.clap.scale()))
        return sum(losses)


class CaptionTraining(ClapModel):
    """Training of a caption decoder on the audio vectors of a frozen model.

    `keep` says whether training scenes come again: their vectors, as those of validation scenes, are kept.
    """

    def __init__(self, clap: SpatialClap, captioner: Captioner, bfloat16: bool, keep: bool):
        super().__init__(bfloat16)
        self.clap, self.captioner, self.keep = clap.requires_grad_(False), captioner, keep
        self.known: dict[str, torch.Tensor] = {}

    def train(self, mode: bool = True) -> "CaptionTraining":
        super().train(mode)
        self.clap.eval()
        return self

    @torch.no_grad()
    def vectors(self, ids: list[str], batch: dict) -> torch.Tensor:
        """(N, dim) of scenes with these ids."""
        if all(scene in self.known for scene in ids):
            return torch.stack([self.known[scene] for scene in ids])
        with self.autocast(batch):
            found = self.clap.embed_audio(self.stereo(batch)).float()
        if self.keep or not self.training:
            self.known.update(zip(ids, found, strict=True))
        return found

    def forward(self, utt_id: list[str], **batch) -> tuple[torch.Tensor, dict, torch.Tensor]:
        vectors = self.vectors(utt_id, batch)
        captions = [from_left_to_right([(what, DIRECTIONS[i]) for what, i in item]) for item in batch["clauses"]]
        with self.autocast(batch):
            loss = self.captioner(vectors, captions)
        tokens = sum(map(len, self.captioner.encode(captions)))  # what the mean is over, on each rank
        return force_gatherable((loss, {"loss": loss.detach()}, tokens), loss.device)

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Spatial description accuracy of greedy captions in percent; `score` is its mean over numbers of sources."""
        device, similarity = next(self.parameters()).device, TextSimilarity()
        found: dict[int, list[bool]] = defaultdict(list)
        for ids, batch in batches:
            batch = moved(batch, device)
            said = self.captioner.generate(self.vectors(ids, batch))
            for scene, caption in zip(batch["scenes"], said, strict=True):
                sources = [(source.every_caption, source.direction) for source in scene.sources]
                found[scene.size].append(spatial_accuracy(sources, caption, similarity))
        stats = {f"spatial_accuracy_{size}src": 100 * float(np.mean(right)) for size, right in found.items()}
        return {**stats, "score": sum(stats.values()) / len(stats)}


class MaskTraining(SceneModel):
    """Pre-training of the masks of directions on ideal ratio masks."""

    def __init__(self, spatial_encoder: LearnedMasks, bfloat16: bool):
        super().__init__(bfloat16)
        self.spatial_encoder = spatial_encoder

    def loss(self, batch: dict) -> torch.Tensor:
        """Over all ranks."""
        stereo, front = self.stereo(batch), self.spatial_encoder.front
        factor = level_factor(stereo)
        with self.autocast(batch):
            logits = self.spatial_encoder.logits(factor * stereo)
        magnitudes = torch.zeros_like(logits, dtype=torch.float32)
        for place in range(batch["pairs"].shape[1]):
            alone = spatialize(batch["dry"], batch["rirs"], batch["pairs"][:, place : place + 1])
            heard = front.to_mel(front.magnitude(front.spectra(factor * alone)))
            present = [row for row, sources in enumerate(batch["clauses"]) if place < len(sources)]
            directions = [batch["clauses"][row][place][1] for row in present]
            magnitudes[present, directions] += heard[present]
        return mask_loss(gather(logits.float()), gather(magnitudes))

    def forward(self, **batch) -> tuple[torch.Tensor, dict, torch.Tensor]:
        loss = self.loss(batch)
        return force_gatherable((loss, {"loss": loss.detach()}, len(batch["captions"])), loss.device)

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Mean loss over scenes; `score` is minus that."""
        device, total, count = next(self.parameters()).device, 0.0, 0
        for _, batch in batches:
            batch = moved(batch, device)
            total += float(self.loss(batch)) * len(batch["scenes"])
            count += len(batch["scenes"])
        return {"loss": total / count, "score": -total / count}


class SeldTraining(SceneModel):
    """SELD pre-training of the spatial encoder; `classes_of` are the classes of each clip."""

    def __init__(self, seld: Seld, classes_of: dict[str, tuple[int, ...]], bfloat16: bool):
        super().__init__(bfloat16)
        self.seld, self.classes_of = seld, classes_of

    def targets(self, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """Activity (N, C) and azimuth (N, C) for `seld_loss`; clips without a class are left out.

        With one source every class points at it: whatever it is taken for, that is where it is.
        """
        active = torch.zeros(len(batch["clips"]), self.seld.classes)
        azimuth = torch.full_like(active, float("nan"))
        for row, (clips, azimuths) in enumerate(zip(batch["clips"], batch["azimuths"], strict=True)):
            if len(azimuths) == 1:
                azimuth[row] = azimuths[0]
            for clip, angle in zip(clips, azimuths, strict=True):
                for index in self.classes_of.get(clip, ()):
                    azimuth[row, index] = float("nan") if active[row, index] else angle
                    active[row, index] = 1
        return active, azimuth

    def losses(self, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
        """Event and direction losses of a batch, over all ranks."""
        stereo = self.stereo(batch)
        with self.autocast(batch):
            activity, vectors = self.seld(stereo)
        targets = (target.to(stereo.device) for target in self.targets(batch))
        return seld_loss(*(gather(x) for x in (activity.float(), vectors.float(), *targets)))

    def forward(self, **batch) -> tuple[torch.Tensor, dict, torch.Tensor]:
        event, direction = self.losses(batch)
        loss = event + direction
        stats = {"loss": loss.detach(), "event": event.detach(), "direction": direction.detach()}
        return force_gatherable((loss, stats, len(batch["captions"])), loss.device)

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Mean losses over scenes; `score` is minus their sum."""
        device, losses = next(self.parameters()).device, []
        for _, batch in batches:
            batch = moved(batch, device)
            losses.append(torch.stack(self.losses(batch)).expand(len(batch["scenes"]), 2))
        event, direction = torch.cat(losses).mean(dim=0).tolist()
        return {"event": event, "direction": direction, "loss": event + direction, "score": -event - direction}
