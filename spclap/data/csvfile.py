"""CSV files of corpora."""

import csv
from collections.abc import Sequence
from pathlib import Path

from spclap.errors import DataError


def read_csv(path: Path, columns: Sequence[str], how: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Head and (line, cells) of the rows that are not empty; a line is that on which a row ends.

    Raises DataError, which ends with `how` to get the file, for one that is missing, not UTF-8, not CSV or without
    rows, and for a head that lacks one of `columns`.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, cells) for cells in reader if cells]
    except FileNotFoundError:
        raise DataError(f"{path}: not found; {how}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); convert it, such as with iconv -f latin1 -t utf-8") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}; {how}") from error
    head = rows[0][1] if rows else []
    if absent := [name for name in columns if name not in head]:
        raise DataError(f"{path}: has no column {', '.join(absent)}; expected {', '.join(columns)}; {how}")
    if len(rows) == 1:
        raise DataError(f"{path}: lists no clips; {how}")
    return head, rows[1:]
