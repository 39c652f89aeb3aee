"""Measurements: recall, rate, latency, build time, memory and disk of vecstore and of peer libraries, on HDF5 files in
ann-benchmarks' format. Run `python -m bench`; README.md here says how to reproduce each published figure."""

from vecstore.wire.loading import load_grpc

load_grpc()  # before any module here imports it: measured is what servers and the SDK run with
