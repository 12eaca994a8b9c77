"""Captions with places: "a dog barks on the left side, and rain falls in front"."""

from collections.abc import Sequence

from spclap.scene.scene import Scene
from spclap.space.directions import DIRECTIONS, PHRASES


def join(parts: Sequence[str]) -> str:
    """Join the clauses of a mixture as the paper does ("..., and ...")."""
    if len(parts) == 1:
        return parts[0]
    return ", ".join(parts[:-1]) + ", and " + parts[-1]


def caption_at(contents: Sequence[str], directions: Sequence[str]) -> str:
    """Caption of `contents[k]` heard from `directions[k]`."""
    return join([f"{what} {PHRASES[where]}" for what, where in zip(contents, directions, strict=True)])


def from_left_to_right(clauses: Sequence[tuple[str, str]]) -> str:
    """Caption of (what, direction) clauses in the one order that can be heard: what captioners learn to say."""
    return caption_at(*zip(*sorted(clauses, key=lambda clause: DIRECTIONS.index(clause[1])), strict=True))


def scene_caption(scene: Scene, permutation: Sequence[int]) -> str:
    """Caption of a permutation of a scene.

    The clauses keep the order of the clips, whatever place they get, so a permutation changes the
    place words only and word order gives nothing away.
    """
    place_of = {clip: place for place, clip in enumerate(permutation)}
    contents = [source.caption for source in scene.sources]
    directions = [scene.sources[place_of[clip]].direction for clip in range(scene.size)]
    return caption_at(contents, directions)
