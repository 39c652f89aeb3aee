// Python bindings of rank expressions.
#include <optional>

#include "bindings.h"
#include "formula.h"

using namespace vecstore;

namespace {

constexpr std::size_t kLong = 1 << 16;  // values computed, from which on other threads of Python go on meanwhile

void formula(Input code, Input constants, Input columns, Output out) {
    check("code", code, kInt32, {kAny, 2});
    check("constants", constants, kFloat64, {kAny});
    check("columns", columns, kFloat64, {kAny, kAny});
    check("out", out, kFloat64, {columns.shape(1)});
    const FormulaProgram program{data_of<FormulaStep>(code),
                                 code.shape(0),
                                 data_of<double>(constants),
                                 constants.shape(0),
                                 data_of<double>(columns),
                                 columns.shape(0),
                                 columns.shape(1)};
    const std::size_t depth = formula_depth(program);
    if (depth == 0) fail("the program reads what is not there, or leaves another number of values than one");
    std::optional<nb::gil_scoped_release> release;
    if (program.n * program.nsteps >= kLong) release.emplace();
    run_formula(program, depth, static_cast<double*>(out.data()));
}

}  // namespace

void vecstore::bind_formula(nb::module_& m) {
    m.def("run_formula", &formula, nb::arg("code").noconvert(), nb::arg("constants").noconvert(),
          nb::arg("columns").noconvert(), nb::arg("out").noconvert());
}
