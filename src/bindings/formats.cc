// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/gil.h"
#include "bindings/register.h"
#include "bindings/status.h"
#include "core/codec/codec.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/source/file.h"

namespace nb = nanobind;

namespace fast_axolotl {
namespace {

using Detected = std::tuple<std::optional<std::string>, std::optional<std::string>>;

Detected Describe(const Format* format, const Codec* codec) {
  Detected detected;
  if (format) std::get<0>(detected) = std::string(format->name);
  if (codec) std::get<1>(detected) = std::string(codec->name);
  return detected;
}

Detected DetectFile(nb::bytes path) {
  auto input = [&]() -> Result<Input> {
    const std::string name(path.c_str(), path.size());
    const ReleasedGil released;
    ARROW_ASSIGN_OR_RAISE(const File file, StatFile(name));
    return DetectInput(file, nullptr);
  }();
  const Input found = ValueOf(std::move(input));
  return Describe(found.format, found.codec);
}

Detected DetectName(nb::bytes path) {
  const NamedFormat named = FormatOfName({path.c_str(), path.size()});
  return Describe(named.format, named.codec);
}

std::vector<std::tuple<std::string, std::vector<std::string>>> ListFormats() {
  std::vector<std::tuple<std::string, std::vector<std::string>>> formats;
  for (const Format* format : Formats()) {
    formats.emplace_back(format->name, std::vector<std::string>(format->suffixes.begin(),
                                                                format->suffixes.end()));
  }
  return formats;
}

std::vector<std::tuple<std::string, std::vector<std::string>>> ListCodecs() {
  std::vector<std::tuple<std::string, std::vector<std::string>>> codecs;
  for (const Codec& codec : Codecs()) {
    codecs.emplace_back(codec.name, std::vector<std::string>(codec.suffixes.begin(),
                                                             codec.suffixes.end()));
  }
  return codecs;
}

}  // namespace

void RegisterFormats(nb::module_& m) {
  m.def("detect_file", &DetectFile, nb::arg("path"),
        "Format and codec of a file, by its first bytes and then its name.");
  m.def("detect_name", &DetectName, nb::arg("path"),
        "Format and codec that a name alone tells.");
  m.def("formats", &ListFormats, "Each format's name and suffixes.");
  m.def("codecs", &ListCodecs, "Each codec's name and suffixes.");
}

}  // namespace fast_axolotl
