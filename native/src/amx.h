// Whether this process may use AMX tiles of bytes.
#pragma once

namespace vecstore {

// Asks the operating system for the tiles' registers, which takes effect for all threads.
bool has_amx();

}  // namespace vecstore
