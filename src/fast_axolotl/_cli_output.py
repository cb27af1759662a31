# SPDX-License-Identifier: Apache-2.0
"""What the command line prints: JSON and tables.

rich is imported where it is used: that takes longer than reading a small file, and
``--json`` needs none of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from rich.table import Table
    from rich.text import Text

Row = dict[str, Any]

JSON_RULE: Final = """\
With --json, head prints one object a line, schema one object {column: type}, count and
index one object {"rows", "files", "seconds"}. What JSON cannot hold becomes a string:
bytes as base64, dates and times as ISO 8601, durations as PT<seconds>S, decimals and
UUIDs as their text, and NaN, Infinity and -Infinity as their names.
"""
CELL_CHARS: Final = 400  # a longer cell of a table is cut
COLUMN_CHARS: Final = 24  # text in a column narrower than this cannot be read


# --- JSON -----------------------------------------------------------------------------


def to_json(value: object) -> str:
    """The value as one line of ASCII: right in any locale, lone surrogates included."""
    import json

    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return json.dumps(plain(value), allow_nan=False)


def plain(value: object) -> object:
    """The value with what JSON cannot hold turned into strings, as JSON_RULE says."""
    import base64
    import datetime as dt
    import math

    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case float():
            return (
                "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            )
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case dt.date() | dt.time():  # a datetime is a date
            return value.isoformat()
        case dt.timedelta():
            return _duration(value)
        case _:
            return str(value)


def _duration(value: dt.timedelta) -> str:
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    seconds = value.days * 86_400 + value.seconds
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    return f"{sign}PT{seconds}{fraction}S"


# --- tables ---------------------------------------------------------------------------


def print_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table of short cells."""
    from rich.table import Table

    table = Table()
    for name in header:
        table.add_column(name)
    for row in rows:
        table.add_row(*(_cell(text) for text in row))
    _print(table)


def print_rows(columns: Iterable[str], rows: list[Row]) -> None:
    """Print rows side by side where the terminal is wide enough, else one by one."""
    from rich.console import Console
    from rich.table import Table

    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    header = [_cell(name) for name in names]
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [
        min(max(cell.cell_len for cell in column), COLUMN_CHARS)
        for column in zip(header, *cells, strict=True)
    ]
    borders = 3 * len(widths) + 1
    if sum(widths) + borders > Console().width:
        for number, record in enumerate(cells, 1):
            _print_record(number, header, record)
        return
    table = Table(show_lines=True)
    for name in header:
        table.add_column(name)
    for record in cells:
        table.add_row(*record)
    _print(table)


def _print_record(number: int, header: list[Text], record: list[Text]) -> None:
    from rich.table import Table

    table = Table(show_header=False)
    for name, value in zip(header, record, strict=True):
        table.add_row(name, value)
    print(f"row {number}")
    _print(table)


def _cell(value: object) -> Text:
    """The value cut short, and what would move the cursor or end the line escaped."""
    import json

    from rich.text import Text

    if value is None:
        return Text("null", style="dim")
    text = plain(value)
    if not isinstance(text, str):
        text = json.dumps(text, ensure_ascii=False)
    if len(text) > CELL_CHARS:
        text = text[: CELL_CHARS - 1] + "…"
    return Text(
        "".join(c if c.isprintable() else repr(c)[1:-1] for c in text), overflow="fold"
    )


def _print(table: Table) -> None:
    from rich.console import Console

    # By way of a string: rich has its own idea of what to do about a closed pipe.
    console = Console()
    with console.capture() as printed:
        console.print(table)
    sys.stdout.write(printed.get())
