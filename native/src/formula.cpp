#include "formula.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "stop.h"

namespace vecstore {
namespace {

constexpr std::size_t kBlock = 256;  // rows whose values stay in the first-level cache

constexpr std::size_t arguments(FormulaOp op) {
    if (op <= FormulaOp::column) return 0;
    if (op <= FormulaOp::square) return 1;
    return op == FormulaOp::where ? 3 : 2;
}

template <class F>
void unary(double* a, std::size_t rows, F f) {
    for (std::size_t i = 0; i < rows; ++i) a[i] = f(a[i]);
}

template <class F>
void binary(double* a, std::size_t rows, F f) {
    const double* const b = a + kBlock;
    for (std::size_t i = 0; i < rows; ++i) a[i] = f(a[i], b[i]);
}

// `a` is the first argument of the step, or where its value goes.
void run_step(const FormulaProgram& program, FormulaStep step, std::size_t low, std::size_t rows, double* a) {
    using Op = FormulaOp;
    switch (step.op) {
        case Op::constant:
            std::fill_n(a, rows, program.constants[step.operand]);
            break;
        case Op::column:
            std::copy_n(program.columns + step.operand * program.n + low, rows, a);
            break;
        case Op::neg:
            unary(a, rows, [](double x) { return -x; });
            break;
        case Op::abs:
            unary(a, rows, [](double x) { return std::fabs(x); });
            break;
        case Op::sqrt:
            unary(a, rows, [](double x) { return std::sqrt(x); });
            break;
        case Op::exp:
            unary(a, rows, [](double x) { return std::exp(x); });
            break;
        case Op::log:
            unary(a, rows, [](double x) { return std::log(x); });
            break;
        case Op::log10:
            unary(a, rows, [](double x) { return std::log10(x); });
            break;
        case Op::square:
            unary(a, rows, [](double x) { return x * x; });
            break;
        case Op::add:
            binary(a, rows, [](double x, double y) { return x + y; });
            break;
        case Op::sub:
            binary(a, rows, [](double x, double y) { return x - y; });
            break;
        case Op::mul:
            binary(a, rows, [](double x, double y) { return x * y; });
            break;
        case Op::div:
            binary(a, rows, [](double x, double y) { return x / y; });
            break;
        case Op::pow:
            binary(a, rows, [](double x, double y) { return std::pow(x, y); });
            break;
        case Op::min:
            binary(a, rows, [](double x, double y) { return x < y || x != x ? x : y; });
            break;
        case Op::max:
            binary(a, rows, [](double x, double y) { return x > y || x != x ? x : y; });
            break;
        case Op::lt:
            binary(a, rows, [](double x, double y) { return x < y ? 1.0 : 0.0; });
            break;
        case Op::lte:
            binary(a, rows, [](double x, double y) { return x <= y ? 1.0 : 0.0; });
            break;
        case Op::gt:
            binary(a, rows, [](double x, double y) { return x > y ? 1.0 : 0.0; });
            break;
        case Op::gte:
            binary(a, rows, [](double x, double y) { return x >= y ? 1.0 : 0.0; });
            break;
        case Op::eq:
            binary(a, rows, [](double x, double y) { return x == y ? 1.0 : 0.0; });
            break;
        case Op::ne:
            binary(a, rows, [](double x, double y) { return x != y ? 1.0 : 0.0; });
            break;
        case Op::where:
            for (std::size_t i = 0; i < rows; ++i) a[i] = a[i] != 0.0 ? a[kBlock + i] : a[2 * kBlock + i];
    }
}

}  // namespace

std::size_t formula_depth(const FormulaProgram& program) {
    std::size_t depth = 0, deepest = 0;
    for (std::size_t i = 0; i < program.nsteps; ++i) {
        const FormulaStep step = program.steps[i];
        if (step.op < FormulaOp::constant || step.op > FormulaOp::where || arguments(step.op) > depth) return 0;
        const auto operand = static_cast<std::size_t>(step.operand);  // a negative one is past every end
        if (step.op == FormulaOp::constant && operand >= program.nconstants) return 0;
        if (step.op == FormulaOp::column && operand >= program.ncolumns) return 0;
        depth += 1 - arguments(step.op);
        deepest = std::max(deepest, depth);
    }
    return depth == 1 ? deepest : 0;
}

void run_formula(const FormulaProgram& program, std::size_t depth, double* out) {
    std::vector<double> stack(depth * kBlock);
    for (std::size_t low = 0; low < program.n; low += kBlock) {
        check_stop();
        const std::size_t rows = std::min(kBlock, program.n - low);
        double* top = stack.data();
        for (std::size_t i = 0; i < program.nsteps; ++i) {
            top -= arguments(program.steps[i].op) * kBlock;
            run_step(program, program.steps[i], low, rows, top);
            top += kBlock;
        }
        std::copy_n(stack.data(), rows, out + low);
    }
}

}  // namespace vecstore
