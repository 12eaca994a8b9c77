"""Which array heard a recording: the one of which plane waves explain best what its channels have in common.

Where one wave is all that a time-frequency cell holds, its covariance has rank one, and `match` says how well a look of
an array explains it (see `match_table`). A segment has one look for all its frequencies; of all looks the best counts.
The sum over cells of -log(1 - match + SLACK) is, but for constants, the log likelihood of a wave in noise of unknown
level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from spclap.model.direction_masks import MatchedSpectrum
from spclap.space.array import Array, array_of
from spclap.space.diffuse import diffuse_factors

KINDS = {
    "spaced": [f"pair:{spacing:g}" for spacing in (0.06, 0.08, 0.1, 0.12, 0.15, 0.17, 0.2, 0.25, 0.3, 0.4)],
    "near-coincident": ["ortf", "cardioids:0.2:90", "cardioids:0.3:90"],
    "coincident": ["xy:70", "xy:90", "xy:110", "xy:130", "ms", "panned"],
    "head": [f"sphere:{radius:g}" for radius in (0.07, 0.08, 0.0875, 0.095, 0.1)],
}
SEGMENT = 8  # frames of which a covariance is made
BINS = slice(5, 250)  # 156 Hz to 7.8 kHz
LOUD, RANK_ONE, SLACK = 0.03, 0.9, 0.1  # of a bin's loudest segment; of the powers' difference over their sum
CELLS = 100  # of one wave, fewer say nothing
WAVES = 2  # bins of one wave in one segment, fewer are noise


def covariances(spectra: torch.Tensor) -> torch.Tensor:
    """(N, 2, frames, bins) -> powers and cross-spectra in the order of `match_table`, (N, 4, segments, BINS)."""
    cross = spectra[:, 0] * spectra[:, 1].conj()
    rows = torch.stack([*spectra.abs().square().unbind(1), cross.real, cross.imag], dim=1)
    whole = rows.shape[2] // SEGMENT * SEGMENT
    return rows[:, :, :whole].unflatten(2, (-1, SEGMENT)).sum(dim=3)[..., BINS]


def anisotropy(powers: torch.Tensor) -> torch.Tensor:
    """(N, 4, ...) of `covariances` -> difference of the eigenvalues over their sum, 1 where there is one wave."""
    left, right, real, imag = powers.unbind(1)
    apart = ((left - right).square() + 4 * (real.square() + imag.square())).sqrt()
    return apart / (left + right).clamp_min(1e-20)


class Presence:
    """Whether anything but noise is heard: whether there are cells of one wave, as heard and with a diffuse field made
    white for the array. Noise from everywhere or of the microphones has none, however steady a source is."""

    def __init__(self):
        self.front = MatchedSpectrum([0.0])

    @torch.no_grad()
    def __call__(self, stereo: torch.Tensor, arrays: Sequence[Array]) -> torch.Tensor:
        """(N, 2, T), heard by `arrays`, that of each or one for all -> (N,) bool."""
        spectra = self.front.spectra(stereo)
        factors = torch.stack([diffuse_factors(array, spectra.shape[-1]).permute(2, 0, 1) for array in arrays])
        white = torch.einsum("nfcd,ndtf->nctf", torch.linalg.inv(factors).expand(len(stereo), -1, -1, -1), spectra)
        least = torch.minimum(*(anisotropy(covariances(x)) for x in (spectra, white)))
        return (least > RANK_ONE).sum(dim=2).amax(dim=1) >= WAVES


@dataclass(frozen=True)
class Recognised:
    """likelihoods: array -> mean log likelihood of a cell, those of KINDS; looks: array -> its most frequent look,
    degrees; cells: how many were of one wave."""

    likelihoods: dict[str, float]
    looks: dict[str, float]
    cells: int

    def best(self, kind: str) -> str:
        """The most likely array of a kind."""
        return max(KINDS[kind], key=self.likelihoods.__getitem__)

    @property
    def kinds(self) -> dict[str, float]:
        """Kind -> likelihood of its most likely array, the most likely kind first."""
        found = {kind: self.likelihoods[self.best(kind)] for kind in KINDS}
        return dict(sorted(found.items(), key=lambda kind: -kind[1]))


class Recogniser:
    """Of two channels at 16 kHz."""

    def __init__(self):
        self.front = MatchedSpectrum(np.linspace(-90, 90, 37))
        self.arrays: dict[str, Array] = {name: array_of(name) for kind in KINDS.values() for name in kind}

    @torch.no_grad()
    def __call__(self, stereo: torch.Tensor) -> Recognised:
        """(2, T) -> what is found."""
        heard = self.covariances(stereo)
        likelihoods, looks, cells = {}, {}, heard[2].sum()
        for name, array in self.arrays.items():
            best, look = self.fitting(array, *heard).max(dim=0)
            likelihoods[name] = float(best.sum() / cells.clamp_min(1))
            votes = torch.zeros(len(self.front.looks)).index_add(0, look, heard[2].sum(dim=1))
            looks[name] = self.front.looks[int(votes.argmax())]
        return Recognised(likelihoods, looks, int(cells))

    def covariances(self, stereo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of (2, T): powers and cross-spectra (4, segments, bins), powers together and whether a loud cell is of one
        wave (segments, bins)."""
        powers = covariances(self.front.spectra(stereo[None]))[0]
        total = powers[0] + powers[1]
        loud = total > LOUD * total.amax(dim=0)
        return powers, total, (loud & (anisotropy(powers[None])[0] > RANK_ONE)).float()

    def fitting(self, array: Array, powers: torch.Tensor, total: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        """(looks, segments), log likelihood of the cells of a segment if all are of one wave from a look."""
        table = self.front.tables([array])[0][..., BINS]
        match = torch.einsum("psf,kpf->ksf", powers, table) / total.clamp_min(1e-12)
        return (-(1 - match + SLACK).clamp_min(SLACK).log() * cells).sum(dim=2)
