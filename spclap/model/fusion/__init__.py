"""How content and space become one audio vector.

Each fusion is built for two encoders and a `dim`. `hear(content_encoder, spatial_encoder, stereo, arrays)`:
stereo (N, 2, T), heard by `arrays`, N or one for all -> tensors (N, ...), all that the encoders hear of it;
`fusion(*heard)` -> (N, dim). While the encoders are frozen the first need be done once for a recording.
`spatial_encoders` names those that a fusion can work with.
"""

from spclap.model.fusion.concat import Concat
from spclap.model.fusion.content import Content
from spclap.model.fusion.directions import Directions
from spclap.model.fusion.frames import Frames
from spclap.model.fusion.structured import Structured

FUSIONS = {
    "concat": Concat, "content": Content, "directions": Directions, "frames": Frames, "structured": Structured
}  # fmt: skip
