"""How content and space become one audio vector.

Each fusion is built for two encoders and a `dim`, and called as `fusion(content_encoder, spatial_encoder, stereo,
content)`: stereo (N, 2, T), content (N, content dim) of the mixtures if it is known, which those in `POOLED` use.
Returns (N, dim). `spatial_encoders` names those that it can work with.
"""

from spclap.model.fusion.concat import Concat
from spclap.model.fusion.content import Content
from spclap.model.fusion.directions import Directions
from spclap.model.fusion.frames import Frames
from spclap.model.fusion.structured import Structured

POOLED = {"concat": Concat, "content": Content, "structured": Structured}  # read one content vector a recording
FUSIONS = {**POOLED, "directions": Directions, "frames": Frames}
