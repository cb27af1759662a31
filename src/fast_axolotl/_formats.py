# SPDX-License-Identifier: Apache-2.0
"""What formats there are, and which one a file has."""

from __future__ import annotations

import os

from fast_axolotl import _core, _paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fast_axolotl._paths import PathLike

_SAVED_DATASET = "hf_dataset"


def detect_format(path: PathLike) -> tuple[str, str | None]:
    """Tell the format and the compression of a file.

    Args:
        path: A file, whose first bytes decide before its name; a name of no file yet,
            which decides alone; or a folder.

    Returns:
        The format's name and ``"gzip"``, ``"zstd"`` or ``None``. For a folder that
        ``datasets`` saved the format is ``"hf_dataset"``; for another folder, format and
        compression are those of its first file.

    Raises:
        ValueError: Neither bytes nor name tell a format.
        OSError: The file exists and cannot be read.
        TypeError: ``path`` is not a path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path must be a str or a pathlib.Path, not {type(path).__name__}"
        )
    name = os.fspath(path)
    if os.path.isdir(name):
        if _paths.is_saved_dataset(name):
            return _SAVED_DATASET, None
        name = _paths.resolve(name)[0]
    detect = _core.detect_file if os.path.lexists(name) else _core.detect_name
    format_name, codec = detect(os.fsencode(name))
    if format_name is None:
        raise ValueError(
            f"the name {name!r} does not tell a format; names end in one of "
            f"{', '.join(s for _, suffixes in _core.formats() for s in suffixes)}, "
            "and may go on with .gz or .zst"
        )
    return format_name, codec


def list_supported_formats() -> list[str]:
    """Return the names of all formats.

    First the plain ones, which ``format=`` takes; then each with the suffix of each
    compression, such as ``"jsonl.zst"``; last ``"hf_dataset"``, a folder that
    ``datasets`` saved.
    """
    plain = [name for name, _ in _core.formats()]
    suffixes = [known[0] for _, known in _core.codecs()]
    return [*plain, *(name + s for name in plain for s in suffixes), _SAVED_DATASET]
