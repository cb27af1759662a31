# SPDX-License-Identifier: Apache-2.0
"""Columns as ``datasets.Features``, and values as the Arrow arrays that these name."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from datasets import Features


def features_of(schema: pa.Schema) -> Features:
    found = {}
    for field in schema:
        plain = pa.schema([(field.name, _plain(field.type))])
        try:
            found.update(Features.from_arrow_schema(plain))
        except (ValueError, TypeError, NotImplementedError) as error:
            raise ValueError(
                f"column {field.name!r} is {field.type}, which datasets.Features cannot "
                "hold: leave it out with columns=, or read the dataset itself"
            ) from error
    return Features(found)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that ``Features`` can hold and that Python values of ``kind`` have."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _plain(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind):
        return pa.large_list(_plain(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type), kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _plain(field.type)) for field in kind])
    if isinstance(kind, pa.BaseExtensionType) and not isinstance(
        kind, (pa.JsonType, pa.UuidType)
    ):
        return _plain(kind.storage_type)
    return kind


def arrow_array(field: pa.Field, values: list[Any]) -> pa.Array:
    try:
        if not isinstance(field.type, pa.JsonType):
            _check_numbers(field.type, values)
            return pa.array(values, field.type)
        texts = [None if value is None else json.dumps(value) for value in values]
        return pa.ExtensionArray.from_storage(field.type, pa.array(texts, pa.string()))
    except (pa.ArrowException, ArithmeticError, TypeError, ValueError) as error:
        raise OSError(
            f"column {field.name!r} has a value that is no {field.type}, the type that "
            f"the sample showed: {error}; give its type with schema="
        ) from error


def _check_numbers(kind: pa.DataType, values: list[Any]) -> None:
    """Refuse what pyarrow would take for a number, or cut to one: 1.5 in integers."""
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
        values = [item for value in values if value is not None for item in value]
    if pa.types.is_integer(kind):
        wrong = set(map(type, values)) - {int, type(None)}
    elif pa.types.is_floating(kind):
        wrong = set(map(type, values)) - {int, float, type(None)}
    else:
        return
    if wrong:
        raise TypeError(f"found {', '.join(sorted(t.__name__ for t in wrong))}")
