"""Which compression suits these vectors: options measured on a sample of them, and a pick under a budget.

The optimum depends on the data, so nothing is assumed: every option is built over a sample and asked held-out queries.
"""

from vecstore.advise.advisor import Advice, Scored, advise
from vecstore.advise.options import Option, default_options
from vecstore.advise.sample import Sample, SampleReader, take_sample

__all__ = ["Advice", "Option", "Sample", "SampleReader", "Scored", "advise", "default_options", "take_sample"]
