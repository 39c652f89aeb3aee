// The nearest rows found for each row while a graph is built: with distances while more are found, then row numbers
// alone, which take half the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

namespace vecstore {

class Reservoirs {
 public:
    using Key = std::uint64_t;  // the bits of a distance (never negative) above a row

    Reservoirs(std::size_t n, std::size_t capacity);

    std::size_t capacity() const { return capacity_; }
    std::size_t size(std::size_t row) const { return held_[row]; }
    // Ascending; of rows that were not packed.
    Key* keys(std::size_t row) { return reinterpret_cast<Key*>(memory_.get()) + row * capacity_; }
    void resize(std::size_t row, std::size_t size) { held_[row] = static_cast<std::uint16_t>(size); }
    // Moves the numbers of the next rows, up to `end`, to the front, and gives the system back what is left free.
    void pack(std::size_t end);
    std::size_t packed() const { return packed_; }
    // Appends the numbers of a row.
    void append(std::size_t row, std::vector<std::uint32_t>& to) const;

 private:
    struct Free {
        void operator()(std::uint8_t* memory) const { std::free(memory); }
    };

    std::size_t capacity_, packed_ = 0, released_ = 0;  // released_: bytes from the front that were given back once
    std::unique_ptr<std::uint8_t[], Free> memory_;      // not touched before it is used
    std::vector<std::uint16_t> held_;
};

}  // namespace vecstore
