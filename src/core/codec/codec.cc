// SPDX-License-Identifier: Apache-2.0
#include "core/codec/codec.h"

#include "core/common/text.h"

namespace fast_axolotl {

std::span<const Codec> Codecs() {
  static const Codec kCodecs[] = {kGzip, kZstd};
  return kCodecs;
}

const Codec* CodecOfBytes(std::string_view head) {
  for (const Codec& codec : Codecs()) {
    if (codec.matches(head)) return &codec;
  }
  return nullptr;
}

const Codec* CodecOfName(std::string_view* name) {
  for (const Codec& codec : Codecs()) {
    for (std::string_view suffix : codec.suffixes) {
      if (EndsWithIgnoreCase(*name, suffix)) {
        name->remove_suffix(suffix.size());
        return &codec;
      }
    }
  }
  return nullptr;
}

}  // namespace fast_axolotl
