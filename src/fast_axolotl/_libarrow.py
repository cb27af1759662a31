# SPDX-License-Identifier: Apache-2.0
"""Make sure that Arrow's C++ libraries can be found when ``_core`` is loaded.

``_core`` finds them by itself where pyarrow lies beside this package, as in an ordinary
site-packages. It does not in editable installs, with ``pip install --target``, or where
a user's site-packages shadows the system's. There the loader is helped by loading the
libraries first: it takes a library already loaded under the name it looks for.

pyarrow itself is never imported, which would cost an import of this package ten times
its time.
"""

from __future__ import annotations

import os
import sys

REQUIREMENT = "pyarrow>=26.0,<26.1"
_ABI = "2600"


def _library_name(stem: str) -> str:
    if sys.platform == "darwin":
        return f"lib{stem}.{_ABI}.dylib"
    return f"lib{stem}.so.{_ABI}"


# In the order of loading: parquet needs arrow.
LIBRARIES = (_library_name("arrow"), _library_name("parquet"))


def _holds_libraries(folder: str) -> bool:
    return all(os.path.isfile(os.path.join(folder, name)) for name in LIBRARIES)


def _refusal(found: str) -> ImportError:
    return ImportError(
        f"fast_axolotl needs the wheel of {REQUIREMENT}, but {found}: "
        f"run `{sys.executable} -m pip install '{REQUIREMENT}'`.",
        name="pyarrow",
    )


def _describe(folder: str) -> str:
    # Only reached on the way to an error, so the slow import stays out of the way.
    from importlib import metadata

    try:
        version = f"pyarrow {metadata.version('pyarrow')}"
    except metadata.PackageNotFoundError:
        version = "a pyarrow of unknown version"
    return f"{version} in {folder} does not hold {LIBRARIES[0]} and {LIBRARIES[1]}"


def preload(package: str) -> None:
    """Load Arrow's libraries unless they lie where ``_core`` looks for them.

    Args:
        package: The folder that holds ``_core``.

    Raises:
        ImportError: pyarrow is missing, or is not the release this was built for.
    """
    if _holds_libraries(os.path.join(os.path.dirname(package), "pyarrow")):
        return
    # Not needed in an ordinary installation.
    import ctypes
    from importlib.util import find_spec

    spec = find_spec("pyarrow")
    if spec is None or not spec.submodule_search_locations:
        raise _refusal("pyarrow is not installed")
    folder = next(iter(spec.submodule_search_locations))
    if not _holds_libraries(folder):
        raise _refusal(_describe(folder))
    for name in LIBRARIES:
        # Not RTLD_GLOBAL: being loaded is enough to be found by name, and Arrow's
        # symbols stay out of the way of every other extension in the process.
        ctypes.CDLL(os.path.join(folder, name))
