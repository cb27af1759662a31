# SPDX-License-Identifier: Apache-2.0
"""How lists of numbers become tensors: padded to one length, or packed into rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from fast_axolotl import _core, _output
from fast_axolotl._packing import without_nulls

Side = Literal["left", "right"]
DType = Literal[
    "int8", "int16", "int32", "int64", "uint8", "uint16", "float32", "float64"
]
# Column name to the value of its padding.
Pad: TypeAlias = "Mapping[str, int | float] | PadOptions"


@dataclass(frozen=True, slots=True)
class PadOptions:
    """How the lists of a batch become tensors of the shape ``(rows, length)``.

    Columns that the data lacks are made: ``attention_mask`` (1 where there is a token, 0
    in the padding; always made), ``position_ids`` (0, 1, 2, ... over the tokens of each
    row) and ``labels`` (the tokens), the latter two where ``values`` names them.

    Attributes:
        values: The columns to pad, and the value of the padding of each, such as
            ``{"input_ids": 0, "labels": -100}``. Others are given as they are.
        max_length: Rows longer than this are cut, in tokens; ``None`` cuts none.
        pad_to_multiple_of: The length is rounded up to a multiple of this, in tokens.
        padding: ``"longest"`` pads to the longest row of the batch, ``"max_length"``
            always to ``max_length``.
        padding_side: The end of a row at which the padding is.
        truncation_side: The end of a row that is cut off.
        dtype: The tensors' dtype, or those of columns by name. Columns of floats keep
            theirs by default, all others become ``"int64"``. A value that does not fit
            exactly is an error.

    Raises:
        ValueError: An argument of a wrong value.
        TypeError: An argument of a wrong type.
    """

    values: Mapping[str, int | float]
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    padding: Literal["longest", "max_length"] = "longest"
    padding_side: Side = "right"
    truncation_side: Side = "right"
    dtype: DType | Mapping[str, DType] | None = None

    def __post_init__(self) -> None:
        self._check_values()
        for name in ("max_length", "pad_to_multiple_of"):
            if getattr(self, name) is not None:
                _set(self, name, _positive(name, getattr(self, name)))
        _choice("padding", self.padding, ("longest", "max_length"))
        _choice("padding_side", self.padding_side, ("left", "right"))
        _choice("truncation_side", self.truncation_side, ("left", "right"))
        if self.padding == "max_length" and self.max_length is None:
            raise ValueError('padding="max_length" needs max_length')
        self._check_dtype()

    def _check_values(self) -> None:
        if not isinstance(self.values, Mapping):
            raise TypeError(
                "pad must map column names to the values of their padding, not "
                f"{type(self.values).__name__}"
            )
        # A copy, since the caller's may change.
        values: dict[str, int | float] = {}
        for name, given in self.values.items():
            if not isinstance(name, str):
                raise TypeError(f"pad must have column names as keys, not {name!r}")
            value = given if isinstance(given, float) else _integer(given)
            if value is None:
                raise TypeError(
                    f"the padding of column {name!r} must be a number, not {given!r}"
                )
            if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
                raise ValueError(f"the padding of column {name!r} does not fit in int64")
            values[name] = value
        if not values:
            raise ValueError("pad names no column")
        _set(self, "values", values)

    def _check_dtype(self) -> None:
        if isinstance(self.dtype, Mapping):
            _set(self, "dtype", dict(self.dtype))
        dtypes = self.dtype.items() if isinstance(self.dtype, Mapping) else ()
        for name, dtype in dtypes:
            if name not in self.values and name != "attention_mask":
                raise ValueError(f"dtype names the column {name!r}, which pad does not")
            _choice(f"dtype of {name!r}", dtype, get_args(DType))
        if self.dtype is not None and not isinstance(self.dtype, Mapping):
            _choice("dtype", self.dtype, get_args(DType))

    def _dtype(self, name: str) -> str:
        """The name of the type asked for; empty for the default."""
        if isinstance(self.dtype, Mapping):
            return self.dtype.get(name, "")
        return self.dtype or ""

    def core(self) -> _core.Pad:
        """Return the options as the core takes them."""
        values = dict(self.values)
        values.setdefault("attention_mask", 0)
        return _core.Pad(
            [
                (name.encode("utf-8", "surrogatepass"), value, self._dtype(name))
                for name, value in values.items()
            ],
            self.max_length,
            self.pad_to_multiple_of or 1,
            self.padding == "max_length",
            self.padding_side == "left",
            self.truncation_side == "left",
        )


@dataclass(frozen=True, slots=True)
class PackOptions:
    """How sequences fill rows of a fixed length.

    Batches are dicts of ``input_ids``, ``labels``, ``position_ids`` (0, 1, 2, ... in each
    sequence) and ``sequence_ids`` (1, 2, ... in each row, 0 in its padding), all of the
    shape ``(rows, length)``; of ``cu_seqlens``, int32, where sequences begin in the rows
    laid end to end and where the last one ends; and of ``max_seqlen``, an int. The
    latter two are arguments of flash-attention's ``varlen`` functions, and transformers
    takes them as ``cu_seq_lens_q`` and ``_k``, ``max_length_q`` and ``_k``. Its other
    kinds of attention find the sequences in ``position_ids``, where they get no
    ``attention_mask`` and no cache. The padding of a row counts as a sequence.

    ``pack_window`` consecutive rows are packed by themselves, so that a run can go on
    from any batch: the packed rows of a window depend on its own rows only.

    Attributes:
        length: Tokens in a packed row.
        strategy: ``"best_fit"`` puts each sequence whole into the fullest row that has
            room for it, longest first; ``"concat"`` lays them end to end, and the border
            of a row cuts a sequence in two.
        pack_window: Rows of the data that are packed by themselves.
        too_long: What becomes of a sequence longer than ``length``: ``"split"`` makes
            several of it, ``"cut"`` leaves its end out, ``"error"`` raises an
            ``OSError`` that names the row. ``stats()`` counts the first two.
        pad_token_id: The token at the end of a row that is not full.
        label_pad_id: Its label.
        eos_token_id: A token to put behind each sequence, with itself as label.
        join_label: The label of each sequence's first token, which no token before it in
            its sequence predicts; ``None`` keeps the token's own.
        tokens: The column of the tokens.
        labels: The column of the labels; without one the tokens are the labels.
        dtype: The tensors' dtype, ``"int64"`` or ``"int32"``.

    Raises:
        ValueError: An argument of a wrong value.
        TypeError: An argument of a wrong type.
    """

    length: int
    strategy: Literal["best_fit", "concat"] = "best_fit"
    pack_window: int = 1024
    too_long: Literal["split", "cut", "error"] = "split"
    pad_token_id: int = 0
    label_pad_id: int = -100
    eos_token_id: int | None = None
    join_label: int | None = -100
    tokens: str = "input_ids"
    labels: str = "labels"
    dtype: Literal["int64", "int32"] = "int64"

    def __post_init__(self) -> None:
        for name in ("length", "pack_window"):
            _set(self, name, _positive(name, getattr(self, name), "an int"))
        _choice("strategy", self.strategy, ("best_fit", "concat"))
        _choice("too_long", self.too_long, ("split", "cut", "error"))
        _choice("dtype", self.dtype, ("int64", "int32"))
        for name in ("tokens", "labels"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} must be a str, not {getattr(self, name)!r}")
        half = 1 << (63 if self.dtype == "int64" else 31)
        for name in ("pad_token_id", "label_pad_id", "eos_token_id", "join_label"):
            given = getattr(self, name)
            if given is None and name in ("eos_token_id", "join_label"):
                continue
            value = _integer(given)
            if value is None:
                raise TypeError(f"{name} must be an int, not {type(given).__name__}")
            if not -half <= value < half:
                raise ValueError(f"{name} does not fit in {self.dtype}: {value}")
            _set(self, name, value)

    def core(self) -> _core.Pack:
        """Return the options as the core takes them."""
        return _core.Pack(
            self.tokens.encode("utf-8", "surrogatepass"),
            # Labels that are the tokens need not be read twice.
            ("" if self.labels == self.tokens else self.labels).encode(
                "utf-8", "surrogatepass"
            ),
            self.dtype,
            self.length,
            self.strategy == "concat",
            self.too_long,
            self.pad_token_id,
            self.label_pad_id,
            self.eos_token_id,
            self.join_label,
        )

    def order(self) -> str:
        """Return all that decides which tokens stand in which batch."""
        parts = (self.length, self.strategy, self.pack_window, self.too_long)
        names = (self.eos_token_id is not None, self.tokens, self.labels)
        return "/".join(map(str, (*parts, *names)))


class Padder:
    """Pads columns of lists; columns of numbers become arrays, too."""

    def __init__(self, pad: PadOptions, torch: bool) -> None:
        self._options = pad
        self._pad = pad.core()
        self._torch = torch

    def __reduce__(self) -> tuple[type[Padder], tuple[PadOptions, bool]]:
        # A collate_fn goes to workers that are spawned.
        return Padder, (self._options, self._torch)

    def __call__(self, batch: object) -> dict[str, Any]:
        if not isinstance(batch, Mapping):
            raise TypeError(
                "transform must return a mapping of columns, which are padded, not "
                f"{type(batch).__name__}"
            )
        columns = dict(batch)
        for name in (*self._options.values, "attention_mask"):
            if name in columns:
                columns[name] = without_nulls(columns[name])
        padded = _core.pad_columns(columns, self._pad, self._torch)
        return {name: self._array(value) for name, value in padded.items()}

    def _array(self, column: Any) -> Any:  # noqa: ANN401
        if not isinstance(column, list):
            return column
        # Numbers of numpy and torch, too.
        column = [v.item() if getattr(v, "shape", None) == () else v for v in column]
        kinds = {type(value) for value in column}
        if not kinds <= {bool} and not kinds <= {int, float}:
            return column
        # Integers that the array could not hold exactly.
        limit = 1 << (53 if float in kinds else 63)
        if any(type(v) is int and not -limit <= v < limit for v in column):
            return column
        if self._torch:
            import torch

            # A double would become a float otherwise.
            floating = torch.float64 if float in kinds else None
            return torch.tensor(column, dtype=floating)
        import numpy as np

        return np.array(column)


class PadCollator:
    """A ``collate_fn`` that pads, for a DataLoader over any dataset of rows.

    Called with a list of rows, it returns what a batch with ``pad`` is: columns that
    ``pad`` names as tensors of the shape ``(rows, length)``, columns of numbers that fit
    exactly as tensors of the shape ``(rows,)``, and all others as lists.

    Args:
        pad: Column name to the value of its padding, or a :class:`PadOptions`.
        output: ``"torch"`` or ``"numpy"``; ``None`` means torch where it is installed.

    Raises:
        ValueError, TypeError: As for :class:`PadOptions`.
        ImportError: What ``output`` names is not installed.
    """

    def __init__(self, pad: Pad, output: Literal["torch", "numpy"] | None = None) -> None:
        handover = _output.check(output, pad, None, None)
        if handover.pad is None:
            raise TypeError("pad must map column names to the values of their padding")
        self._padder = Padder(handover.pad, handover.output == "torch")

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the batch of these rows.

        Raises:
            ValueError: There is no row, or rows differ in their columns.
        """
        if not isinstance(rows, Sequence):
            raise TypeError(f"rows must be a list of rows, not {type(rows).__name__}")
        if not rows:
            raise ValueError("a batch needs at least one row")
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise TypeError(
                    f"row {number} must be a mapping of columns, not {type(row).__name__}"
                )
        names = list(rows[0])
        for number, row in enumerate(rows):
            if row.keys() != rows[0].keys():
                raise ValueError(
                    f"row {number} has the columns {list(row)}, row 0 has {names}"
                )
        return self._padder({name: [row[name] for row in rows] for name in names})


# Sets a field of a frozen dataclass, while it is made.
_set = object.__setattr__


def _integer(value: Any) -> int | None:  # noqa: ANN401
    """The int; numpy's and the like are fine, bool is not: then None."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    return int(value.__index__())


def _positive(name: str, given: object, what: str = "an int or None") -> int:
    value = _integer(given)
    if value is None:
        raise TypeError(f"{name} must be {what}, not {type(given).__name__}")
    if not 1 <= value < 1 << 31:
        raise ValueError(f"{name} must be from 1 to {(1 << 31) - 1}, not {value}")
    return value


def _choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
