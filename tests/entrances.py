# SPDX-License-Identifier: Apache-2.0
"""The functions and classes that take files and options."""

import inspect

import fast_axolotl
from fast_axolotl import streaming_dataset_reader

ENTRANCES = {
    "streaming_dataset_reader": streaming_dataset_reader,
    "create_streaming_dataset": fast_axolotl.create_streaming_dataset,
    "StreamingDataset": fast_axolotl.StreamingDataset,
    "count_rows": fast_axolotl.count_rows,
}


def everywhere(**options):
    """Every entrance that takes all of the options."""
    found = []
    for make in ENTRANCES.values():
        parameters = inspect.signature(make).parameters
        if all(name in parameters for name in options):
            found.append(make)
    assert streaming_dataset_reader in found
    return found
