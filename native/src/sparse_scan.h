// Exact search of sparse rows by reading them.
#pragma once

#include "scan.h"
#include "sparse_query.h"

namespace vecstore {

// `queries` has float32 values; rows without an index of the query are no answer.
void sparse_scan(const SparseView& queries, const SparseView& rows, const Saturation* saturation,
                 const std::uint64_t* allowed, const TopKOutput& output);

// candidates and distances are (nq, m); +inf where a candidate is -1 or shares no index with its query. Throws
// std::invalid_argument for a row >= n.
void sparse_rerank(const SparseView& queries, const SparseView& rows, const Saturation* saturation,
                   const std::int64_t* candidates, std::size_t m, float* distances);

// How many allowed rows hold each of `count` terms, which ascend.
void sparse_document_frequency(const std::uint32_t* terms, std::size_t count, const SparseView& rows,
                               const std::uint64_t* allowed, std::int64_t* counts);

// Adds how many allowed rows from `first` on hold each term.
void add_document_frequency(const std::uint32_t* terms, std::size_t count, const SparseView& rows,
                            const std::uint64_t* allowed, std::size_t first, std::int64_t* counts);

// The queries of a batch, prepared for these rows. Throws std::invalid_argument.
std::vector<SparseQuery> prepare_queries(const SparseView& queries, const SparseView& rows);

}  // namespace vecstore
