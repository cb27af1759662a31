# SPDX-License-Identifier: Apache-2.0
"""Make small, seeded sample data that looks like fine-tuning data.

    python scripts/make_sample_data.py [FOLDER] [--rows N] [--seed S]
    python scripts/make_sample_data.py --examples
    python scripts/make_sample_data.py --docs FOLDER

The first form writes every kind of row in every format and every compression into
FOLDER (``build/sample_data``). The second writes the dozen files that are committed
under ``examples/data``. The third writes what the code in README.md and docs/ reads, if
FOLDER is ``data`` where that code runs. The same seed gives the same rows; the bytes are
the same too for the same versions of pyarrow, zlib and zstd.

Kinds of rows:

* ``instructions``: id, instruction, input, output, score (now and then null)
* ``chat``: id, messages (with tool calls whose arguments differ), tools
* ``tokens``: input_ids, labels, attention_mask

JSON holds these rows as they are. Columnar files need one type a column, so there tool
arguments and tools are JSON text; CSV holds every nested value as JSON text, and a text
file holds one row a line.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
SEED = 20260
CHUNK_ROWS = 64  # rows in a Parquet row group and in an Arrow record batch


# --- rows -----------------------------------------------------------------------------

CITIES = ["Lisbon", "Nairobi", "Osaka", "São Paulo", "Zürich", "Kraków", "Reykjavík"]
WORDS = ["river", "lamp", "orbit", "garden", "copper", "violin", "harbour", "paper"]
TRANSLATIONS = [
    ("Good morning, how are you?", "French", "Bonjour, comment allez-vous ?"),
    ("The train leaves at nine.", "German", "Der Zug fährt um neun Uhr ab."),
    ("Where is the library?", "Chinese", "请告诉我图书馆在哪里。"),
    ("Thank you very much!", "Japanese", "どうもありがとうございます。"),
    ("I would like some water.", "Greek", "Θα ήθελα λίγο νερό."),
]
REVIEWS = [
    ("The battery died after two days, and nobody answered my mail.", "negative"),
    ("Exactly what I needed. Works out of the box 👍", "positive"),
    ('They call it "premium"; I call it fine.', "neutral"),
]


def _arithmetic(rng: random.Random) -> tuple[str, str, str]:
    a, b, c = (rng.randint(2, 99) for _ in range(3))
    steps = [f"{a} * {b} = {a * b}", f"{a * b} + {c} = {a * b + c}"]
    return f"What is {a} * {b} + {c}?", "", "\n".join([*steps, f"#### {a * b + c}"])


def _translation(rng: random.Random) -> tuple[str, str, str]:
    source, language, target = rng.choice(TRANSLATIONS)
    return f"Translate the sentence into {language}.", source, target


def _sentiment(rng: random.Random) -> tuple[str, str, str]:
    review, label = rng.choice(REVIEWS)
    return "Is the review positive, negative or neutral?", review, label


def _sorting(rng: random.Random) -> tuple[str, str, str]:
    words = rng.sample(WORDS, rng.randint(3, len(WORDS)))
    return "Sort the words, one a line.", ", ".join(words), "\n".join(sorted(words))


def instruction_rows(count: int, seed: int = SEED) -> list[Row]:
    rng = random.Random(f"{seed} instructions")
    rows = []
    for index in range(count):
        task = rng.choice([_arithmetic, _translation, _sentiment, _sorting])
        instruction, given, output = task(rng)
        score = None if rng.random() < 0.1 else round(rng.uniform(0, 5), 2)
        rows.append(
            {
                "id": index,
                "instruction": instruction,
                "input": given,
                "output": output,
                "score": score,
            }
        )
    return rows


TOOLS: list[Row] = [
    {
        "name": "get_weather",
        "parameters": {"city": {"type": "string"}, "days": {"type": "integer"}},
    },
    {
        "name": "convert_currency",
        "parameters": {
            "amount": {"type": "number"},
            "from": {"type": "string"},
            "to": {"type": "string"},
        },
    },
    {"name": "create_event", "parameters": {"event": {"type": "object"}}},
]


def _weather_call(rng: random.Random) -> tuple[str, Row, Any, str]:
    city, days, degrees = rng.choice(CITIES), rng.randint(1, 5), rng.randint(-10, 38)
    return (
        f"What will the weather be in {city}?",
        {"city": city, "days": days},
        {"celsius": degrees, "sky": rng.choice(["clear", "rain", "snow"])},
        f"Expect about {degrees} °C in {city} over the next {days} day(s).",
    )


def _currency_call(rng: random.Random) -> tuple[str, Row, Any, str]:
    amount, rate = rng.randint(5, 900), round(rng.uniform(0.5, 1.9), 4)
    result = round(amount * rate, 2)
    return (
        f"How many dollars are {amount} euros?",
        {"amount": amount, "from": "EUR", "to": "USD"},
        result,
        f"{amount} EUR are {result} USD at a rate of {rate}.",
    )


def _event_call(rng: random.Random) -> tuple[str, Row, Any, str]:
    topic, hour = rng.choice(WORDS), rng.randint(8, 18)
    return (
        f"Plan a {topic} meeting at {hour}:00 and invite two people.",
        {"event": {"title": topic, "hour": hour, "guests": ["first", None]}},
        {"ok": True, "id": f"ev-{rng.randrange(16**4):04x}"},
        f"Done: “{topic}” is planned for {hour}:00.",
    )


def chat_rows(count: int, seed: int = SEED) -> list[Row]:
    rng = random.Random(f"{seed} chat")
    rows = []
    for index in range(count):
        messages: list[Row] = [
            {"role": "system", "content": "You are a helpful assistant with tools."}
        ]
        for turn in range(rng.randint(1, 2)):
            which = rng.randrange(len(TOOLS))
            make = [_weather_call, _currency_call, _event_call][which]
            question, arguments, result, answer = make(rng)
            function = {"name": TOOLS[which]["name"], "arguments": arguments}
            call_id = f"call_{index}_{turn}"
            call = {"id": call_id, "type": "function", "function": function}
            content = json.dumps(result)
            messages += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call_id, "content": content},
                {"role": "assistant", "content": answer},
            ]
        rows.append({"id": f"chat-{index:04}", "messages": messages, "tools": TOOLS})
    return rows


def token_rows(count: int, seed: int = SEED) -> list[Row]:
    rng = random.Random(f"{seed} tokens")
    rows = []
    for _ in range(count):
        prompt, answer = rng.randint(4, 24), rng.randint(4, 40)
        ids = [1, *(rng.randrange(3, 32_000) for _ in range(prompt + answer - 2)), 2]
        rows.append(
            {
                "input_ids": ids,
                "labels": [-100] * prompt + ids[prompt:],
                "attention_mask": [1] * len(ids),
            }
        )
    return rows


ROWS: dict[str, Callable[[int, int], list[Row]]] = {
    "instructions": instruction_rows,
    "chat": chat_rows,
    "tokens": token_rows,
}


# --- formats --------------------------------------------------------------------------

_CALL = pa.struct(
    {
        "id": pa.string(),
        "type": pa.string(),
        "function": pa.struct({"name": pa.string(), "arguments": pa.string()}),
    }
)
_MESSAGE = pa.struct(
    {
        "role": pa.string(),
        "content": pa.string(),
        "tool_calls": pa.list_(_CALL),
        "tool_call_id": pa.string(),
    }
)
SCHEMAS = {
    "instructions": pa.schema(
        {
            "id": pa.int64(),
            "instruction": pa.string(),
            "input": pa.string(),
            "output": pa.string(),
            "score": pa.float64(),
        }
    ),
    "chat": pa.schema(
        {"id": pa.string(), "messages": pa.list_(_MESSAGE), "tools": pa.string()}
    ),
    "tokens": pa.schema(
        {
            "input_ids": pa.list_(pa.int32()),
            "labels": pa.list_(pa.int32()),
            "attention_mask": pa.list_(pa.int8()),
        }
    ),
}


def _kind_of(rows: list[Row]) -> str:
    first = rows[0]
    return next(kind for kind, schema in SCHEMAS.items() if [*first] == schema.names)


def _columnar_chat(row: Row) -> Row:
    messages = []
    for message in row["messages"]:
        calls = [
            {
                **call,
                "function": {
                    "name": call["function"]["name"],
                    "arguments": json.dumps(call["function"]["arguments"]),
                },
            }
            for call in message.get("tool_calls", [])
        ]
        messages.append({**message, "tool_calls": calls or None})
    return {**row, "messages": messages, "tools": json.dumps(row["tools"])}


def to_table(rows: list[Row]) -> pa.Table:
    """The rows as an Arrow table of their kind's schema."""
    kind = _kind_of(rows)
    if kind == "chat":
        rows = [_columnar_chat(row) for row in rows]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[kind])


