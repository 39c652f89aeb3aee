#include "stop.h"

#include <chrono>
#include <limits>

namespace vecstore {
namespace {

constinit thread_local Stop mine;

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace

constinit thread_local const Stop* current_stop = nullptr;

void set_stop(std::atomic<std::int32_t>* flag, double seconds) {
    constexpr double kLongest = 1e9;  // seconds, which a sum of nanoseconds can hold
    mine.flag = flag;
    mine.deadline_ns = seconds < kLongest ? now_ns() + static_cast<std::int64_t>(seconds * 1e9)
                                          : std::numeric_limits<std::int64_t>::max();
    current_stop = flag == nullptr ? nullptr : &mine;
}

void throw_if_stopped() {
    const Stop& stop = *current_stop;
    const std::int32_t left = stop.flag->load(std::memory_order_relaxed);
    if (left < 0) throw Stopped();
    if (left > 0 && stop.flag->fetch_sub(1, std::memory_order_relaxed) <= 1) {
        stop.flag->store(-1, std::memory_order_relaxed);
        throw Stopped();
    }
    if (now_ns() >= stop.deadline_ns) throw Stopped();
}

}  // namespace vecstore
