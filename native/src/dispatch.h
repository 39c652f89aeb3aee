// The instruction set in use. Chosen once as the best that the CPU and the operating system support.
#pragma once

#include <string>
#include <vector>

#include "vecstore/ops.h"

namespace vecstore {

// Names that use_isa accepts on this machine, best first.
std::vector<std::string> supported_isas();

const Ops& current_ops();

// Throws std::invalid_argument for a name that is unknown or not supported here. Calls under way are not affected.
void use_isa(const std::string& name);

}  // namespace vecstore
