"""How content and space become one audio vector. Each fusion is built with the two encoders it is to use, and called as
`fusion(stereo (N, 2, T) of one level, content (N, content dim) or None) -> (N, dim)`."""

from spclap.model.fusion.concat import Concat
from spclap.model.fusion.directions import Directions
from spclap.model.fusion.frames import Frames

FUSIONS = {"concat": Concat, "directions": Directions, "frames": Frames}
