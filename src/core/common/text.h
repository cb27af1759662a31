// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fast_axolotl {

/// Whether `text` ends with `suffix`, which is lower-case ASCII, in any letter case.
bool EndsWithIgnoreCase(std::string_view text, std::string_view suffix);

/// How many lines end in `text`: at a newline; or, second, also at a carriage return that
/// no newline follows.
int64_t CountNewlines(std::string_view text);
int64_t CountLineEnds(std::string_view text);

/// What a text file may begin with, to say that it is UTF-8; no part of the text.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Where `text` stops being valid UTF-8, or `text.size()` where it never does.
size_t ValidUtf8Prefix(std::string_view text);

/// How an error ends that says that text is not UTF-8.
inline constexpr char kConvertHint[] =
    "; if the file is in another encoding, convert it, for example with "
    "`iconv -f LATIN1 -t UTF-8`";

/// A short printable form of data for an error message: in double quotes, or in single
/// ones where it holds double ones; control characters and invalid UTF-8 escaped; cut
/// after `limit` bytes.
std::string Quoted(std::string_view data, size_t limit = 60);

}  // namespace fast_axolotl
