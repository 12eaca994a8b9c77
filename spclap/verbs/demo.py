"""spclap demo: a page on this machine to record, upload and look at which sound is where."""

import argparse
import logging
import os
import signal
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from spclap.errors import DataError, Misuse

EXAMPLE = "example: spclap demo"
SETTINGS = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def add(commands: argparse._SubParsersAction) -> None:
    what = "a page on this machine: record or upload stereo, see what is where, rank captions"
    verb = commands.add_parser("demo", help=what, epilog=EXAMPLE)
    verb.add_argument("--model", help="model directory; the released model if not given")
    verb.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    verb.add_argument("--port", type=int, help="a free one from 7860 on if not given")
    verb.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    if args.port is not None and not 1 <= args.port <= 65535:
        raise Misuse(f"--port {args.port}: a port is 1 to 65535; leave it out for a free one")
    if find_spec("gradio") is None:
        raise DataError("the page needs the package gradio; run pip install 'spclap[demo]'")
    os.environ |= SETTINGS  # read when gradio is imported
    from spclap.bin import Stopped
    from spclap.demo import page
    from spclap.demo.hearing import Ear
    from spclap.inference import SpatialCLAP

    ear = Ear(SpatialCLAP.from_pretrained(args.model, args.device))
    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio asks itself whether it is there
    with tempfile.TemporaryDirectory(prefix="spclap-demo-") as folder, suppress(Stopped):
        built = page.build(ear, Path(folder))
        try:
            print(f"{page.serve(built, args.port)} - Ctrl-C ends it", flush=True)
            signal.pause()
        finally:
            built.close(verbose=False)
