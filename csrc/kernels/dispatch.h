// Chooses the instruction set once, at load: the best that the CPU has, or the one that RECURRA_ISA names.
#pragma once
#include <string>
#include <vector>

#include "kernels/table.h"

namespace recurra {

// The table in force. Specialised for float and double.
template <class T>
const Kernels<T>& kernels();

// The table for layers of `units` units: that of half as wide vectors where these waste less on padding than they lose
// in speed, as measured at its first use; the bits are the same.
template <class T>
const Kernels<T>& kernels_for(long units);

std::string isa();                         // name of the row in force
std::vector<std::string> compiled_isas();  // rows of this build, best first
std::vector<std::string> cpu_isas();       // those that this CPU has, best first

// Why RECURRA_ISA cannot be honoured; empty when all is well. The best row is in force then.
std::string isa_error();

// a * b - c as the row `name` computes it: shows whether that row is compiled for fused multiply-adds.
double fused_on(const std::string& name, double a, double b, double c);

}  // namespace recurra