def _parquet(rows: list[Row]) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(to_table(rows), sink, row_group_size=CHUNK_ROWS)
    return sink.getvalue()


def _arrow(rows: list[Row]) -> bytes:
    sink = io.BytesIO()
    table = to_table(rows)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=CHUNK_ROWS)
    return sink.getvalue()


def _arrow_stream(rows: list[Row]) -> bytes:
    sink = io.BytesIO()
    table = to_table(rows)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=CHUNK_ROWS)
    return sink.getvalue()


def _feather(rows: list[Row]) -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(to_table(rows), sink, chunksize=CHUNK_ROWS)
    return sink.getvalue()


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _json(rows: list[Row]) -> bytes:
    return (json.dumps(rows, ensure_ascii=False, indent=1) + "\n").encode()


def _jsonl(rows: list[Row]) -> bytes:
    return "".join(_dumps(row) + "\n" for row in rows).encode()


def _csv(rows: list[Row], delimiter: str = ",") -> bytes:
    # Arrow's writer rather than the csv module: it leaves nulls unquoted and quotes the
    # empty string, and so keeps the two apart.
    flat = [
        {k: _dumps(v) if isinstance(v, list) else v for k, v in row.items()}
        for row in rows
    ]
    sink = io.BytesIO()
    options = pyarrow.csv.WriteOptions(delimiter=delimiter)
    pyarrow.csv.write_csv(pa.Table.from_pylist(flat), sink, options)
    return sink.getvalue()


