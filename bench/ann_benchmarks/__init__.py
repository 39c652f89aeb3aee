"""vecstore as an algorithm of ann-benchmarks: copy this folder to ann_benchmarks/algorithms/vecstore there."""
