# SPDX-License-Identifier: Apache-2.0
# Arrow C++ as it lies in the pyarrow wheel of the Python that builds.
#
# In:  Python_EXECUTABLE, the version asked of find_package (major only).
# Out: PyArrow_VERSION, PyArrow_LIBRARY_DIR; targets PyArrow::arrow, PyArrow::parquet.
#
# The libraries are named by full path and versioned name: the wheel has no unversioned
# links, and pyarrow.create_library_symlinks() would write into the user's environment.

# find_spec does not run pyarrow/__init__.py; the version is read from the headers.
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c
    "import importlib.util as u; s = u.find_spec('pyarrow'); print(list(s.submodule_search_locations)[0] if s else '')"
  OUTPUT_VARIABLE PyArrow_LIBRARY_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
file(TO_CMAKE_PATH "${PyArrow_LIBRARY_DIR}" PyArrow_LIBRARY_DIR)

set(_pyarrow_config "${PyArrow_LIBRARY_DIR}/include/arrow/util/config.h")
set(PyArrow_VERSION "")
if(PyArrow_LIBRARY_DIR AND EXISTS "${_pyarrow_config}")
  file(STRINGS "${_pyarrow_config}" _line REGEX "define ARROW_VERSION_STRING")
  string(REGEX REPLACE ".*\"(.*)\".*" "\\1" PyArrow_VERSION "${_line}")
endif()

set(_want "${PyArrow_FIND_VERSION_MAJOR}")
set(_abi "${_want}00")
if(APPLE)
  set(_names "libarrow.${_abi}.dylib" "libparquet.${_abi}.dylib")
else()
  set(_names "libarrow.so.${_abi}" "libparquet.so.${_abi}")
endif()
list(GET _names 0 _arrow)
list(GET _names 1 _parquet)

if(NOT PyArrow_VERSION MATCHES "^${_want}\\."
   OR NOT EXISTS "${PyArrow_LIBRARY_DIR}/${_arrow}"
   OR NOT EXISTS "${PyArrow_LIBRARY_DIR}/${_parquet}")
  set(_found "no wheel of it")
  if(PyArrow_VERSION)
    set(_found "${PyArrow_VERSION}")
  endif()
  message(FATAL_ERROR "pyarrow ${_want} is needed and ${Python_EXECUTABLE} has ${_found}: "
    "install the wheel with `pip install 'pyarrow==${_want}.0.*'` (Debian, Ubuntu, "
    "macOS and conda alike).")
endif()

foreach(_lib IN ITEMS arrow parquet)
  if(NOT TARGET PyArrow::${_lib})
    add_library(PyArrow::${_lib} SHARED IMPORTED GLOBAL)
    set_target_properties(PyArrow::${_lib} PROPERTIES
      IMPORTED_LOCATION "${PyArrow_LIBRARY_DIR}/${_${_lib}}"
      INTERFACE_INCLUDE_DIRECTORIES "${PyArrow_LIBRARY_DIR}/include")
  endif()
endforeach()
set_target_properties(PyArrow::parquet PROPERTIES
  INTERFACE_LINK_LIBRARIES PyArrow::arrow)
set(PyArrow_FOUND TRUE)
