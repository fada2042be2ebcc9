// What is compiled against torch, in one unit: its headers cost seconds in each.
#include "arguments.cpp"
#include "field_operators.cpp"
#include "linear_arguments.cpp"
#include "operators.cpp"
#include "program.cpp"
#include "recursion_operator.cpp"
#include "results.cpp"
#include "stream.cpp"
