"""What was heard, as HTML: a half circle, words with bars, ranked captions. Colours are those of page.css."""

import textwrap
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from spclap.space.directions import DIRECTIONS, center, zone

OUTER, INNER, NAMES = 178, 34, 186  # radii of sectors, of the listener, and of the directions' names
WORDS_AT = 124  # radius of the words
LINE, WIDTH, LINES = 18, 13, 3  # height of a line, letters in it, lines in a sector
CLEAR = 0.5  # of the best cosine of all: below it a sector is left without words
SHOWN = 3  # words of a direction below the half circle

Scores = Sequence[tuple[str, float]]


def at(radius: float, azimuth: float) -> tuple[float, float]:
    """x and y, which points down, of a place around a listener who looks up; degrees, right positive."""
    angle = np.deg2rad(azimuth)
    return radius * float(np.sin(angle)), -radius * float(np.cos(angle))


def strength(cosine: float) -> float:
    """0 to 1, how full a colour is: twice the square, so that 0.7 is full and the 0.2 of an empty place is faint."""
    return min(2 * max(cosine, 0.0) ** 2, 1.0)


def half_circle(heard: Mapping[str, Scores]) -> str:
    """The five directions around a listener, the best word in each where anything is heard; args as `by_direction`."""
    best = {direction: scores[0] for direction, scores in heard.items()}
    clear = CLEAR * max(cosine for _, cosine in best.values())
    said = {direction: word if cosine >= clear else "" for direction, (word, cosine) in best.items()}
    told = "; ".join(f"{direction}: {word or 'nothing'}" for direction, word in said.items())
    sectors = "".join(_sector(direction, said[direction], best[direction][1]) for direction in DIRECTIONS)
    return (
        f'<svg class="around" viewBox="-200 -208 400 226" role="img" aria-label="{escape(told)}">{sectors}'
        f'<circle class="listener" r="14"/><path class="listener" d="M -6 -12 L 0 -22 L 6 -12 Z"/></svg>'
    )


def _sector(direction: str, word: str, cosine: float) -> str:
    low, high = zone(direction)
    corners = [at(OUTER, low), at(OUTER, high), at(INNER, high), at(INNER, low)]
    a, b, c, d = (f"{x:.1f} {y:.1f}" for x, y in corners)
    outline = f"M {a} A {OUTER} {OUTER} 0 0 1 {b} L {c} A {INNER} {INNER} 0 0 0 {d} Z"
    x, y = at(NAMES, center(direction))
    turned = f"translate({x:.1f} {y:.1f}) rotate({center(direction):.0f})"
    return (
        f'<g data-direction="{direction}"><path class="sector" style="--share: {strength(cosine):.0%}" d="{outline}"/>'
        f'<text class="name" transform="{turned}">{direction}</text>'
        f"{_words(word, cosine, direction) if word else ''}</g>"
    )


def _words(word: str, cosine: float, direction: str) -> str:
    x, y = at(WORDS_AT, center(direction))
    lines = textwrap.wrap(word, WIDTH, max_lines=LINES, placeholder=" …")
    rows = "".join(f'<tspan x="{x:.1f}" dy="{LINE}">{escape(line)}</tspan>' for line in lines)
    below = f'<tspan class="cosine" x="{x:.1f}" dy="{LINE}">{cosine:.2f}</tspan>'
    return f'<text y="{y - LINE * (len(lines) + 1) / 2 - LINE / 4:.1f}">{rows}{below}</text>'


def bars(scores: Scores, kind: str) -> str:
    """A list of words or captions, each on a bar as long as its cosine."""
    rows = (
        f'<li style="--share: {min(max(cosine, 0), 1):.0%}"><bdi>{escape(text)}</bdi><i>{cosine:.3f}</i></li>'
        for text, cosine in scores
    )
    return f'<ol class="{kind}">{"".join(rows)}</ol>'


def by_direction(heard: Mapping[str, Scores]) -> str:
    """Args: heard, direction -> words with their cosines there, the best first."""
    parts = (f"<h4>{direction}</h4>{bars(heard[direction][:SHOWN], 'words')}" for direction in DIRECTIONS)
    return f'<div class="directions">{"".join(parts)}</div>'


def lines(texts: Sequence[str], kind: str) -> str:
    """Lines for people, nothing if there are none."""
    return "".join(f'<p class="{kind}">{escape(text)}</p>' for text in texts)
