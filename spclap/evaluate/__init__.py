"""Scoring of models; `spatial_clap_score` scores what others generate."""

__all__ = ["spatial_clap_score"]


def __getattr__(name: str) -> object:
    if name in __all__:  # here, so that the parts of this package load without scipy
        from spclap.evaluate.generated import spatial_clap_score

        return spatial_clap_score
    raise AttributeError(f"module {__name__} has no attribute {name}")
