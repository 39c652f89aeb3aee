"""Every transform by the tag of its spec. A new one is one file and one line here."""

from __future__ import annotations

from vecstore.transform.base import Transform
from vecstore.transform.center import Center
from vecstore.transform.normalize import Normalize
from vecstore.transform.opq import OPQ
from vecstore.transform.pca import PCA
from vecstore.transform.rotation import Rotation
from vecstore.transform.truncate import Truncate

TRANSFORMS: dict[str, type[Transform]] = {kind.name: kind for kind in (Normalize, Center, Truncate, PCA, Rotation, OPQ)}
