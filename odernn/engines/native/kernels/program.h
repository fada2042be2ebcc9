// What a call integrates, without a tensor: the Program of odernn/engines/program.py, read from its text.
#pragma once

#include <c10/util/string_view.h>

#include <cstdint>
#include <string>
#include <vector>

namespace odernn {

struct Program {
  std::string family, kind, squash, hold;
  std::vector<double> a, b, c;
  std::vector<int64_t> moved, places, weight_blocks;
  int64_t substeps = 1;
  bool packed = false, keeps = false;

  bool is_general_linear() const { return family == "general-linear"; }
};

// The program of a text of JSON; an error says what is wrong with the text.
Program read_program(c10::string_view text);

}  // namespace odernn
