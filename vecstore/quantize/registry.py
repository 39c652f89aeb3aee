"""Every quantizer by the tag of its spec. A new one is one file and one line here."""

from __future__ import annotations

from vecstore.quantize.base import Quantizer
from vecstore.quantize.binary import BinaryQuantizer
from vecstore.quantize.float8 import Float8Quantizer
from vecstore.quantize.int4 import Int4Quantizer
from vecstore.quantize.int8 import Int8Quantizer
from vecstore.quantize.lloyd_max import LloydMax
from vecstore.quantize.product import ProductQuantizer
from vecstore.quantize.rabitq import RaBitQ
from vecstore.quantize.saq import SAQ
from vecstore.quantize.scalar import BFloat16Quantizer, Float16Quantizer

QUANTIZERS: dict[str, type[Quantizer]] = {
    Float16Quantizer.name: Float16Quantizer,
    BFloat16Quantizer.name: BFloat16Quantizer,
    Float8Quantizer.name: Float8Quantizer,
    Int8Quantizer.name: Int8Quantizer,
    Int4Quantizer.name: Int4Quantizer,
    BinaryQuantizer.name: BinaryQuantizer,
    LloydMax.name: LloydMax,
    ProductQuantizer.name: ProductQuantizer,
    RaBitQ.name: RaBitQ,
    SAQ.name: SAQ,
}
