"""Spatial-CLAP: an audio-text embedding that knows which sound is where (arXiv 2509.14785)."""

__version__ = "0.2.0"
