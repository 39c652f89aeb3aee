"""Kernels compiled by Numba for the machine at hand: the portable equal of the native backend."""

from __future__ import annotations

from vecstore.kernels.codes_numba_backend import NumbaCodes
from vecstore.kernels.graph_numba_backend import NumbaGraphs
from vecstore.kernels.seismic_numba_backend import NumbaSeismic
from vecstore.kernels.sparse_numba_kernels import NumbaSparse
from vecstore.kernels.tokens_numba_backend import NumbaTokens


class NumbaKernels(NumbaCodes, NumbaGraphs, NumbaTokens, NumbaSparse, NumbaSeismic):
    name = "numba"
    isa = "jit"
