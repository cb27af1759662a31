# SPDX-License-Identifier: Apache-2.0
"""The repository's maker of sample data, as a module for the tests."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_spec = importlib.util.spec_from_file_location(
    "make_sample_data", ROOT / "scripts" / "make_sample_data.py"
)
maker = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maker)
