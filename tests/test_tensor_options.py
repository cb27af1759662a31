# SPDX-License-Identifier: Apache-2.0
"""The options of padding and packing: what they take and what they refuse."""

import numpy as np
import pytest

from fast_axolotl import PackOptions, PadOptions


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"max_length": 0}),
        (ValueError, {"max_length": 1 << 31}),
        (TypeError, {"max_length": 8.0}),
        (TypeError, {"max_length": True}),
        (ValueError, {"pad_to_multiple_of": 0}),
        (TypeError, {"pad_to_multiple_of": "8"}),
        (ValueError, {"padding": "shortest"}),
        (ValueError, {"padding": "max_length"}),
        (TypeError, {"padding_side": None}),
        (ValueError, {"truncation_side": "both"}),
        (ValueError, {"dtype": "float16"}),
        (TypeError, {"dtype": np.int32}),
        (ValueError, {"dtype": {"labels": "int8"}}),
        (ValueError, {"dtype": {"input_ids": "int9"}}),
    ],
    ids=str,
)
def test_pad_options_that_are_wrong(error, options):
    with pytest.raises(error, match=next(iter(options))):
        PadOptions({"input_ids": 0}, **options)


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (ValueError, {"length": 0}),
        (ValueError, {"length": 1 << 31}),
        (TypeError, {"length": None}),
        (TypeError, {"length": 4.0}),
        (TypeError, {"length": True}),
        (ValueError, {"strategy": "first_fit"}),
        (TypeError, {"strategy": None}),
        (ValueError, {"pack_window": 0}),
        (TypeError, {"pack_window": None}),
        (ValueError, {"too_long": "drop"}),
        (TypeError, {"pad_token_id": None}),
        (TypeError, {"pad_token_id": 0.0}),
        (ValueError, {"pad_token_id": 1 << 63}),
        (ValueError, {"label_pad_id": -(1 << 31) - 1, "dtype": "int32"}),
        (ValueError, {"eos_token_id": 1 << 31, "dtype": "int32"}),
        (TypeError, {"join_label": "x"}),
        (ValueError, {"dtype": "int16"}),
        (TypeError, {"tokens": b"input_ids"}),
        (TypeError, {"labels": None}),
    ],
    ids=str,
)
def test_pack_options_that_are_wrong(error, options):
    with pytest.raises(error, match=next(iter(options))):
        PackOptions(**{"length": 8, **options})


def test_numbers_of_numpy():
    pack = PackOptions(np.int64(8), pack_window=np.uint8(3), eos_token_id=np.int32(2))
    assert repr(pack) == repr(PackOptions(8, pack_window=3, eos_token_id=2))
