# SPDX-License-Identifier: Apache-2.0
"""From what a user calls a path to the files to read, in their order."""

from __future__ import annotations

import errno
import os

from fast_axolotl import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final, TypeAlias

PathLike: TypeAlias = "str | os.PathLike[str]"
Paths: TypeAlias = "PathLike | Sequence[PathLike]"

# What `datasets` writes beside the data of a saved dataset.
_HF_METADATA: Final = frozenset({"state.json", "dataset_info.json", "dataset_dict.json"})

# Characters of a state.json that are read; a hundred thousand files take a tenth.
_MOST_STATE: Final = 1 << 26

_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}


_SUFFIXES: Final = frozenset(
    s for _, suffixes in (*_core.formats(), *_core.codecs()) for s in suffixes
)


class _HubIdError(FileNotFoundError, ValueError):
    """A path that is not there and looks like a dataset's id on a hub."""


def resolve(path: Paths) -> list[str]:
    """Return the files that ``path`` means, as the documentation's "Paths" says.

    Raises:
        FileNotFoundError: There is no such file, or the pattern matches none.
        ValueError: An empty list, a remote path, or a folder of which it is not clear
            which files are meant.
        TypeError: Not a path, nor a list of paths.
    """
    if isinstance(path, (list, tuple)):
        if not path:
            raise ValueError("path is an empty list: pass at least one file")
        entries = [_as_str(entry) for entry in path]
        return [file for entry in entries for file in _expand(entry)]
    return _expand(_as_str(path))


def is_saved_dataset(folder: str) -> bool:
    """Whether ``datasets`` saved a dataset in this folder."""
    return any(os.path.isfile(os.path.join(folder, name)) for name in _HF_METADATA)


def _as_str(path: object) -> str:
    if isinstance(path, (str, os.PathLike)):
        text = os.fspath(path)
        if isinstance(text, str):
            return text
    raise TypeError(
        "path must be a str, a pathlib.Path, or a list of these, "
        f"not {type(path).__name__}"
    )


def _expand(path: str) -> list[str]:
    _refuse_remote(path)
    if path.startswith("~") and not os.path.lexists(path):
        path = os.path.expanduser(path)
    if os.path.isdir(path):
        return _files_of_folder(path)
    # An existing file is itself, even if its name could be read as a pattern.
    if os.path.lexists(path):
        return [path]
    if any(wildcard in path for wildcard in "*?["):
        return _files_of_glob(path)
    raise _not_found(path)


def _refuse_remote(path: str) -> None:
    scheme, separator, _ = path.partition("://")
    if not separator:
        return
    import re

    if re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise ValueError(
            f"'{path}' is a remote path and fast_axolotl reads local files: download "
            "it first (for the Hugging Face hub: `hf download --repo-type dataset ...`), "
            "or mount it, and pass the local path"
        )


def _not_found(path: str) -> FileNotFoundError:
    import re

    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    reason = f"there is no such file; the nearest folder that does exist is '{folder}'"
    # "owner/name" with nothing of it on this disk.
    owner, _, name = path.partition("/")
    looks_like_id = re.fullmatch(r"[\w.-]+/[\w.-]+", path, re.ASCII) is not None
    known = _core.detect_name(os.fsencode(name))[0] is not None
    if (
        looks_like_id
        and not known
        and owner not in {".", ".."}
        and not os.path.isdir(owner)
    ):
        return _HubIdError(
            errno.ENOENT,
            f"{reason}; if this is the id of a dataset on the Hugging Face hub, download "
            f"it first with `hf download --repo-type dataset {path} --local-dir DIR` and "
            "pass the local folder",
            path,
        )
    return FileNotFoundError(errno.ENOENT, reason, path)


# --- globs ----------------------------------------------------------------------------


def _files_of_glob(pattern: str) -> list[str]:
    found = [name for name in set(_glob(pattern)) if os.path.isfile(name)]
    with_arrow = {os.path.dirname(name) for name in found if name.endswith(".arrow")}
    files = [
        name
        for name in found
        if os.path.basename(name) not in _HF_METADATA
        or os.path.dirname(name) not in with_arrow
    ]
    if not files:
        import re

        # The part before the first wildcard, as far as it is a folder.
        fixed = re.split(r"[*?[]", pattern, maxsplit=1)[0]
        folder = os.path.dirname(os.path.abspath(fixed + "x"))
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        raise FileNotFoundError(
            errno.ENOENT,
            f"the pattern matches no file; the folder that does exist is '{folder}'",
            pattern,
        )
    # Where "a//b" or "./b" are written, what is sorted is the rest of all names alike.
    return _by_bytes(files)


def _by_bytes(names: list[str]) -> list[str]:
    ascii_only = "".join(names).isascii()
    return sorted(names) if ascii_only else sorted(names, key=os.fsencode)


def _glob(pattern: str) -> Iterator[str]:
    """What ``glob.glob`` finds recursively, but never in circles of links."""
    import glob
    import re

    parts = re.split("/+", pattern)
    if "**" not in parts:
        yield from glob.glob(pattern)
        return
    at = parts.index("**")
    before, after = parts[:at], parts[at + 1 :] or ["*"]
    for base in glob.glob("/".join([*before, ""])) if before else [""]:
        for folder in _folders(base, ()):
            yield from _glob(glob.escape(folder) + "/".join(after))


