// SPDX-License-Identifier: Apache-2.0
#include "core/format/json/splitter.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "core/common/text.h"
#include "core/format/json/lexer.h"

namespace fast_axolotl::json {
namespace {

// The first quote, bracket or brace from `p` on, at most `end`.
const char* FindStructural(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i open = _mm_set1_epi8('{');  // '[' and ']' differ from the braces by 0x20
  const __m128i close = _mm_set1_epi8('}');
  const __m128i bit = _mm_set1_epi8(0x20);
  for (; p < end; p += 16) {
    const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i braced = _mm_or_si128(text, bit);
    const __m128i hit = _mm_or_si128(
        _mm_cmpeq_epi8(text, quote),
        _mm_or_si128(_mm_cmpeq_epi8(braced, open), _mm_cmpeq_epi8(braced, close)));
    const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(hit));
    if (mask != 0) return std::min(p + __builtin_ctz(mask), end);
  }
  return end;
#else
  while (p < end && std::strchr("\"[]{}", *p) == nullptr) ++p;
  return p;
#endif
}

// The byte behind the string whose opening quote is before `p`, or `end`. Control
// characters do not matter here: the row's parser reports them.
const char* SkipString(const char* p, const char* end) {
  while (p < end) {
    p = FindStringSpecial(p);
    if (p >= end) return end;
    if (*p == '"') return p + 1;
    p += *p == '\\' ? 2 : 1;
  }
  return end;
}

// Whether the brackets that open in `line` also close in it.
bool IsWhole(std::string_view line) {
  const char* p = line.data();
  const char* const end = p + line.size();
  int64_t depth = 0;
  bool opened = false;
  while ((p = FindStructural(p, end)) < end) {
    const char c = *p++;
    if (c == '"') {
      p = SkipString(p, end);
    } else if (c == '{' || c == '[') {
      ++depth;
      opened = true;
    } else if (--depth < 0) {
      return true;  // not JSON at all: the row's parser says so, in its line
    }
  }
  return opened && depth == 0;
}

class Splitter {
 public:
  enum class Shape { kUnknown, kLines, kObject, kBeforeArray, kArray, kAfterArray };

  Splitter(std::string path, Shape shape, bool may_be_object, bool any)
      : path_(std::move(path)), may_be_object_(may_be_object), shape_(shape), any_(any) {}

  Result<Cut> operator()(std::string_view text, size_t searched, bool at_end) {
    if (shape_ == Shape::kUnknown) {
      const char* p = SkipSpace(text.data());
      if (p >= text.data() + text.size()) {
        if (!at_end) return Cut{};
        if (!may_be_object_) return SplitLines(text, searched, at_end);
        return Status::IOError(path_, ": the file is empty, expected '[' or '{'");
      }
      const std::string_view rest = text.substr(p - text.data());
      const size_t newline = rest.find('\n');
      if (*p == '[' && !may_be_object_ && !at_end &&
          SkipSpace(p + 1) >= text.data() + text.size()) {
        return Cut{};
      }
      if (*p == '[' && (may_be_object_ || BeginsArrayOfObjects(rest))) {
        shape_ = Shape::kBeforeArray;
      } else if (*p != '{' || !may_be_object_) {
        shape_ = Shape::kLines;
      } else if (newline == std::string_view::npos && !at_end) {
        return Cut{};
      } else {
        shape_ = newline == std::string_view::npos || IsWhole(rest.substr(0, newline))
                     ? Shape::kLines
                     : Shape::kObject;
        searched = 0;
      }
    }
    switch (shape_) {
      case Shape::kBeforeArray:
        shape_ = Shape::kArray;
        return Cut{text.find('[') + 1, Framing::kArray, {}};
      case Shape::kArray:
        return SplitArray(text, at_end);
      case Shape::kAfterArray:
        return AfterArray(text);
      case Shape::kObject:
        if (!at_end) return Cut{};
        return Cut{text.size(), Framing::kObject, {static_cast<uint32_t>(text.size())}};
      default:
        return SplitLines(text, searched, at_end);
    }
  }

 private:
  Result<Cut> SplitArray(std::string_view text, bool at_end) {
    Cut cut;
    cut.framing = Framing::kArray;
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const char* p = begin;
    int64_t depth = 0;
    while (p < end) {
      if (depth > 0) {
        p = FindStructural(p, end);
        if (p == end) break;
      }
      const char c = *p++;
      if (c == '"') {
        p = SkipString(p, end);
      } else if (c == '{' || c == '[') {
        ++depth;
      } else if ((c == '}' || c == ']') && depth > 0) {
        --depth;
      } else if (c == ',' && depth == 0) {
        cut.row_ends.push_back(static_cast<uint32_t>(p - 1 - begin));
        cut.end = static_cast<size_t>(p - begin);
        any_ = true;
      } else if (c == ']' && depth == 0) {
        const bool blank = SkipSpace(begin + cut.end) == p - 1;
        // `[]` has no rows; `[1,]` has an empty second one, which is an error.
        if (!blank || any_) cut.row_ends.push_back(static_cast<uint32_t>(p - 1 - begin));
        cut.end = static_cast<size_t>(p - begin);
        shape_ = Shape::kAfterArray;
        return cut;
      }
    }
    if (cut.end == 0 && at_end) {
      return Status::IOError(path_,
                             ": the file ends inside its array, expected ',' or "
                             "']' after the last whole element");
    }
    return cut;
  }

  Result<Cut> AfterArray(std::string_view text) const {
    const char* p = SkipSpace(text.data());
    if (p >= text.data() + text.size()) return Cut{text.size(), Framing::kArray, {}};
    return Status::IOError(path_,
                           ": expected nothing after the array's closing ']', found ",
                           Quoted(text.substr(p - text.data()), 20));
  }

  const std::string path_;
  const bool may_be_object_;
  Shape shape_;
  bool any_;  // an element came before
};

}  // namespace

bool BeginsArrayOfObjects(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto skip_space = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  };
  skip_space();
  if (!text.starts_with('[')) return false;
  text.remove_prefix(1);
  skip_space();
  return text.empty() || text.front() == '{' || text.front() == ']';
}

RowSplitter MakeSplitter(std::string path, bool may_be_object) {
  return Splitter(std::move(path), Splitter::Shape::kUnknown, may_be_object, false);
}

RowSplitter MakeArraySplitter(std::string path, bool first) {
  return Splitter(std::move(path), Splitter::Shape::kArray, false, !first);
}

RowSplitter MakeObjectSplitter(std::string path) {
  return Splitter(std::move(path), Splitter::Shape::kObject, false, false);
}

}  // namespace fast_axolotl::json
