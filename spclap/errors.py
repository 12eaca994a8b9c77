"""The errors that users cause."""


class DataError(ValueError):
    """Input, configuration or stored output that cannot be used.

    The message names the file or key, the value, the limit and the next step. Programs print it as one
    line and exit with 1: line breaks, as in messages of other libraries, become semicolons.
    """

    def __init__(self, message: str):
        super().__init__("; ".join(line.strip() for line in message.splitlines() if line.strip()))


class Misuse(DataError):
    """A command line that makes no sense: programs exit with 2, as for options that there are not."""