def _folders(folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """A folder, written with a slash behind it, and all below it that are not hidden."""
    try:
        info = os.stat(folder or ".")
        with os.scandir(folder or ".") as entries:
            below = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    except OSError:
        return  # as in glob
    identity = (info.st_dev, info.st_ino)
    if identity not in above:
        yield folder
        for name in below:
            yield from _folders(f"{folder}{name}/", (*above, identity))


# --- folders --------------------------------------------------------------------------


def _files_of_folder(folder: str) -> list[str]:
    # All suffixes begin with a dot, and there may be very many files.
    by_end: dict[str, list[str]] = {}
    for below, names in _walk(folder, "", ()):
        for name in names:
            by_end.setdefault(name.partition(".")[2], []).append(below + name)
    by_format: dict[str, list[str]] = {}
    for end, names in by_end.items():
        format_name = _core.detect_name(os.fsencode(f".{end}"))[0] if end else None
        if format_name is not None:
            by_format.setdefault(format_name, []).extend(names)
    if len(by_format) > 1:
        by_format.pop("text", None)
    if not by_format:
        suffixes = ", ".join(s for _, known in _core.formats() for s in known)
        raise FileNotFoundError(
            errno.ENOENT,
            f"the folder holds no data file; known suffixes are {suffixes}, each also "
            "with .gz or .zst",
            folder,
        )
    if len(by_format) > 1:
        globs = ", ".join(
            f"'{_glob_of(folder, files[0])}'" for files in by_format.values()
        )
        raise ValueError(
            f"the folder '{folder}' holds files of several formats "
            f"({', '.join(sorted(by_format))}); choose with one of {globs}, or pass a "
            "list of files"
        )
    (files,) = by_format.values()
    _refuse_splits(folder, files)
    prefix = os.path.join(folder, "")
    return [prefix + name for name in _by_bytes(files)]


def _walk(
    folder: str, below: str, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str, list[str]]]:
    """The folders below one, "" or ending in a slash, each with the names of its files.

    Links are followed, never in circles.
    """
    here = os.path.join(folder, below[:-1]) if below else folder
    info = os.stat(here)
    identity = (info.st_dev, info.st_ino)
    if identity in above:
        return
    listed = _listed_files(here)
    if listed is not None:
        # One that is missing is kept: opening it says so.
        yield below, listed
        return
    files, folders = [], []
    with os.scandir(here) as entries:
        for entry in entries:
            name = entry.name
            if name[0] in "._" or name in _HF_METADATA:
                continue
            if entry.is_dir():
                folders.append(name)
            elif entry.is_file() or entry.is_symlink():
                # A link that leads nowhere is kept: opening it says so.
                files.append(name)
    yield below, files
    for name in folders:
        yield from _walk(folder, f"{below}{name}/", (*above, identity))


def _listed_files(folder: str) -> list[str] | None:
    """The data files of a saved dataset; what `map` has cached may lie beside them.

    Raises:
        ValueError: One of them does not lie in the folder.
    """
    path = os.path.join(folder, "state.json")
    try:
        with open(path, encoding="utf-8") as file:
            import json

            text = file.read(_MOST_STATE)
            names = [str(entry["filename"]) for entry in json.loads(text)["_data_files"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    for name in names:
        # Whoever wrote the folder is not to choose what else is read.
        if os.path.basename(name) != name or name in ("", ".", ".."):
            raise ValueError(
                f"{path!r} lists {name!r}, and only files in the folder itself are read"
            )
    return names


def _suffix(name: str) -> str:
    """Everything from the format's suffix on: ".jsonl.gz"."""
    base = os.path.basename(name)
    rest = base
    while True:
        stem, extension = os.path.splitext(rest)
        if extension.lower() not in _SUFFIXES:
            return base[len(rest) :]
        rest = stem


def _glob_of(folder: str, name: str) -> str:
    return os.path.join(folder, "**", "*" + _suffix(name))


def _refuse_splits(folder: str, files: list[str]) -> None:
    """Refuse a folder with training data beside validation or test data."""
    globs: dict[str, str] = {}
    text = "\n".join(files).lower()
    if not any(word in text for word in _SPLITS):
        return  # at once, for there may be very many files
    for name in files:
        split = _split_of(name)
        if split is not None:
            globs.setdefault(split[0], os.path.join(folder, split[1]))
    if "train" in globs and len(globs) > 1:
        choice = ", ".join(f"'{pattern}'" for pattern in globs.values())
        raise ValueError(
            f"the folder '{folder}' holds several splits ({', '.join(sorted(globs))}), "
            f"which are not to be mixed; choose with one of {choice}, or pass a list of "
            "files"
        )


def _words(text: str) -> list[str]:
    """The words of a name: runs of the letters A to Z, in either case."""
    return "".join(c if c.isascii() and c.isalpha() else " " for c in text).split()


def _split_of(name: str) -> tuple[str, str] | None:
    """The split that a file's relative path names, and a glob for its files."""
    parts = name.split(os.sep)
    for depth, part in enumerate(parts):
        is_file = depth == len(parts) - 1
        stem = part.removesuffix(_suffix(part)) if is_file else part
        for word in _words(stem):
            split = _SPLITS.get(word.lower())
            if split is None:
                continue
            if is_file:
                return split, os.path.join(*parts[:-1], f"*{word}*{_suffix(name)}")
            return split, os.path.join(*parts[: depth + 1], "**", f"*{_suffix(name)}")
    return None
