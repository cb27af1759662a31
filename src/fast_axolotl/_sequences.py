# SPDX-License-Identifier: Apache-2.0
"""Padding and packing of sequences that the caller holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, overload

from fast_axolotl import _core
from fast_axolotl._options import integer
from fast_axolotl._output import check_output

# Rows of lists, tuples, numpy arrays, torch tensors or other sequences of integers, mixed
# as they come; or one 2-D array.
Rows: TypeAlias = "Sequence[Sequence[int]] | Sequence[Any] | Any"
Arrays = Literal["numpy", "torch"]

_LONGEST: Final = (1 << 31) - 1


@overload
def pad_sequences(
    sequences: Rows,
    target_length: int | None = None,
    pad_value: int = 0,
    padding_side: str = "right",
    pad_to_multiple_of: int | None = None,
    *,
    output: Literal["python"] = "python",
) -> list[list[int]]: ...
@overload
def pad_sequences(
    sequences: Rows,
    target_length: int | None = None,
    pad_value: int = 0,
    padding_side: str = "right",
    pad_to_multiple_of: int | None = None,
    *,
    output: Arrays,
) -> Any: ...  # noqa: ANN401
def pad_sequences(
    sequences: Rows,
    target_length: int | None = None,
    pad_value: int = 0,
    padding_side: str = "right",
    pad_to_multiple_of: int | None = None,
    *,
    output: Literal["python", "numpy", "torch"] = "python",
) -> Any:
    """Bring sequences of integers to one length.

    Args:
        sequences: A sequence of sequences or 1-D arrays of integers, or a 2-D array.
        target_length: The length to pad to; ``None`` means that of the longest.
        pad_value: What fills the free places.
        padding_side: The end at which the padding is, ``"right"`` or ``"left"``.
        pad_to_multiple_of: The length, given or found, is rounded up to a multiple of
            this; ``None`` or 0 leaves it.
        output: ``"python"`` returns a list of lists, ``"numpy"`` a ``numpy.ndarray`` and
            ``"torch"`` a ``torch.Tensor``, both of int64 and of the shape
            ``(sequences, length)``.

    Raises:
        ValueError: A sequence is longer than the length, be it rounded up (nothing is cut
            off), a value does not fit in 64 bits, or an argument has a wrong value.
        TypeError: A value is no integer, or an argument is of a wrong type.
    """
    if not isinstance(padding_side, str):
        raise TypeError(f"padding_side must be a str, not {type(padding_side).__name__}")
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side must be right or left, not {padding_side!r}")
    if target_length is not None:
        target_length = integer("target_length", target_length, 0, _LONGEST)
    if pad_to_multiple_of is not None:
        pad_to_multiple_of = integer(
            "pad_to_multiple_of", pad_to_multiple_of, 0, _LONGEST
        )
    return _core.pad_sequences(
        sequences,
        target_length,
        _int64("pad_value", pad_value),
        padding_side == "left",
        pad_to_multiple_of or 1,
        _output(output),
    )


@overload
def pack_sequences(
    sequences: Rows,
    max_length: int,
    pad_token_id: int,
    eos_token_id: int,
    label_pad_id: int = -100,
    *,
    output: Literal["python"] = "python",
) -> dict[str, list[list[int]]]: ...
@overload
def pack_sequences(
    sequences: Rows,
    max_length: int,
    pad_token_id: int,
    eos_token_id: int,
    label_pad_id: int = -100,
    *,
    output: Arrays,
) -> dict[str, Any]: ...
def pack_sequences(
    sequences: Rows,
    max_length: int,
    pad_token_id: int,
    eos_token_id: int,
    label_pad_id: int = -100,
    *,
    output: Literal["python", "numpy", "torch"] = "python",
) -> dict[str, Any]:
    """Pack sequences of tokens into rows of ``max_length``, whole and in their order.

    Behind each sequence stand ``eos_token_id`` and one ``pad_token_id``, and a row is
    filled up with ``pad_token_id``. A sequence that has no room in a row begins the next.
    One that fills a row with its end of sequence has no padding behind it. An empty
    sequence is an end of sequence alone.

    Args:
        sequences: A sequence of sequences or 1-D arrays of tokens, or a 2-D array.
        max_length: The length of rows.
        pad_token_id: The token between sequences and at the end of rows.
        eos_token_id: The token at the end of each sequence; its label is itself.
        label_pad_id: The label of the padding.
        output: ``"python"`` returns lists of lists, ``"numpy"`` and ``"torch"`` arrays of
            int64 and of the shape ``(rows, max_length)``.

    Returns:
        A dict of ``input_ids``, ``labels``, which are the tokens, and ``attention_mask``,
        1 for tokens and ends of sequences and 0 for padding.

    Raises:
        ValueError: A sequence and its end of sequence are longer than ``max_length``, a
            value does not fit in 64 bits, or an argument has a wrong value.
        TypeError: A value is no integer, or an argument is of a wrong type.
    """
    return _core.pack_sequences(
        sequences,
        integer("max_length", max_length, 1, _LONGEST),
        _int64("pad_token_id", pad_token_id),
        _int64("eos_token_id", eos_token_id),
        _int64("label_pad_id", label_pad_id),
        _output(output),
    )


@overload
def concatenate_and_pack(
    input_ids: Rows,
    labels: Rows,
    attention_masks: Rows,
    max_length: int,
    pad_token_id: int,
    label_pad_id: int = -100,
    *,
    output: Literal["python"] = "python",
) -> dict[str, list[list[int]]]: ...
@overload
def concatenate_and_pack(
    input_ids: Rows,
    labels: Rows,
    attention_masks: Rows,
    max_length: int,
    pad_token_id: int,
    label_pad_id: int = -100,
    *,
    output: Arrays,
) -> dict[str, Any]: ...
def concatenate_and_pack(  # noqa: PLR0917  (as callers know it)
    input_ids: Rows,
    labels: Rows,
    attention_masks: Rows,
    max_length: int,
    pad_token_id: int,
    label_pad_id: int = -100,
    *,
    output: Literal["python", "numpy", "torch"] = "python",
) -> dict[str, Any]:
    """Pack tokens with their labels and masks into rows, whole and in their order.

    Sequences follow each other without anything between them. One that has no room in a
    row begins the next; an empty one takes no place.

    Args:
        input_ids: A sequence of sequences or 1-D arrays of tokens, or a 2-D array.
        labels: The labels, as many of each sequence as it has tokens.
        attention_masks: The masks, as many of each sequence as it has tokens.
        max_length: The length of rows.
        pad_token_id: The token at the end of rows; its mask is 0.
        label_pad_id: The label at the end of rows.
        output: As of :func:`pack_sequences`.

    Returns:
        A dict of ``input_ids``, ``labels`` and ``attention_mask``.

    Raises:
        ValueError: A sequence is longer than ``max_length``, labels or masks are not as
            many as its tokens, a value does not fit in 64 bits, or an argument has a
            wrong value.
        TypeError: A value is no integer, or an argument is of a wrong type.
    """
    return _core.concatenate_and_pack(
        input_ids,
        labels,
        attention_masks,
        integer("max_length", max_length, 1, _LONGEST),
        _int64("pad_token_id", pad_token_id),
        _int64("label_pad_id", label_pad_id),
        _output(output),
    )


def create_padding_mask(current_length: int, target_length: int) -> list[int]:
    """Return the positions of the padding: 0, 1, 2, ... for each place that is free.

    Args:
        current_length: How long the sequence is.
        target_length: How long it will be; if that is no more, the result is empty.

    Raises:
        ValueError: A length is negative.
        TypeError: A length is no integer.
    """
    current = integer("current_length", current_length, 0, _LONGEST)
    return list(range(integer("target_length", target_length, 0, _LONGEST) - current))


def _int64(name: str, value: object) -> int:
    return integer(name, value, -(1 << 63), (1 << 63) - 1)


def _output(output: object) -> str:
    kind = check_output(output)
    if kind == "arrow":
        raise ValueError('output must be "python", "numpy" or "torch", not "arrow"')
    return kind
