// Products of bytes by AMX tiles: 16 rows of 64 signed bytes times 64 bytes of 16 columns, added to 16 x 16 integers. A
// thread sets its tiles up before it multiplies and gives them back after. Only for files that are compiled for AMX.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace vecstore {
namespace {

constexpr std::size_t kTileRows = 16;   // of sums: rows of the left side, columns of the right one
constexpr std::size_t kTileBytes = 64;  // of one row of a tile; products are of so many bytes
constexpr std::size_t kTileSize = kTileRows * kTileBytes;
constexpr std::size_t kLeftRows = 2 * kTileRows;  // that are multiplied at once, at most

// GCC's intrinsics do not say that they read and write memory: what was stored at `p` is read, what is there was
// written.
inline void memory_is_seen(const void* p) { asm volatile("" : : "r"(p) : "memory"); }

// Sums of up to 32 rows (two tiles of them) and of 32 columns stand in tiles 0 to 3, by row tile and column tile; the
// left sides in 4 and 5, the right ones in 6 and 7.
class Tiles {
 public:
    explicit Tiles(std::size_t rows) {
        struct {
            std::uint8_t palette = 1, start = 0, reserved[14] = {};
            std::uint16_t row_bytes[16] = {};
            std::uint8_t rows[16] = {};
        } config;
        static_assert(sizeof config == 64);
        const auto of_tile = [rows](std::size_t m) {
            const std::size_t first = m * kTileRows;
            return static_cast<std::uint8_t>(rows <= first ? 1 : rows - first < kTileRows ? rows - first : kTileRows);
        };
        const std::uint8_t of[] = {of_tile(0), of_tile(0), of_tile(1), of_tile(1), of_tile(0), of_tile(1), 16, 16};
        for (int t = 0; t < 8; ++t) {
            config.row_bytes[t] = kTileBytes;
            config.rows[t] = of[t];
        }
        memory_is_seen(&config);
        _tile_loadconfig(&config);
    }
    ~Tiles() { _tile_release(); }
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;
};

// What a tile is read from: its first row, and how many bytes rows are apart.
struct Side {
    const void* data;
    std::size_t stride;
};

// Below, kTwo says whether there is a second tile of rows.

// From `starts`, (kLeftRows, kTileRows).
template <bool kTwo>
inline void start_tiles(const std::int32_t* starts) {
    _tile_loadd(0, starts, kTileBytes);
    _tile_loadd(1, starts, kTileBytes);
    if constexpr (kTwo) {
        _tile_loadd(2, starts + kTileRows * kTileRows, kTileBytes);
        _tile_loadd(3, starts + kTileRows * kTileRows, kTileBytes);
    }
}

// Signed left sides times unsigned right ones.
template <bool kTwo>
inline void add_tiles(Side left, Side second_left, Side right, Side second_right) {
    _tile_loadd(6, right.data, right.stride);
    _tile_loadd(4, left.data, left.stride);
    _tile_dpbsud(0, 4, 6);
    _tile_loadd(7, second_right.data, second_right.stride);
    _tile_dpbsud(1, 4, 7);
    if constexpr (kTwo) {
        _tile_loadd(5, second_left.data, second_left.stride);
        _tile_dpbsud(2, 5, 6);
        _tile_dpbsud(3, 5, 7);
    }
}

// Of each row, by half of the columns.
struct TileSums {
    alignas(64) std::int32_t sums[2][kLeftRows][kTileRows];

    template <bool kTwo>
    void store() {
        _tile_stored(0, sums[0][0], kTileBytes);
        _tile_stored(1, sums[1][0], kTileBytes);
        if constexpr (kTwo) {
            _tile_stored(2, sums[0][kTileRows], kTileBytes);
            _tile_stored(3, sums[1][kTileRows], kTileBytes);
        }
        memory_is_seen(sums);
    }
};

}  // namespace
}  // namespace vecstore
