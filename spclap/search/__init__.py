"""Recordings of a folder, found by what is said to sound where: `update` hears them, `Index` searches."""

from spclap.search.build import Report, update
from spclap.search.index import Hit, Index

__all__ = ["Hit", "Index", "Report", "update"]
