# SPDX-License-Identifier: Apache-2.0
"""What batches are handed over as: lists, arrays, record batches; padded or packed."""

from __future__ import annotations

from fast_axolotl import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, Literal, TypeAlias

    from fast_axolotl._source import BatchSource
    from fast_axolotl._tensors import PackOptions, PadOptions

Output: TypeAlias = "Literal['python', 'numpy', 'torch', 'arrow']"
Transform: TypeAlias = "Callable[[Any], Any]"

_OUTPUTS: Final = ("python", "numpy", "torch", "arrow")


class Handover:
    """What becomes of decoded rows until the caller has them; plain values only."""

    def __init__(
        self,
        output: Output,
        pad: PadOptions | None,
        pack: PackOptions | None,
        transform: Transform | None,
    ) -> None:
        self.output: Final = output
        self.pad: Final = pad
        self.pack: Final = pack
        self.transform: Final = transform

    @property
    def keeps_rows(self) -> bool:
        """Whether batches hold the rows of the files, in whatever form."""
        return self.transform is None and self.pad is None and self.pack is None

    def core(self, dataset: _core.Dataset) -> _core.Output:
        """Return what the core makes of rows.

        Raises:
            ValueError: ``pad`` names columns that are not there or hold no numbers.
        """
        if self.transform is not None and (self.pad is not None or self.pack is not None):
            # What is padded or packed is what the function returns.
            return _core.Output.make("python", None, dataset)
        if self.pack is not None:
            return _core.Output.units(self.pack.core(), dataset)
        pad = None if self.pad is None else self.pad.core()
        return _core.Output.make(self.output, pad, dataset)

    @property
    def gives_record_batches(self) -> bool:
        """Whether batches are record batches of the data's schema."""
        return self.output == "arrow" and self.transform is None

    def functions(self) -> tuple[Transform, ...]:
        """Return what is called on batches that were read, where nothing is packed."""
        if self.transform is None or self.pack is not None:
            return ()
        if self.pad is None:
            return (self.transform,)
        from fast_axolotl._tensors import Padder

        return self.transform, Padder(self.pad, self.output == "torch")

    def run(
        self,
        source: BatchSource,
        maps: tuple[Transform, ...] = (),
        limit: int | None = None,
    ) -> BatchSource:
        """Return the source with all Python functions called ahead, if there are any.

        Args:
            source: What gives the batches, packed ones where there is ``pack``.
            maps: What to call on batches after all else.
            limit: How many batches will be asked for, ``None`` for all.
        """
        functions = (*self.functions(), *maps)
        if functions or self.pack is not None:
            from fast_axolotl._ahead import Ahead

            return Ahead(source, functions, limit)
        return source


def check(output: object, pad: object, pack: object, transform: object) -> Handover:
    """Check the arguments.

    Raises:
        ValueError: An argument has a wrong value.
        TypeError: An argument is of a wrong type.
        ImportError: What ``output`` names is not installed; or, with ``pad`` or ``pack``
            and no ``output``, neither torch nor numpy is.
    """
    tensors = pad is not None or pack is not None
    padding, packing = _check_tensors(pad, pack) if tensors else (None, None)
    if output is None:
        output = _array_library() if tensors else "python"
    kind = check_output(output)
    if tensors and kind not in ("numpy", "torch"):
        raise ValueError(
            f"{'pad' if pack is None else 'pack'} makes tensors: output must be "
            f'"torch" or "numpy", not {kind!r}'
        )
    if transform is not None and not callable(transform):
        raise TypeError(
            f"transform must be a function or None, not {type(transform).__name__}"
        )
    return Handover(kind, padding, packing, transform)


def _check_tensors(
    pad: object, pack: object
) -> tuple[PadOptions | None, PackOptions | None]:
    from fast_axolotl._tensors import PackOptions, PadOptions

    padding = pad if isinstance(pad, PadOptions) or pad is None else PadOptions(pad)  # type: ignore[arg-type]
    if pack is not None and not isinstance(pack, PackOptions):
        raise TypeError(f"pack must be a PackOptions or None, not {type(pack).__name__}")
    if pack is not None and padding is not None:
        raise ValueError("pad and pack exclude each other: packed rows are of one length")
    return padding, pack


def check_output(output: object) -> Output:
    """Check the name of an output."""
    if not isinstance(output, str):
        raise TypeError(f"output must be a str or None, not {type(output).__name__}")
    if output not in _OUTPUTS:
        raise ValueError(
            f"unknown output {output!r}; the outputs are {', '.join(_OUTPUTS)}"
        )
    if output in ("numpy", "torch") and not _is_installed(output):
        raise ImportError(f"output={output!r} needs {output}: pip install {output}")
    return output  # type: ignore[return-value]


def _array_library() -> Output:
    if _is_installed("torch"):
        return "torch"
    if _is_installed("numpy"):
        return "numpy"
    raise ImportError("pad= and pack= need torch or numpy: pip install torch")


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None
