// The operators of a field of the user's own: those of operators.cpp, with the kernels of the field's library.
#include <dlfcn.h>

#include <memory>
#include <mutex>
#include <unordered_map>

#include "operators.h"

namespace odernn {
namespace {

std::string reason_of_the_system() {
  const char* const reason = dlerror();
  return reason == nullptr ? "no reason given" : reason;
}

const FieldKernels& kernels_of_library(const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);  // it stays for as long as the process
  TORCH_CHECK(library != nullptr, "the kernels in ", path, " cannot be loaded: ", reason_of_the_system());
  const auto table = reinterpret_cast<decltype(&odernn_field_kernels)>(dlsym(library, "odernn_field_kernels"));
  TORCH_CHECK(table != nullptr, path, " holds no kernels of a field: ", reason_of_the_system());
  const FieldKernels& kernels = *table();
  TORCH_CHECK(kernels.lanes == kLanes<float> && kernels.problem_bytes == int64_t(sizeof(Problem<float>)),
              "the kernels in ", path,
              " were compiled for another processor or by another compiler than the operators");
  return kernels;
}

// Let torch.ops.`name` run the kernels of a field's library. Again: nothing happens.
void load_field(std::string name, std::string path) {
  // Forever: torch may look for an operator while statics are being destroyed.
  static auto& mutex = *new std::mutex;
  static auto& libraries = *new std::unordered_map<std::string, std::unique_ptr<torch::Library>>;
  const std::lock_guard<std::mutex> lock(mutex);
  if (libraries.count(name) > 0) return;
  const FieldKernels& kernels = kernels_of_library(path);
  auto library =
      std::make_unique<torch::Library>(torch::Library::IMPL, name, c10::DispatchKey::CPU, __FILE__, __LINE__);
  implement(*library, &kernels);
  libraries.emplace(std::move(name), std::move(library));
}

}  // namespace
}  // namespace odernn

TORCH_LIBRARY_FRAGMENT(odernn_native, m) {
  m.def("load_field(str name, str path) -> ()", &odernn::load_field);
}
