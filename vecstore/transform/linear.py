"""What linear transforms share: unit length, orthonormality, the checks of a spec against a sample."""

from __future__ import annotations

import numpy as np

from vecstore.errors import Corruption, InvalidArgument
from vecstore.kernels.base import Float32Array
from vecstore.kernels.encode import row_dots
from vecstore.kernels.places import place_of, quotients


def unit_length(rows: Float32Array) -> Float32Array:
    """Rows divided by their length; a zero row stays zero. Lengths are float64: large and small values are safe."""
    if place_of(rows) is not None:
        lengths = np.sqrt(row_dots(rows, rows))[:, None]
        of_device: Float32Array = quotients(rows, lengths, lengths > 0, 0).astype(np.float32)
        return of_device
    wide = rows.astype(np.float64)
    norms = np.sqrt(np.einsum("nd,nd->n", wide, wide))[:, None]
    scaled: Float32Array = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0, casting="same_kind")
    return scaled


def check_orthonormal(name: str, columns: Float32Array) -> None:
    """Raises Corruption unless the columns of a stored basis (d, k) are orthonormal."""
    gram = columns.T @ columns
    error = float(np.abs(gram - np.eye(len(gram), dtype=np.float32)).max())
    if not error < 1e-3:
        raise Corruption(f"array {name} of a transform is not orthonormal: off by {error:.2g}")


def bad_spec(message: str) -> InvalidArgument:
    return InvalidArgument(message, reason="BAD_INDEX_SPEC")


def check_dim(what: str, dim: int, dim_in: int) -> None:
    """Raises InvalidArgument (BAD_INDEX_SPEC) unless 1 <= dim <= dim_in."""
    if not 1 <= dim <= dim_in:
        raise bad_spec(f"{what}.dim={dim} is not in 1..{dim_in}, the dimension of its input")


def check_sample(what: str, sample: Float32Array, least: int) -> None:
    """Raises InvalidArgument (BAD_INDEX_SPEC) when there are too few vectors to fit to."""
    if len(sample) < least:
        raise bad_spec(f"{what} is fitted to at least {least} vectors, the sample has {len(sample)}")
