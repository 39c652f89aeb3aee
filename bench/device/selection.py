"""Selection alone: the k nearest of scores that are there, against a top-k of whole rows of them."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from bench.device.roofline import seconds
from vecstore.kernels.device.nearest import Nearest, write_answers
from vecstore.kernels.device.shortlist import Terms


def selection(device: Any, n: int, nq: int, k: int) -> dict[str, Any]:
    """n scores of each of nq queries in chunks of 2^20 rows; torch.topk over the same scores, where torch is there."""
    xp, step = device.xp, 1 << 20
    with device.working():
        scores = [xp.random.random((nq, min(step, n - low))).astype(np.float32) for low in range(0, n, step)]
        ones, zeros = xp.ones(nq, np.float32), xp.zeros((nq, 1), np.float32)
        rows, distances = np.empty((nq, k), np.int64), np.empty((nq, k), np.float32)

        def ours() -> None:
            nearest = Nearest(device, nq, k, step, False)
            first = nearest.chunks(n, step).__next__().stop
            nearest.take(xp.ascontiguousarray(scores[0][:, :first]), Terms(ones, zeros))
            rest = xp.ascontiguousarray(scores[0][:, first:])
            if rest.size:
                nearest.take(rest, Terms(ones, zeros, first=first))
            for at, part in enumerate(scores[1:], 1):
                nearest.take(part, Terms(ones, zeros, first=at * step))
            nearest.close()
            write_answers(device.get(nearest.answer(k)), rows, distances)

        taken = seconds(ours)
        line: dict[str, Any] = {"what": "selection", "rows": n, "batch": nq, "k": k, "ms": 1e3 * taken}
        if importlib.util.find_spec("torch") is not None and device.name != "numpy":
            line |= _beside_torch(device, scores, k, distances, taken)
    return line


def _beside_torch(device: Any, scores: list[Any], k: int, distances: np.ndarray, taken: float) -> dict[str, Any]:
    import torch

    device.finish()
    whole = torch.cat([torch.from_dlpack(part) for part in scores], dim=1)

    def theirs() -> Any:
        found = torch.topk(whole, k, dim=1, largest=False)
        torch.cuda.synchronize()
        return found

    best = theirs().values.cpu().numpy()
    other = seconds(theirs)
    return {
        "torch.topk ms": 1e3 * other,
        "ratio": other / taken,
        "same": bool((np.sort(best, axis=1) == distances).all()),
    }
