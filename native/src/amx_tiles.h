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

}  // namespace
}  // namespace vecstore
