"""Verbs of the `spclap` command, a file each: `add` says what a verb takes, `run` does it."""
