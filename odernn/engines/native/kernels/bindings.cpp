// What is compiled against torch, in one unit: its headers cost seconds in each.
#include "arguments.cpp"
#include "linear_arguments.cpp"
#include "operators.cpp"
#include "program.cpp"
#include "results.cpp"
#ifndef ODERNN_POINTWISE
#include "recursion_operator.cpp"
#include "stream.cpp"
#endif