def _tsv(rows: list[Row]) -> bytes:
    return _csv(rows, "\t")


def _line(row: Row) -> str:
    if "messages" in row:
        said = [m for m in row["messages"] if m["content"]]
        return " ".join(f"<{m['role']}> {m['content']}" for m in said)
    if "input_ids" in row:
        return " ".join(map(str, row["input_ids"]))
    parts = [row["instruction"], row["input"], row["output"]]
    return " ".join(part for part in parts if part).replace("\n", " ")


def _text(rows: list[Row]) -> bytes:
    return "".join(_line(row) + "\n" for row in rows).encode()


FORMATS: dict[str, Callable[[list[Row]], bytes]] = {
    ".parquet": _parquet,
    "-stream.arrow": _arrow_stream,
    ".arrow": _arrow,
    ".feather": _feather,
    ".json": _json,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".tsv": _tsv,
    ".txt": _text,
}
CODECS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": lambda data: pa.compress(data, codec="zstd", asbytes=True),
}


def write(path: Path, rows: list[Row]) -> None:
    """Write the rows to ``path``; its name decides format and compression."""
    name = path.name
    compress = CODECS.get(path.suffix)
    if compress:
        name = path.stem
    encode = next(encode for end, encode in FORMATS.items() if name.endswith(end))
    data = encode(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compress(data) if compress else data)


