#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "stop.h"

namespace vecstore {
namespace {

using Body = std::function<void(std::size_t, std::size_t)>;

struct Job {
    const Body& body;
    const std::size_t tasks;
    const Stop* const stop;
    std::size_t seats;            // helpers that may still join; guarded by Pool::mutex
    std::size_t next_worker = 1;  // guarded by Pool::mutex
    std::size_t helping = 0;      // helpers inside run(); guarded by Pool::mutex
    std::exception_ptr error;     // guarded by Pool::mutex
    std::atomic<std::size_t> next_task{0};

    void run(std::size_t worker, std::mutex& mutex) {
        try {
            for (std::size_t task; (task = next_task.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
                check_stop();
                body(worker, task);
            }
        } catch (...) {
            next_task.store(tasks, std::memory_order_relaxed);
            const std::lock_guard lock(mutex);
            if (!error) error = std::current_exception();
        }
    }
};

// Never destroyed: helpers may be blocked in it while the process exits.
class Pool {
 public:
    void run(Job& job) {
        const std::size_t wanted = job.seats;
        {
            const std::lock_guard lock(mutex_);
            while (helpers_ < wanted) {
                try {
                    std::thread([this] { help(); }).detach();
                } catch (const std::system_error&) {
                    break;  // no more threads to be had: the caller and the existing helpers do the work
                }
                ++helpers_;
            }
            jobs_.push_back(&job);
        }
        for (std::size_t i = 0; i < wanted; ++i) wake_.notify_one();
        job.run(0, mutex_);
        std::unique_lock lock(mutex_);
        std::erase(jobs_, &job);
        done_.wait(lock, [&] { return job.helping == 0; });
        if (job.error) std::rethrow_exception(job.error);
    }

 private:
    void help() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return !jobs_.empty(); });
            Job& job = *jobs_.front();
            const std::size_t worker = job.next_worker++;
            ++job.helping;
            if (--job.seats == 0) jobs_.pop_front();
            lock.unlock();
            current_stop = job.stop;  // the caller's, who waits until this is done
            job.run(worker, mutex_);
            current_stop = nullptr;
            lock.lock();
            std::erase(jobs_, &job);  // its tasks are all taken
            if (--job.helping == 0) done_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::deque<Job*> jobs_;
    std::size_t helpers_ = 0;
};

std::atomic<Pool*> pool{nullptr};
std::atomic<std::size_t> thread_limit{0};

std::size_t cpu_count() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
    return std::max(1u, std::thread::hardware_concurrency());
}

Pool& the_pool() {
    static std::once_flag once;
    std::call_once(once, [] {
        pool.store(new Pool);
        // A forked child has no helpers and maybe a locked mutex: it starts over with a pool of its own.
        pthread_atfork(nullptr, nullptr, [] { pool.store(new Pool); });
    });
    return *pool.load();
}

}  // namespace

void set_threads(std::size_t threads) { thread_limit.store(threads); }

std::size_t threads() {
    const std::size_t limit = thread_limit.load();
    if (limit != 0) return limit;
    static const std::size_t cpus = cpu_count();
    return cpus;
}

void parallel_for(std::size_t tasks, std::size_t workers, const Body& body) {
    workers = std::min(workers, tasks);
    if (workers <= 1) {
        for (std::size_t task = 0; task < tasks; ++task) {
            check_stop();
            body(0, task);
        }
        return;
    }
    Job job{.body = body, .tasks = tasks, .stop = current_stop, .seats = workers - 1, .error = nullptr};
    the_pool().run(job);
}

}  // namespace vecstore
