"""Every quantizer by the tag of its spec. A new one is one file and one line here."""

from __future__ import annotations

from vecstore.quantize.base import Quantizer
from vecstore.quantize.product import ProductQuantizer

QUANTIZERS: dict[str, type[Quantizer]] = {
    ProductQuantizer.name: ProductQuantizer,
}
