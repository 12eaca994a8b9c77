"""The page itself, made with Gradio (extra `demo`), which nothing else imports."""

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import gradio
from gradio import processing_utils
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from spclap.demo.examples import EXAMPLES, Example, write_examples
from spclap.demo.handlers import STALE, exchanged, look
from spclap.demo.hearing import Ear

HOST = "127.0.0.1"
LOCAL = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])  # no other site may pose as this one
MOST_BYTES = 50 * 2**20  # of an upload
ARRAYS = {
    "let the recording tell": "",
    "pair:0.17 (two omnis, 17 cm)": "pair:0.17",
    "ortf": "ortf",
    "xy:90 (cardioids at one point)": "xy:90",
    "cardioids:0.30:90 (30 cm, 90 degrees)": "cardioids:0.30:90",
    "ms (middle and side)": "ms",
    "panned (a mixing desk)": "panned",
    "sphere:0.0875 (any head or dummy)": "sphere:0.0875",
}
WORDS = """a dog barks
a cat meows
a bird chirps
a rooster crows
a cow moos
an insect buzzes
a person talks
footsteps
a door closes
someone knocks
a bell rings
a telephone rings
an alarm sounds
a siren wails
a car passes
an engine runs
a train passes
an aeroplane flies
rain falls
water is poured
thunder rolls
wind howls
a guitar plays
a piano plays
a drum beats
a trumpet plays
a hammer strikes
glass clinks
a clock ticks"""
SIZES = "or other sizes: pair:0.08 (metres), xy:110 (degrees)"
WIDTH = 320  # px of a column at least
HERE = Path(__file__).parent
FONTS = [gradio.themes.Font(name) for name in ("Segoe UI", "Roboto", "Helvetica Neue", "Liberation Sans", "sans-serif")]
THEME = gradio.themes.Base(primary_hue="blue", neutral_hue="gray", font=FONTS, font_mono=FONTS[-1:])


async def _refused(*_, **__) -> str:
    raise gradio.Error("addresses are not opened; upload the recording")


class Parts(NamedTuple):
    """What the page is made of."""

    recording: gradio.Audio
    exchange: gradio.Button
    array: gradio.Dropdown
    notes: gradio.HTML
    around: gradio.HTML
    examples: list[gradio.Button]
    captions: gradio.Textbox
    ranked: gradio.HTML
    directions: gradio.HTML
    words: gradio.Textbox


def build(ear: Ear, folder: Path) -> gradio.Blocks:
    """The page; all that is uploaded and written lies in `folder`."""
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    processing_utils.async_ssrf_protected_download = _refused  # else an address in place of an upload is fetched
    paths = write_examples(folder)
    with gradio.Blocks(title="spclap", analytics_enabled=False, delete_cache=(STALE, STALE)) as page:
        _wire(page, _laid_out(paths[0], EXAMPLES[0]), ear, folder, paths)
    return page


def _laid_out(path: Path, example: Example) -> Parts:
    """Components in their places, with an example in them."""
    audio = {"type": "filepath", "editable": False, "buttons": ["download"], "elem_id": "recording"}
    choice = {"label": "What recorded it", "info": SIZES, "allow_custom_value": True, "elem_id": "array"}
    said = "\n".join(example.captions)
    gradio.Markdown("# Which sound is where?")
    with gradio.Row(equal_height=False):
        with gradio.Column(min_width=WIDTH):
            recording = gradio.Audio(str(path), label="Stereo recording", **audio)
            exchange = gradio.Button("⇄ Exchange left and right", variant="primary", elem_id="exchange")
            array = gradio.Dropdown(list(ARRAYS.items()), value=example.array, **choice)
        with gradio.Column(min_width=WIDTH):
            notes = gradio.HTML(elem_id="notes")
            around = gradio.HTML(elem_id="around")
            gradio.Markdown("Examples")
            with gradio.Row(elem_id="examples"):
                examples = [gradio.Button(example.name, size="sm") for example in EXAMPLES]
    with gradio.Row(equal_height=False):
        with gradio.Column(min_width=WIDTH):
            captions = gradio.Textbox(said, lines=3, max_lines=8, label="Captions, one a line", elem_id="captions")
        with gradio.Column(min_width=WIDTH):
            ranked = gradio.HTML(elem_id="ranked")
    directions = gradio.HTML(elem_id="directions")
    with gradio.Accordion("What to listen for", open=False, elem_id="listen"):
        words = gradio.Textbox(WORDS, lines=6, max_lines=12, label="Sounds, one a line", elem_id="words")
    return Parts(recording, exchange, array, notes, around, examples, captions, ranked, directions, words)


def _wire(page: gradio.Blocks, parts: Parts, ear: Ear, folder: Path, paths: list[Path]) -> None:
    """What happens when something is changed or clicked."""
    recording, array, captions = parts.recording, parts.array, parts.captions
    own = gradio.State("")  # the array that the person chose last; examples have theirs
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    seen = {
        "fn": partial(look, ear),
        "inputs": [recording, array, parts.words, captions],
        "outputs": [parts.notes, parts.around, parts.ranked, parts.directions],
        "concurrency_id": "ear",  # one at a time
        "concurrency_limit": 1,
        "show_progress": "minimal",
        "api_visibility": "private",
    }
    changed = [page.load, recording.clear, array.input, parts.words.change, captions.change]  # input misses pasted text
    gradio.on(changed, trigger_mode="always_last", **seen)
    array.input(_same, array, own, **quiet)
    recording.input(_same, own, array, **quiet).then(**seen)
    parts.exchange.click(partial(exchanged, folder=folder), recording, recording, **quiet).then(**seen)
    for button, example, path in zip(parts.examples, EXAMPLES, paths, strict=True):
        button.click(partial(_chosen, example, path), None, [recording, array, captions], **quiet).then(**seen)


def _same(value: str) -> str:
    return value


def _chosen(example: Example, path: Path) -> tuple[str, str, str]:
    return str(path), example.array, "\n".join(example.captions)


def serve(page: gradio.Blocks, port: int | None) -> str:
    """Begin to serve on this machine alone; the address. OSError if no port is free."""
    _, address, _ = page.queue(max_size=20).launch(
        server_name=HOST, server_port=port, share=False, prevent_thread_lock=True, quiet=True, ssr_mode=False,
        max_file_size=MOST_BYTES, allowed_paths=[], footer_links=[], enable_monitoring=False, mcp_server=False,
        pwa=False, app_kwargs={"middleware": [LOCAL]}, theme=THEME, css_paths=HERE / "page.css",
        head_paths=HERE / "head.html",
    )  # fmt: skip
    return address
