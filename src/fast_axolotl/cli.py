# SPDX-License-Identifier: Apache-2.0
"""The command line: ``fast-axolotl head | schema | count | index | validate PATH``.

Output goes to stdout, as a table or, with ``--json``, as JSON; errors and the progress
bar go to stderr. Exit codes: 0 done (also when the reader of the output left early), 1 an
error or a row that cannot be read, 2 a wrong call, 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from typing import TYPE_CHECKING, Final, cast

from fast_axolotl import (
    BadRow,
    _core,
    _paths,
    build_index,
    count_rows,
    detect_format,
    get_version,
    list_supported_formats,
    streaming_dataset_reader,
    validate,
)
from fast_axolotl._cli_output import (
    JSON_RULE,
    print_rows,
    print_table,
    to_json,
)
from fast_axolotl._progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fast_axolotl import CsvOptions, StreamingReader
    from fast_axolotl._cli_output import Row

HEAD_ROWS: Final = 10
BATCH_SIZE: Final = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: The arguments; by default those of the process.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    args = _parser().parse_args(argv)
    try:
        code = args.run(args)
        print(end="", flush=True)
    except BrokenPipeError:
        code = 0
        # Whoever read our output has seen enough. What is still buffered has to go
        # somewhere, or the interpreter complains when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, TypeError, MemoryError) as error:
        print(f"fast-axolotl: error: {_message(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code or 0


def _message(error: BaseException) -> str:
    """The error in one line, as the command line calls things.

    The number that OSError puts in front is left out.
    """
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if error.filename is not None:
            text = f"{error.filename}: {text}"
    text = text.replace("pass format= as", "pass --format as")
    text = text.replace("delimiter= of CsvOptions", "--delimiter")
    text = text.replace('format="', '--format="')
    for name, _, _ in _core.limits():
        text = text.replace(f'limits={{"{name}": ...}}', f"--limit {name}=...")
    return " ".join(text.split())


# --- arguments ------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fast-axolotl",
        description="Look into fine-tuning data, whatever file format it is in.",
        epilog=f"formats: {', '.join(list_supported_formats())}",
    )
    parser.add_argument("--version", action="version", version=get_version())
    verbs = parser.add_subparsers(
        required=True, metavar="head|schema|count|index|validate"
    )
    head = _add_verb(verbs, "head", _head, "print the first rows")
    head.add_argument(
        "-n",
        "--rows",
        type=_at_least(0),
        default=HEAD_ROWS,
        help=f"how many rows ({HEAD_ROWS})",
    )
    _add_verb(verbs, "schema", _schema, "print the columns and their types")
    _add_verb(verbs, "count", _count, "count the rows")
    index = _add_verb(
        verbs, "index", _index, "index the rows ahead of a shuffled or sharded run"
    )
    index.add_argument(
        "--lengths",
        metavar="COLUMN",
        help="also how long the lists of this column are, for packing on several ranks",
    )
    validate = _add_verb(
        verbs, "validate", _validate, "read all rows and list those that cannot be read"
    )
    validate.add_argument(
        "--index",
        action="store_true",
        help="also keep an index of the files that leaves those rows out",
    )
    return parser


def _add_verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    text: str,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=JSON_RULE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.set_defaults(run=run)
    verb.add_argument(
        "path", nargs="+", metavar="PATH", help="a file, a folder or a glob; or several"
    )
    verb.add_argument(
        "--columns",
        action="append",
        metavar="A,B",
        help="only these columns, in this order (may be given again)",
    )
    verb.add_argument(
        "--batch-size",
        type=_at_least(1),
        default=BATCH_SIZE,
        metavar="N",
        help=f"rows read at a time ({BATCH_SIZE}); changes no result",
    )
    verb.add_argument(
        "--format", help="read the files as this format, whatever their names say"
    )
    verb.add_argument(
        "--delimiter",
        type=_delimiter,
        metavar="CHAR",
        help=r"between the cells of CSV files; \t is a tab",
    )
    verb.add_argument(
        "--no-header",
        action="store_true",
        help="CSV files begin with a row of data; columns are column_0, column_1, ...",
    )
    verb.add_argument(
        "--limit",
        action="append",
        type=_limit,
        default=[],
        metavar="NAME=VALUE",
        help="what a file may ask for before it is refused (may be given again): "
        + ", ".join(f"{name}={default}" for name, default, _ in _core.limits()),
    )
    verb.add_argument("--json", action="store_true", help="print JSON, not a table")
    return verb


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {value}")
        return value

    return number


def _delimiter(text: str) -> str:
    from fast_axolotl import CsvOptions

    delimiter = "\t" if text == r"\t" else text
    try:
        CsvOptions(delimiter)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return delimiter


def _limit(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    most = {name: most for name, _, most in _core.limits()}
    if name not in most:
        raise argparse.ArgumentTypeError(
            f"unknown limit {name!r}; the limits are {', '.join(most)}"
        )
    if not value.isdecimal() or not 1 <= int(value) <= most[name]:
        raise argparse.ArgumentTypeError(
            f"{name} must be from 1 to {most[name]}, not {value!r}"
        )
    return name, int(value)


def _path(args: argparse.Namespace) -> str | list[str]:
    paths = cast("list[str]", args.path)
    return paths[0] if len(paths) == 1 else paths


def _columns(args: argparse.Namespace) -> list[str] | None:
    if args.columns is None:
        return None
    return [name for part in args.columns for name in part.split(",")]


def _csv(args: argparse.Namespace) -> CsvOptions | None:
    if args.delimiter is None and not args.no_header:
        return None
    from fast_axolotl import CsvOptions

    return CsvOptions(args.delimiter, header=not args.no_header)


def _reader(args: argparse.Namespace, batch_size: int) -> StreamingReader:
    return streaming_dataset_reader(
        _path(args),
        batch_size,
        _columns(args),
        format=args.format,
        csv=_csv(args),
        limits=dict(args.limit),
    )


# --- verbs ----------------------------------------------------------------------------


def _head(args: argparse.Namespace) -> None:
    wanted = cast("int", args.rows)
    # No more is decoded than is shown: a batch is never larger than the rows wanted.
    batch_size = max(1, min(args.batch_size, wanted))
    # Rows printed as they come and a bar would write over each other.
    progress = Progress(wanted=not (args.json and sys.stdout.isatty()))
    with _reader(args, batch_size) as reader, progress:
        if args.json:
            for row in _rows(reader, wanted, progress):
                print(to_json(row))
            return
        rows: list[Row] = []
        error: Exception | None = None
        try:
            for row in _rows(reader, wanted, progress):
                rows.append(row)  # noqa: PERF402  (keeps the rows before an error)
        except Exception as raised:  # noqa: BLE001  (raised behind the rows)
            error = raised
        progress.close()
        if rows:
            print_rows(reader.columns, rows)
        if error is not None:
            raise error
        if not rows:
            print(f"no rows; columns: {', '.join(reader.columns) or 'none'}")


def _rows(reader: StreamingReader, wanted: int, progress: Progress) -> Iterator[Row]:
    """The first rows as dicts; a batch without columns still has its rows."""
    seen = 0
    while seen < wanted:
        batch = next(reader, None)
        if batch is None:
            return
        rows: list[Row] = [
            dict(zip(batch, values, strict=True))
            for values in zip(*batch.values(), strict=True)
        ]
        if not batch:
            rows = [{}] * (reader.rows_read - seen)
        yield from rows[: wanted - seen]
        seen += len(rows)
        progress(reader.rows_read, reader.bytes_read, reader.bytes_total)


def _schema(args: argparse.Namespace) -> None:
    with _reader(args, args.batch_size) as reader:
        schema, files = reader.schema, reader.files
    if args.json:
        print(to_json(schema))
        return
    title = [
        _counted(len(schema), "column"),
        _counted(len(files), "file"),
        args.format or " ".join(part for part in detect_format(files[0]) if part),
    ]
    print(", ".join(title))
    print_table(["column", "type"], schema.items())


def _count(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    files = len(_paths.resolve(_path(args)))
    with Progress() as progress:
        rows = count_rows(
            _path(args),
            columns=_columns(args),
            format=args.format,
            csv=_csv(args),
            limits=dict(args.limit),
            progress=lambda done, total: progress(None, done, total),
        )
    _print_rows_of_files(args, rows, files, time.perf_counter() - start)


def _index(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    # Opened for its checks, too: an index has no columns to be wrong about.
    with _reader(args, args.batch_size) as reader:
        files = len(reader.files)
    with Progress() as progress:
        rows = build_index(
            _path(args),
            lengths=args.lengths,
            format=args.format,
            csv=_csv(args),
            limits=dict(args.limit),
            progress=lambda done, total: progress(None, done, total),
        )
    _print_rows_of_files(args, rows, files, time.perf_counter() - start)


def _validate(args: argparse.Namespace) -> int:
    with Progress() as progress:
        bad = validate(
            _path(args),
            index=args.index,
            columns=_columns(args),
            format=args.format,
            csv=_csv(args),
            limits=dict(args.limit),
            progress=lambda done, total: progress(None, done, total),
        )
    for row in bad:
        if args.json:
            print(to_json({name: getattr(row, name) for name in BadRow.__slots__}))
        else:
            print(row)
    if not args.json:
        files = len({row.file for row in bad})
        where = f" in {_counted(files, 'file')}" if bad else ""
        print(f"{_counted(len(bad), 'bad place')}{where}")
    return 1 if bad else 0


def _print_rows_of_files(
    args: argparse.Namespace, rows: int, files: int, seconds: float
) -> None:
    if args.json:
        print(to_json({"rows": rows, "files": files, "seconds": round(seconds, 6)}))
        return
    cells = [f"{rows:,}", f"{files:,}", f"{seconds:.3f}"]
    print_table(["rows", "files", "seconds"], [cells])


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    sys.exit(main())
