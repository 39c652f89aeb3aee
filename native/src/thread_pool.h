// A pool of helpers for short data-parallel jobs. The caller always works too, so a job never waits for the pool, and
// several callers may run jobs at once.
#pragma once

#include <cstddef>
#include <functional>

namespace vecstore {

// Threads one job may use, the caller included; 0 means one for each CPU this process may run on.
void set_threads(std::size_t threads);
std::size_t threads();

// Calls body(worker, task) for every task in 0..tasks-1. Tasks start in ascending order; each worker (0..workers-1, one
// thread each) therefore sees its own tasks in ascending order. workers <= 1 runs inline. Rethrows a body's exception.
// Before each task the caller's stop is asked (stop.h), so bodies that run long ask it themselves as well.
void parallel_for(std::size_t tasks, std::size_t workers, const std::function<void(std::size_t, std::size_t)>& body);

}  // namespace vecstore
