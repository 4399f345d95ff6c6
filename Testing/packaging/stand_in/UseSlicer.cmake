# The calls of Slicer and CTK that the extension makes, as far as copying and installing goes. Stricter than the real ones where
# they would pass over a mistake: a file listed twice, a name without its ending, a name that leads out of the folder.

include(CTest)

function(_stand_in_copy base destination outputs)
  set(copies)
  foreach(file IN LISTS ARGN)
    if(IS_ABSOLUTE "${file}" OR file MATCHES "(^|/)\\.\\.(/|$)")
      message(FATAL_ERROR "'${file}' would be copied out of ${destination}")
    endif()
    if(NOT EXISTS "${base}/${file}" OR IS_DIRECTORY "${base}/${file}")
      message(FATAL_ERROR "'${file}' is listed, but is no file in ${base}")
    endif()
    if("${destination}/${file}" IN_LIST copies)
      message(FATAL_ERROR "'${file}' is listed twice")
    endif()
    add_custom_command(
      OUTPUT "${destination}/${file}"
      COMMAND ${CMAKE_COMMAND} -E copy "${base}/${file}" "${destination}/${file}"
      DEPENDS "${base}/${file}"
      VERBATIM
      )
    list(APPEND copies "${destination}/${file}")
  endforeach()
  set(${outputs} ${copies} PARENT_SCOPE)
endfunction()

function(ctkMacroCompilePythonScript)
  cmake_parse_arguments(PARSE_ARGV 0 MY "NO_INSTALL_SUBDIR" "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES")
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "ctkMacroCompilePythonScript does not know ${MY_UNPARSED_ARGUMENTS}")
  endif()
  foreach(mandatory TARGET_NAME SCRIPTS DESTINATION_DIR INSTALL_DIR)
    if(NOT MY_${mandatory})
      message(FATAL_ERROR "${mandatory} is mandatory")
    endif()
  endforeach()
  foreach(file IN LISTS MY_SCRIPTS)
    if(NOT file MATCHES "\\.py$")
      message(FATAL_ERROR "'${file}' is listed as a script, but does not end in .py")
    endif()
  endforeach()
  if(NOT MY_SOURCE_DIR)
    set(MY_SOURCE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()

  _stand_in_copy("${MY_SOURCE_DIR}" "${MY_DESTINATION_DIR}" scripts ${MY_SCRIPTS})
  _stand_in_copy("${MY_SOURCE_DIR}" "${MY_DESTINATION_DIR}" resources ${MY_RESOURCES})
  add_custom_target(Copy${MY_TARGET_NAME}PythonFiles ALL DEPENDS ${scripts} ${resources})

  # With a slash at the end CMake installs what is in the folder, without it the folder itself.
  set(slash "")
  if(MY_NO_INSTALL_SUBDIR)
    set(slash "/")
  endif()
  install(DIRECTORY "${MY_DESTINATION_DIR}${slash}" DESTINATION "${MY_INSTALL_DIR}" COMPONENT RuntimeLibraries USE_SOURCE_PERMISSIONS)
endfunction()

function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(PARSE_ARGV 0 MY_SLICER "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES")
  if(MY_SLICER_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule does not know ${MY_SLICER_UNPARSED_ARGUMENTS}")
  endif()
  ctkMacroCompilePythonScript(
    TARGET_NAME ${MY_SLICER_NAME}
    SCRIPTS "${MY_SLICER_SCRIPTS}"
    RESOURCES "${MY_SLICER_RESOURCES}"
    DESTINATION_DIR "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}"
    INSTALL_DIR "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}"
    NO_INSTALL_SUBDIR
    )
endfunction()

function(slicer_add_python_unittest)
  cmake_parse_arguments(PARSE_ARGV 0 MY "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS")
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT}")
    message(FATAL_ERROR "The self-test '${MY_SCRIPT}' is no file in ${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  get_filename_component(name "${MY_SCRIPT}" NAME_WE)
  add_test(NAME py_${MY_TESTNAME_PREFIX}${name} COMMAND ${CMAKE_COMMAND} -E true)
endfunction()
