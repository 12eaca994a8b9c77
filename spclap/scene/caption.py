"""Captions with places: "a dog barks on the left side, and rain falls in front"."""

from collections.abc import Sequence

from spclap.scene.scene import Scene
from spclap.space.directions import DIRECTIONS
from spclap.space.wording import TEMPLATE


def from_left_to_right(clauses: Sequence[tuple[str, str]]) -> str:
    """Caption of (what, direction) clauses in the one order that can be heard: what captioners learn to say."""
    return TEMPLATE.caption(*zip(*sorted(clauses, key=lambda clause: DIRECTIONS.index(clause[1])), strict=True))


def scene_caption(scene: Scene, permutation: Sequence[int]) -> str:
    """Caption of a permutation of a scene, in the scene's wording.

    The clauses keep the order of the clips, whatever place they get, so a permutation changes the
    place words only and word order gives nothing away.
    """
    place_of = {clip: place for place, clip in enumerate(permutation)}
    contents = [source.caption for source in scene.sources]
    return scene.wording.caption(contents, [scene.sources[place_of[clip]].direction for clip in range(scene.size)])


def true_caption(scene: Scene) -> str:
    """Caption of a scene as it is."""
    return scene_caption(scene, range(scene.size))
