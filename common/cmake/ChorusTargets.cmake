# Flags, packages and the functions that make targets. A folder of sources is a target: adding a file to a
# folder is enough, and what a folder may include is what its target may link (tests/architecture checks the
# includes themselves).

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(cereal REQUIRED)

# Debian's Asio is headers in /usr/include, without a package file.
add_library(chorus_asio INTERFACE)
target_compile_definitions(chorus_asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_HAS_CO_AWAIT=1
                                                 ASIO_HAS_STD_COROUTINE=1)
# GCC 12 warns falsely about coroutine frames, and its TSan does not model the fences that Asio uses.
target_compile_options(chorus_asio INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-mismatched-new-delete;-Wno-tsan>)
target_link_libraries(chorus_asio INTERFACE Threads::Threads)

# What every target of ours is compiled with. Results must be the same bytes on every machine: no fused
# multiply-add, no fast-math, no -march.
add_library(chorus_flags INTERFACE)
target_include_directories(chorus_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(chorus_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror -ffp-contract=off)
target_link_libraries(chorus_flags INTERFACE Threads::Threads)

set(CHORUS_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=")
if(CHORUS_SANITIZE)
  add_compile_options(-fsanitize=${CHORUS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CHORUS_SANITIZE})
endif()

set(CHORUS_VERSION_TEXT ${PROJECT_VERSION})

# chorus_library(NAME [FOLDER folder] DEPS targets... [PRIVATE_DEPS targets...])
# A static library of the sources that lie directly in the folder (default: NAME without "chorus_").
function(chorus_library name)
  cmake_parse_arguments(ARG "" "FOLDER" "DEPS;PRIVATE_DEPS;EXTRA_FOLDERS" ${ARGN})
  set(sources)
  foreach(folder ${ARG_FOLDER} ${ARG_EXTRA_FOLDERS})
    file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp ${PROJECT_SOURCE_DIR}/${folder}/*.hpp)
    list(APPEND sources ${found})
  endforeach()
  set(units ${sources})
  list(FILTER units INCLUDE REGEX "\\.cpp$")
  if(units)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE chorus_flags ${ARG_PRIVATE_DEPS})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  else()
    add_library(${name} INTERFACE ${sources})
    target_link_libraries(${name} INTERFACE ${ARG_DEPS} ${ARG_PRIVATE_DEPS})
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR})
  endif()
endfunction()

# chorus_executable(NAME FOLDER folder DEPS targets...): options and wiring, compiled at -O1.
function(chorus_executable name)
  cmake_parse_arguments(ARG "" "FOLDER" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${ARG_FOLDER}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_compile_definitions(${name} PRIVATE CHORUS_VERSION="${CHORUS_VERSION_TEXT}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} chorus_flags)
endfunction()

# chorus_test(FOLDER folder-under-tests DEPS targets... [DATA]): one executable a folder, test_<folder with _>.
function(chorus_test folder)
  cmake_parse_arguments(ARG "" "TIMEOUT" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  string(REPLACE "/" "_" name test_${folder})
  add_executable(${name} ${sources})
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1 -g1>)
  target_compile_definitions(${name} PRIVATE CHORUS_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             CHORUS_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} chorus_flags GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST TEST_PREFIX "${folder}/" PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()
