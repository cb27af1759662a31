# SPDX-License-Identifier: Apache-2.0
"""What pads where a peer leaves it to its user: numpy, into the final array.

torch's ``pad_sequence`` took as long on one thread, and ten times as long where its
threads had to share two cores with others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

FILL = {"input_ids": 0, "labels": -100, "attention_mask": 0}


def pad(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Tensors of equal length from rows of tensors or numpy arrays."""
    longest = max(len(row["input_ids"]) for row in rows)
    made = {}
    for name, fill in FILL.items():
        values = np.full((len(rows), longest), fill, np.int64)
        for at, row in enumerate(rows):
            values[at, : len(row[name])] = np.asarray(row[name])
        made[name] = torch.from_numpy(values)
    return made
