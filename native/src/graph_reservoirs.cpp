#include "graph_reservoirs.h"

#include <algorithm>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace vecstore {

Reservoirs::Reservoirs(std::size_t n, std::size_t capacity)
    : capacity_(capacity),
      memory_(static_cast<std::uint8_t*>(std::malloc(std::max<std::size_t>(1, n * capacity * sizeof(Key))))),
      held_(n, 0) {
    if (memory_ == nullptr) throw std::bad_alloc();
}

void Reservoirs::pack(std::size_t end) {
    std::vector<std::uint32_t> numbers(capacity_);
    const std::size_t bytes = capacity_ * sizeof(std::uint32_t);
    for (; packed_ < end; ++packed_) {
        const Key* from = keys(packed_);
        for (std::size_t i = 0; i < held_[packed_]; ++i) numbers[i] = static_cast<std::uint32_t>(from[i]);
        std::memcpy(memory_.get() + packed_ * bytes, numbers.data(), bytes);
    }
#if defined(__linux__)
    // Between the packed rows and the others.
    const std::uintptr_t page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto base = reinterpret_cast<std::uintptr_t>(memory_.get());
    const std::uintptr_t first = (base + std::max(packed_ * bytes, released_) + page - 1) / page * page;
    const std::uintptr_t last = (base + packed_ * capacity_ * sizeof(Key)) / page * page;
    if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
    released_ = packed_ * capacity_ * sizeof(Key);
#endif
}

void Reservoirs::append(std::size_t row, std::vector<std::uint32_t>& to) const {
    if (row >= packed_) {
        const Key* from = reinterpret_cast<const Key*>(memory_.get()) + row * capacity_;
        for (std::size_t i = 0; i < held_[row]; ++i) to.push_back(static_cast<std::uint32_t>(from[i]));
        return;
    }
    const std::size_t before = to.size(), bytes = capacity_ * sizeof(std::uint32_t);
    to.resize(before + held_[row]);
    std::memcpy(to.data() + before, memory_.get() + row * bytes, held_[row] * sizeof(std::uint32_t));
}

}  // namespace vecstore
