"""Training through ESPnet2."""

from contextlib import redirect_stdout

with redirect_stdout(None):  # where it prints that there is no Flash Attention
    import espnet.nets.pytorch_backend.transformer.attention  # noqa: F401
