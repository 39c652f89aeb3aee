# Made from ../_async by `python -m vecstore.client.unasync`; edit there.
"""What every handle on a collection knows: its name, the schema, and what the client has written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Self, TypeVar

from vecstore.client.seqs import Seqs
from vecstore.client.transport import Transport
from vecstore.errors import InvalidArgument
from vecstore.schema import Schema
from vecstore.types import CollectionInfo

P = ParamSpec("P")
T = TypeVar("T")


class Handle:
    def __init__(
        self, transport: Transport, name: str, timeout_s: float, schema: Schema | None, seqs: Seqs | None
    ) -> None:
        self.name = name
        self._transport = transport
        self._limits = transport.settings.limits
        self._timeout_s = timeout_s
        self._schema = schema
        self._seqs = Seqs() if seqs is None else seqs

    def _sharing(self, seqs: Seqs) -> Self:
        """Have reads see what others write who share `seqs`, such as another client's handle."""
        self._seqs = seqs
        return self

    def info(self) -> CollectionInfo:
        """Own name, schema, sequence number and number of points. Raises NotFound (COLLECTION_NOT_FOUND)."""
        info = self._transport.collection_info(self.name)
        self._schema = info.schema
        self._seqs.heard(self.name, info.name)
        return info

    def schema(self) -> Schema:
        """The vector fields and indexed payload fields, read once for each handle."""
        return self._schema or (self.info()).schema

    def _by_schema(self, work: Callable[Concatenate[Schema, P], T], *of: P.args, **by: P.kwargs) -> T:
        """Done by the schema that the handle knows; where that is refused and the schema is another one by now, as an
        alias may have been switched, by that one."""
        known = self._schema
        try:
            return work(known or self.schema(), *of, **by)
        except InvalidArgument:
            if known is None or (self.info()).schema == known:
                raise
        return work(self.schema(), *of, **by)

    @property
    def last_seq(self) -> int:
        """The sequence number of the client's last write to the collection; reads wait for that write."""
        return self._seqs.last(self.name)

    @last_seq.setter
    def last_seq(self, seq: int) -> None:
        """Wait for a write that was made through another handle, too."""
        self._seqs.ask(self.name, seq)

    @property
    def _asked(self) -> int:
        return self._seqs.asked(self.name)

    @property
    def _seen(self) -> dict[str, int] | None:
        return self._seqs.seen(self.name)
