"""Facets and distance matrices: checked, and answered from one view."""

from __future__ import annotations

from collections import Counter

import numpy as np

from vecstore import validate
from vecstore.engine.collection import Collection, View
from vecstore.engine.facet import Counts, count_values, most_frequent
from vecstore.engine.ordered import sampled
from vecstore.engine.params import field_of
from vecstore.engine.ranking_check import check_unscored
from vecstore.engine.read_path import Reader
from vecstore.engine.recommend import rows_within
from vecstore.engine.row_keys import by_segment, keys_of, rows_of
from vecstore.engine.search import allowed_by_segment, search_view
from vecstore.engine.stage_answers import EXACT
from vecstore.engine.stored_examples import read_examples
from vecstore.errors import invalid, limit_exceeded
from vecstore.facets import FacetRequest, Facets, Matrix, MatrixRequest
from vecstore.hits import id_array
from vecstore.kernels.stop import check_stop
from vecstore.query.filter import Filter, PointId
from vecstore.query.validate import check_key
from vecstore.ranking import Example, Sample
from vecstore.schema import score_of


class Overviews:
    """Threads may share one object."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def facet(self, collection: Collection, request: FacetRequest) -> Facets:
        """Exact counts. Raises InvalidArgument."""
        reader = self._reader
        limit = validate.check_count(request.limit, "limit", 1, "k_max", reader.settings.limits.k_max)
        check_key(request.key, "key")
        where = reader.checked_filter(request.filter, collection.schema)
        view = reader.view_at(collection, request.min_seq)
        counts: Counts = Counter()
        for segment in view.segments:
            check_stop()
            count_values(segment, reader.filtering.allowed(segment, where), request.key, counts)
        return Facets(most_frequent(counts, limit), view.seq)

    def matrix(self, collection: Collection, request: MatrixRequest) -> Matrix:
        """Raises InvalidArgument, and NotFound for a listed point that is not there or has no vector."""
        reader = self._reader
        limits = reader.settings.limits
        bound = limits.matrix_points_max
        name, field = field_of(collection.schema, request.using)
        if request.ids is not None and request.filter is not None:
            raise invalid("BAD_ARGUMENT", "ids and filter are both given: give one", "ids")
        wanted = validate.check_count(request.sample, "sample", 1, "matrix_points_max", bound)
        sample = check_unscored(Sample(request.seed), collection.schema, limits)
        assert isinstance(sample, Sample)
        where = reader.checked_filter(request.filter, collection.schema)
        view = reader.view_at(collection, request.min_seq)
        if request.ids is not None:
            if len(request.ids) > bound:
                raise limit_exceeded("matrix_points_max", len(request.ids), bound, path="ids count")
            ids = validate.check_ids(request.ids, limits)
        else:
            ids = self._chosen(view, name, where, sample, wanted)
        if not ids:
            return Matrix(id_array([]), np.empty((0, 0), np.float32), view.seq)
        given: list[tuple[str, Example]] = [(f"ids[{place}]", point_id) for place, point_id in enumerate(ids)]
        examples = read_examples(view, name, field, given, limits)
        keys = examples.own
        columns = np.unique(keys)
        queries = reader.terms.prepared(reader.kernels, view, name, field, examples.rows)
        within = rows_within(view.segments, columns)
        found = search_view(
            reader.kernels,
            view,
            name,
            queries,
            len(columns),
            None,
            reader.filtering,
            None,
            EXACT,
            within,
            exact=reader.exact,
        )
        scores = np.zeros((len(ids), len(columns)), np.float32)
        for query in range(len(ids)):
            used = found.rows[query] >= 0
            places = np.searchsorted(columns, keys_of(found, query)[used])
            scores[query, places] = score_of(field.metric, found.distances[query][used])
        return Matrix(id_array(ids), np.ascontiguousarray(scores[:, np.searchsorted(columns, keys)]), view.seq)

    def _chosen(self, view: View, name: str, where: Filter | None, sample: Sample, wanted: int) -> list[PointId]:
        """Ids of a sample of the points that match and have the vector."""
        allowed = allowed_by_segment(view, name, where, self._reader.filtering)
        keys = keys_of(sampled(view, allowed, sample, wanted))
        ids = np.empty(len(keys), object)
        for place, at in by_segment(keys):
            ids[at] = view.segments[place].segment.take_ids(rows_of(keys[at])).tolist()
        return list(ids)
