#include "program.h"

#include <c10/util/Exception.h>

#include <cstdlib>
#include <type_traits>

namespace odernn {
namespace {

// Reads an object of JSON whose values are names without escapes, numbers, truths, and lists of numbers.
class Reader {
 public:
  explicit Reader(c10::string_view text) : text_(text), next_(text_.c_str()) {}

  void read(Program& program) {
    expect('{');
    do {
      const std::string key = name();
      expect(':');
      value(key, program);
    } while (skip(','));
    expect('}');
    if (*next_ != '\0') fail();
  }

 private:
  void value(const std::string& key, Program& program) {
    if (key == "family") return take(program.family);
    if (key == "kind") return take(program.kind);
    if (key == "squash") return take(program.squash);
    if (key == "hold") return take(program.hold);
    if (key == "a") return take(program.a);
    if (key == "b") return take(program.b);
    if (key == "c") return take(program.c);
    if (key == "moved") return take(program.moved);
    if (key == "places") return take(program.places);
    if (key == "weight_blocks") return take(program.weight_blocks);
    if (key == "substeps") return take(program.substeps);
    if (key == "packed") return take(program.packed);
    if (key == "keeps") return take(program.keeps);
    TORCH_CHECK_VALUE(false, "`program` has the entry '", key, "', which the kernels do not know");
  }

  void take(std::string& out) { out = name(); }
  void take(bool& out) {
    out = *next_ == 't';
    for (const char* c = out ? "true" : "false"; *c != '\0'; ++c)
      if (*next_++ != *c) fail();
    space();
  }
  template <class T>
  void take(std::vector<T>& out) {
    expect('[');
    if (skip(']')) return;
    do take(out.emplace_back());
    while (skip(','));
    expect(']');
  }
  template <class T>
  void take(T& out) {
    char* end = nullptr;
    if constexpr (std::is_integral_v<T>) {
      out = std::strtoll(next_, &end, 10);
    } else {
      out = std::strtod(next_, &end);
    }
    if (end == next_) fail();
    next_ = end;
    space();
  }

  std::string name() {
    if (*next_++ != '"') fail();
    const char* begin = next_;
    while (*next_ != '"')
      if (*next_++ == '\0') fail();
    const std::string found(begin, next_++);
    space();
    return found;
  }
  void expect(char c) {
    if (!skip(c)) fail();
  }
  bool skip(char c) {
    if (*next_ != c) return false;
    ++next_;
    space();
    return true;
  }
  void space() {
    while (*next_ == ' ') ++next_;
  }
  [[noreturn]] void fail() const { TORCH_CHECK_VALUE(false, "`program` is not the text of a Program: ", text_); }

  std::string text_;
  const char* next_;
};

}  // namespace

Program read_program(c10::string_view text) {
  Program program;
  Reader(text).read(program);
  return program;
}

}  // namespace odernn
