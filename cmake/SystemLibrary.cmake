# SPDX-License-Identifier: Apache-2.0
# system_library(NAME HEADER h LIBRARY l APT p BREW p CONDA p) defines the target
# fast_axolotl::NAME, or stops with the one sentence that says what to install.
#
# The four libraries ship config files, pkg-config files, both or neither depending on
# the distribution; the header and the library are what all of them have.
function(system_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "HEADER;LIBRARY;APT;BREW;CONDA" "")
  find_path(${name}_INCLUDE_DIR NAMES ${arg_HEADER})
  find_library(${name}_LIBRARY NAMES ${arg_LIBRARY})
  mark_as_advanced(${name}_INCLUDE_DIR ${name}_LIBRARY)
  if(NOT ${name}_INCLUDE_DIR OR NOT ${name}_LIBRARY)
    message(FATAL_ERROR "${name} was not found: install ${arg_APT} (Debian, Ubuntu), "
      "${arg_BREW} (brew) or ${arg_CONDA} (conda).")
  endif()
  add_library(fast_axolotl::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(fast_axolotl::${name} PROPERTIES
    IMPORTED_LOCATION "${${name}_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${${name}_INCLUDE_DIR}")
endfunction()
