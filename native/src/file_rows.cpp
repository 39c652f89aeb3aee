#include "file_rows.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "thread_pool.h"

namespace vecstore {

namespace {

constexpr std::size_t kTaskRows = 64;
constexpr std::size_t kTasksPerWorker = 4;  // fewer are done before a sleeping thread is awake

// 0, or the errno of a failure.
int read_row(int file, std::int64_t number, std::size_t row_bytes, std::uint8_t* out) {
    const off_t start = static_cast<off_t>(number) * static_cast<off_t>(row_bytes);
    for (std::size_t done = 0; done < row_bytes;) {
        const ssize_t got = pread(file, out + done, row_bytes - done, start + static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return got < 0 ? errno : EIO;
        done += static_cast<std::size_t>(got);
    }
    return 0;
}

}  // namespace

std::int64_t read_rows(int file, const std::int64_t* numbers, std::size_t n, std::size_t row_bytes, std::uint8_t* out) {
    std::atomic<std::int64_t> found{0};
    std::atomic<int> failure{0};
    const std::size_t tasks = (n + kTaskRows - 1) / kTaskRows;
    parallel_for(tasks, std::min(threads(), 1 + tasks / kTasksPerWorker), [&](std::size_t, std::size_t task) {
        std::int64_t read = 0;
        const std::size_t end = std::min(n, (task + 1) * kTaskRows);
        for (std::size_t i = task * kTaskRows; i < end; ++i) {
            if (numbers[i] < 0) continue;
            if (const int error = read_row(file, numbers[i], row_bytes, out + i * row_bytes)) failure = error;
            ++read;
        }
        found += read;
    });
    return failure != 0 ? -failure : found.load();
}

}  // namespace vecstore
