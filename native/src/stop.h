// A request to end work early, asked for now and then by whatever runs long: a caller went away, or its time is up.
//
// It belongs to the thread that called in and to the helpers that work for it. What is stopped throws Stopped, so that
// nobody takes half an answer for one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>

namespace vecstore {

class Stopped : public std::exception {
 public:
    const char* what() const noexcept override { return "stopped"; }
};

struct Stop {
    // 0: go on; negative: stop; positive: stop when asked so many times more (tests find by it where work ends).
    std::atomic<std::int32_t>* flag = nullptr;
    std::int64_t deadline_ns = 0;  // of the steady clock
};

// Null where nothing may stop this thread, as in upkeep.
extern constinit thread_local const Stop* current_stop;

// Sets what may stop the calling thread from now on; a null flag lets nothing. `seconds` from now; infinite: never.
void set_stop(std::atomic<std::int32_t>* flag, double seconds);

// Throws Stopped where the calling thread should stop. Reads the clock: some 30 ns.
void throw_if_stopped();

inline void check_stop() {
    if (current_stop != nullptr) throw_if_stopped();
}

// The same for a loop of small steps: asks once in so many bytes read, or what takes as long as that.
class StopPoll {
 public:
    void operator()(std::size_t bytes) {
        done_ += bytes;
        if (done_ < kBytes) return;
        done_ = 0;
        check_stop();
    }

 private:
    static constexpr std::size_t kBytes = 256 * 1024;
    std::size_t done_ = 0;
};

}  // namespace vecstore
