// SPDX-License-Identifier: Apache-2.0
#include "bindings/json_to_python.h"

#include <arrow/array.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "bindings/small_ints.h"
#include "bindings/unicode.h"
#include "core/format/block_reader.h"
#include "core/format/json/lexer.h"

namespace fast_axolotl {
namespace {

using json::Fault;
using json::IsDigit;
using json::SkipSpace;

PyObject* NewString(const char* data, size_t size) {
  // Escaped surrogates that stand alone are kept, as json.loads does.
  return NewUnicode({data, size}, "surrogatepass");
}

// Builds Python objects from JSON text. A fault without a Python exception would mean
// that the text was not checked when it was read.
class Parser {
 public:
  Parser() = default;
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  ~Parser() {
    for (PyObject* key : keys_) Py_XDECREF(key);
  }

  PyObject* Parse(std::string_view text) {
    // The lexer stops at a zero byte and reads a little beyond it.
    text_.assign(text);
    text_.append(Block::kPadding, '\0');
    const char* p = SkipSpace(text_.data());
    PyObject* value = ParseValue(&p, 0);
    if (value == nullptr && !PyErr_Occurred()) {
      PyErr_SetString(PyExc_OSError, fault_.expected ? fault_.expected : "broken JSON");
    }
    return value;
  }

 private:
  PyObject* ParseValue(const char** p, int depth) {
    const char c = **p;
    if (c == '"') return ParseString(p);
    if (c == '{' || c == '[') {
      if (depth > json::kMaxDepth) {
        fault_.Set(*p, "less than 1024 levels of nesting");
        return nullptr;
      }
      return c == '{' ? ParseObject(p, depth) : ParseArray(p, depth);
    }
    if (IsDigit(c) || c == '-') return ParseNumber(p);
    json::Literal literal;
    *p = json::ScanLiteral(*p, &literal, &fault_);
    if (*p == nullptr) return nullptr;
    switch (literal) {
      case json::Literal::kTrue:
        return Py_NewRef(Py_True);
      case json::Literal::kFalse:
        return Py_NewRef(Py_False);
      case json::Literal::kNaN:
        return PyFloat_FromDouble(Py_NAN);
      case json::Literal::kInfinity:
        return PyFloat_FromDouble(Py_HUGE_VAL);
      default:
        return Py_NewRef(Py_None);
    }
  }

  PyObject* ParseNumber(const char** p) {
    const char* const begin = *p;
    json::Number number;
    *p = json::ScanNumber(begin, &number, &fault_);
    if (*p == nullptr) return nullptr;
    switch (number.kind) {
      case json::Number::kInt64:
        return NewInt(number.integer);
      case json::Number::kDouble:
        return PyFloat_FromDouble(number.real);
      default:
        return PyLong_FromString(std::string(begin, *p).c_str(), nullptr, 10);
    }
  }

  // The text of the string at `*p`, escapes undone; false on a fault.
  bool ReadString(const char** p, std::string_view* text) {
    json::StringToken token;
    *p = json::ScanString(*p + 1, &token, &fault_);
    if (*p == nullptr) return false;
    *text = token.raw();
    if (!token.escaped) return true;
    scratch_.resize(text->size());
    bool lone = false;
    const char* end = json::Unescape(token, scratch_.data(), &lone, &fault_);
    if (end == nullptr) return false;
    *text = {scratch_.data(), static_cast<size_t>(end - scratch_.data())};
    return true;
  }

  PyObject* ParseString(const char** p) {
    std::string_view text;
    return ReadString(p, &text) ? NewString(text.data(), text.size()) : nullptr;
  }

  // The same few keys come again and again: they are made once, as json.loads does.
  PyObject* ParseKey(const char** p) {
    std::string_view text;
    if (!ReadString(p, &text)) return nullptr;
    const size_t slot = std::hash<std::string_view>()(text) % keys_.size();
    if (keys_[slot] == nullptr || names_[slot] != text) {
      PyObject* key = NewString(text.data(), text.size());
      if (key == nullptr) return nullptr;
      Py_XSETREF(keys_[slot], key);
      names_[slot] = text;
    }
    return Py_NewRef(keys_[slot]);
  }

  PyObject* ParseArray(const char** p, int depth) {
    PyObject* list = PyList_New(0);
    if (list == nullptr) return nullptr;
    *p = SkipSpace(*p + 1);
    while (**p != ']') {
      PyObject* item = ParseValue(p, depth + 1);
      const bool added = item != nullptr && PyList_Append(list, item) == 0;
      Py_XDECREF(item);
      if (!added) {
        Py_DECREF(list);
        return nullptr;
      }
      *p = SkipSpace(*p);
      if (**p == ',') *p = SkipSpace(*p + 1);
    }
    ++*p;
    return list;
  }

  PyObject* ParseObject(const char** p, int depth) {
    PyObject* dict = PyDict_New();
    if (dict == nullptr) return nullptr;
    *p = SkipSpace(*p + 1);
    while (**p != '}') {
      PyObject* key = ParseKey(p);
      PyObject* value = nullptr;
      if (key != nullptr) {
        *p = SkipSpace(SkipSpace(*p) + 1);
        value = ParseValue(p, depth + 1);
      }
      const bool added = value != nullptr && PyDict_SetItem(dict, key, value) == 0;
      Py_XDECREF(key);
      Py_XDECREF(value);
      if (!added) {
        Py_DECREF(dict);
        return nullptr;
      }
      *p = SkipSpace(*p);
      if (**p == ',') *p = SkipSpace(*p + 1);
    }
    ++*p;
    return dict;
  }

  std::string text_;
  std::string scratch_;
  Fault fault_;
  std::array<PyObject*, 256> keys_{};
  std::array<std::string, 256> names_;
};

}  // namespace

int64_t FillJsonValues(const arrow::StringArray& texts, int64_t offset, int64_t length,
                       PyObject** out) {
  Parser parser;
  for (int64_t i = 0; i < length; ++i) {
    out[i] = texts.IsNull(offset + i) ? Py_NewRef(Py_None)
                                      : parser.Parse(texts.GetView(offset + i));
    if (out[i] != nullptr) continue;
    for (int64_t k = 0; k < i; ++k) Py_CLEAR(out[k]);
    return i;
  }
  return -1;
}

}  // namespace fast_axolotl
