#include "isa.h"

#include "elements.h"
#include "lanes_scalar.h"

#include "dense_kernels.h"
#include "hamming_words.h"
#include "row_codes_lanes_scalar.h"
#include "table_sums_scalar.h"

#include "row_codes_kernels.h"
#include "table_kernels.h"

namespace vecstore {

Ops scalar_ops() {
    Ops ops = dense_ops("scalar");
    ops.hamming = hamming_by_words;
    ops.read = read_by_words;
    add_table_ops(ops);
    ops.code_dots = row_code_dots();
    return ops;
}

}  // namespace vecstore
