"""Libraries that vecstore is measured beside, one file each. What is not installed is left out."""

from __future__ import annotations

import importlib.util
import sys

from bench.peers.chroma import Chroma
from bench.peers.faiss_flat import FaissFlat
from bench.peers.hnsw import HnswlibBruteForce, HnswlibHnsw
from bench.peers.lance import Lance
from bench.peers.numpy_blas import NumpyBlas
from bench.peers.qdrant import QdrantEdge, QdrantLocal
from bench.systems.base import Peer

PEERS: dict[str, type[Peer]] = {
    peer.name: peer
    for peer in (FaissFlat, HnswlibBruteForce, HnswlibHnsw, NumpyBlas, QdrantEdge, QdrantLocal, Lance, Chroma)
}


def available(metric: str) -> list[str]:
    """Names of the peers that know the metric and are installed; says on stderr which are not installed."""
    names = []
    for name, peer in PEERS.items():
        if metric not in peer.metrics:
            continue
        if importlib.util.find_spec(peer.needs) is None:
            print(f"{name}: left out, module {peer.needs} is not installed", file=sys.stderr)
            continue
        names.append(name)
    return names
