// Products of row codes by AMX tiles.
#include "isa.h"

#include "row_codes_amx.h"

namespace vecstore {

CodeDots amx_code_dots() {
    return {kLeftRows, true, tiled_code_dots<ByteSides, false>, tiled_code_dots<NibbleSides, true>};
}

}  // namespace vecstore
