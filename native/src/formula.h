// Arithmetic over columns by a program for a machine with a stack; kernels/formula.py says what its instructions mean.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

// In the order of OPS in kernels/formula.py.
enum class FormulaOp : std::int32_t {
    constant,
    column,
    neg,
    abs,
    sqrt,
    exp,
    log,
    log10,
    square,
    add,
    sub,
    mul,
    div,
    pow,
    min,
    max,
    lt,
    lte,
    gt,
    gte,
    eq,
    ne,
    where,
};

struct FormulaStep {
    FormulaOp op;
    std::int32_t operand;
};

struct FormulaProgram {
    const FormulaStep* steps;
    std::size_t nsteps;
    const double* constants;
    std::size_t nconstants;
    const double* columns;  // (ncolumns, n)
    std::size_t ncolumns;
    std::size_t n;
};

// The most values that it has on the stack; 0 for a program that reads what is not there or leaves not one value.
std::size_t formula_depth(const FormulaProgram& program);

// `out` (n,) of a program whose depth is not 0. May throw Stopped.
void run_formula(const FormulaProgram& program, std::size_t depth, double* out);

}  // namespace vecstore
