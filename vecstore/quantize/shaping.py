"""Where the error of rounding goes: away from the directions along which queries lie.

A row x and its code's y differ by e, and a score by <q, e>. For queries with second moments M that is e' M e on
average, more than |e|^2 tells where M has large directions, such as the rows' mean. With M = R' R, R upper triangular,

    e' M e = sum over i of (R_ii e_i + sum over j > i of R_ij e_j)^2

so rounding from the last dimension on, each after R_ij / R_ii of every later error e_j was added to it, leaves of each
term only what rounding that one dimension does: Babai's nearest plane (Combinatorica 6, 1986), GPTQ's order of rounding
(arXiv 2210.17323). Queries are taken to be like the rows, with a little in every direction: shares of .03, .1, .3, 1
and 3 of the mean variance err by 10.5, 10.4, 10.2, 10.2 and 10.5 on e5's queries, which are not like its rows, and by
31.1, 31.6, 32.4, 34.8 and 37.7 on MiniLM's, where faiss's SQ8 errs by 12 and 44 (1e-5, see bench.code_recall).
"""

from __future__ import annotations

import numpy as np

from vecstore.kernels.base import Float32Array

_ANY_DIRECTION = 0.3  # of the mean variance; more where the sample is too small to tell directions apart
_LARGEST = 1e6  # of a factor: a dimension that hardly varies cannot make up for the others
_LEAST_SHARE = 1e-6  # of what any direction weighs beside all of them
_JUDGED, _QUERIES, _NEAREST = 4096, 256, 40  # rows that codes are judged by, those that ask, and what each is near to


def feedback(sample: Float32Array, step: Float32Array) -> Float32Array:
    """The factors of `kernels.encode.shaped_codes` (dim * (dim - 1) / 2,) for rows like the sample (n, dim) in steps
    (dim,)."""
    wide = sample.astype(np.float64)
    dim = wide.shape[1]
    moments = wide.T @ wide / len(wide)
    varying = np.trace(moments) - np.square(wide.mean(axis=0)).sum()
    ridge = max((_ANY_DIRECTION + dim / len(wide)) * varying / dim, _LEAST_SHARE * np.trace(moments))
    if not 0 < ridge < np.inf:
        return np.zeros(dim * (dim - 1) // 2, np.float32)
    lower = np.linalg.cholesky(moments + ridge * np.eye(dim))  # lower[j, i] is R_ij
    steps = step.astype(np.float64)
    factors = lower * steps[:, None] / (np.diag(lower) * steps)
    return np.clip(factors[np.tril_indices(dim, -1)], -_LARGEST, _LARGEST).astype(np.float32)


def judged(sample: Float32Array) -> Float32Array:
    """The rows of a sample (n, dim) that `near_error` is taken over."""
    return sample[:: -(-len(sample) // _JUDGED)]


def near_error(rows: Float32Array, decoded: Float32Array) -> float:
    """Mean square of what codes change in the scores of rows near a row, less what they change in all of these: how
    much they disturb the order of the nearest. Rows and what their codes stand for, (n, dim)."""
    asking = np.arange(0, len(rows), -(-len(rows) // _QUERIES))
    near = min(_NEAREST, len(rows) - 1)
    if near < 2:
        return 0.0
    queries = rows[asking]
    scores = queries @ rows.T
    scores[np.arange(len(asking)), asking] = -np.inf  # a row is not its own neighbour
    found = np.argpartition(-scores, near - 1, axis=1)[:, :near]
    missed = np.einsum("qd,qnd->qn", queries, (decoded - rows)[found])
    return float(np.square(missed - missed.mean(axis=1, keepdims=True)).mean())