def write_parts(folder: Path, suffix: str, rows: list[Row], files: int) -> None:
    """Deal the rows out, in order, to ``files`` files of one format."""
    size = -(-len(rows) // files)
    for index in range(files):
        part = rows[index * size : (index + 1) * size]
        write(folder / f"part-{index:02}{suffix}", part)


def write_saved_dataset(folder: Path, rows: list[Row]) -> None:
    """A folder like the one that ``datasets.Dataset.save_to_disk`` leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "data-00000-of-00001.arrow"
    (folder / name).write_bytes(_arrow_stream(rows))
    state = {
        "_data_files": [{"filename": name}],
        "_fingerprint": "0123456789abcdef",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    types = {"int64": "int64", "string": "string", "double": "float64"}
    features = {
        field.name: {"dtype": types[str(field.type)], "_type": "Value"}
        for field in SCHEMAS["instructions"]
    }
    info = {"citation": "", "description": "", "features": features}
    (folder / "state.json").write_text(json.dumps(state, indent=2) + "\n")
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n")


# --- what is written ------------------------------------------------------------------


def write_everything(folder: Path, count: int, seed: int) -> None:
    """Every kind in every format and compression, parts and a saved dataset."""
    for kind, make in ROWS.items():
        rows = make(count, seed)
        for suffix in FORMATS:
            for codec in ("", *CODECS):
                write(folder / f"{kind}{suffix}{codec}", rows)
    rows = instruction_rows(count, seed)
    write_parts(folder / "parts", ".jsonl", rows, 4)
    write_saved_dataset(folder / "saved_dataset", rows)


def write_examples(folder: Path, seed: int) -> None:
    """The committed files: every format, both compressions, a folder of parts."""
    rows = {kind: make(48, seed) for kind, make in ROWS.items()}
    for name in (
        "instructions.parquet",
        "instructions.json",
        "instructions.csv",
        "instructions.tsv.zst",
        "instructions.txt.gz",
        "chat.jsonl",
        "chat.jsonl.gz",
        "chat.json.zst",
        "chat.parquet.gz",
        "tokens-stream.arrow",
        "tokens.arrow",
        "tokens.feather",
        "tokens.jsonl.zst",
        "tokens.parquet",
    ):
        write(folder / name, rows[name.partition(".")[0].partition("-")[0]])
    write_parts(folder / "parts", ".jsonl", rows["instructions"], 3)


def write_docs(folder: Path, seed: int = SEED) -> None:
    """What README.md and docs/ read as ``data``; tests/test_docs.py runs them on it."""
    instructions = instruction_rows(40, seed)
    write(folder / "train.parquet", token_rows(40, seed))
    write(folder / "chat.jsonl", chat_rows(10, seed))
    for name in ("train.jsonl", "train.jsonl.zst", "train.csv", "corpus.txt.gz"):
        write(folder / name, instructions)
    for name in ("train-0.jsonl", "train-1.jsonl", "test.jsonl"):
        write(folder / "splits" / name, instructions)
    write_parts(folder / "parts", ".jsonl", instructions, 3)
    write_saved_dataset(folder / "saved_dataset", instructions)
    shutil.copy(folder / "train.jsonl", folder / "export.dat")
    lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    lines[10] = '{"id": 10, "instruction": \n'
    (folder / "broken.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "semicolons.csv").write_text("id;instruction\n0;Sort the words.\n")
    (folder / "no_header.csv").write_text("0,Sort the words.\n1,Count them.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="default: build/sample_data")
    parser.add_argument("--rows", type=int, default=300, help="rows a file (300)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"({SEED})")
    parser.add_argument(
        "--examples",
        action="store_true",
        help="write the small committed set (default folder: examples/data)",
    )
    parser.add_argument(
        "--docs",
        type=Path,
        metavar="FOLDER",
        help="write what README.md and docs/ read as data/",
    )
    args = parser.parse_args()
    if args.docs and (args.folder or args.examples):
        parser.error("--docs has a folder of its own, and goes with no other")
    if args.rows < 4:
        parser.error("--rows: at least 4, one for each file of the folder of parts")
    if args.docs:
        folder = args.docs
        write_docs(folder, args.seed)
    elif args.examples:
        folder = args.folder or ROOT / "examples" / "data"
        write_examples(folder, args.seed)
    else:
        folder = args.folder or ROOT / "build" / "sample_data"
        write_everything(folder, args.rows, args.seed)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    print(f"{len(files)} files, {size / 1000:,.0f} kB in {folder}")


if __name__ == "__main__":
    main()
