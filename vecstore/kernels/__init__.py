"""Kernels: a few operations over arrays, one protocol, backends native, numba and numpy. No ids, no policy."""
