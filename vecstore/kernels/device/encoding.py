"""What encoding asks of a device: the functions of `kernels.encode`, to the last bit, over arrays on the device."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    def project(self, rows: Any, matrix: Any) -> NDArray[np.float32]: ...

    def hadamard(self, rows: Any, permutations: Any, factors: Any, block: int) -> NDArray[np.float32]:
        """`kernels.hadamard.hadamard_rounds`."""

    def row_dots(self, a: Any, b: Any) -> NDArray[np.float64]: ...

    def grid_steps(self, rows: Any, half: int, normal_step: float) -> NDArray[np.float32]: ...

    def grid_codes(self, rows: Any, inverse_rows: Any, inverse_dims: Any, halves: Any) -> NDArray[np.uint16]: ...

    def level_codes(self, rows: Any, inverse_rows: Any, bounds: Any) -> NDArray[np.uint16]: ...

    def nearest_codes(self, rows: Any, columns: Any, half_squares: Any) -> NDArray[np.uint8]: ...

    def shaped_codes(self, cells: Any, feedback: Any) -> NDArray[np.uint8]: ...

    def gather_bits(self, codes: Any, fields: Any, starts: Any) -> NDArray[np.uint8]:
        """With int32 fields (f, 4) of dim, shift, mask and position, those of byte b from starts[b] on."""
