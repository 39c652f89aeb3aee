"""Kernels on a device, through the array interface that numpy and CuPy share: the same lines run without a GPU."""
