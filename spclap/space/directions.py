"""Five direction words on the frontal half plane (PAPER: cut at -54, -18, 18 and 54 degrees).

Azimuth is in degrees: 0 straight ahead, negative left, positive right, within [-90, 90].
"""

import bisect

DIRECTIONS = ("left", "front-left", "front", "front-right", "right")
EDGES = (-54.0, -18.0, 18.0, 54.0)
PHRASES = {
    "left": "on the left side",
    "front-left": "in the front-left",
    "front": "in front",
    "front-right": "in the front-right",
    "right": "on the right side",
}


def direction_of(azimuth: float) -> str:
    """Word for an azimuth in degrees; ValueError outside [-90, 90]."""
    if not -90 <= azimuth <= 90:
        raise ValueError(f"azimuth {azimuth} deg is outside [-90, 90]")
    return DIRECTIONS[bisect.bisect_right(EDGES, azimuth)]


def zone(direction: str) -> tuple[float, float]:
    """(low, high) azimuth in degrees of a direction word."""
    bounds = (-90.0, *EDGES, 90.0)
    index = DIRECTIONS.index(direction)
    return bounds[index], bounds[index + 1]


def center(direction: str) -> float:
    """Azimuth in degrees at the middle of a direction's zone."""
    low, high = zone(direction)
    return (low + high) / 2
