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

# A compiler cache, where there is one. `dev` sets its options (CCACHE_BASEDIR, CCACHE_SLOPPINESS); without them the
# cache works too, it only passes the units with a precompiled header by.
if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(CHORUS_CCACHE ccache DOC "Compiler cache; set it empty to do without")
  if(CHORUS_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CHORUS_CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${CHORUS_CCACHE})
  endif()
endif()
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

# Debian's cpp-httplib comes with pkg-config alone: a library, and definitions that its header must be read with.
find_path(CHORUS_HTTPLIB_HEADER httplib.h REQUIRED)
find_library(CHORUS_HTTPLIB cpp-httplib REQUIRED)
add_library(chorus_httplib INTERFACE)
target_compile_definitions(chorus_httplib INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_ZLIB_SUPPORT
                                                    CPPHTTPLIB_BROTLI_SUPPORT)
target_include_directories(chorus_httplib SYSTEM INTERFACE ${CHORUS_HTTPLIB_HEADER})
target_link_libraries(chorus_httplib INTERFACE ${CHORUS_HTTPLIB} Threads::Threads)

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
# GCC 12's own algorithms use what C++17 deprecated, and clang blames the caller.
target_compile_options(chorus_flags INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
target_link_libraries(chorus_flags INTERFACE Threads::Threads)

# The table of addresses is filled at the start and read-only from then on.
add_link_options(-Wl,-z,relro,-z,now)

set(CHORUS_SANITIZE "" CACHE STRING "Sanitizers, as in -fsanitize=")
if(CHORUS_SANITIZE)
  add_compile_options(-fsanitize=${CHORUS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CHORUS_SANITIZE})
endif()

set(CHORUS_VERSION_TEXT ${PROJECT_VERSION})

# Precompiled headers pay for GoogleTest and Eigen alone: forty tests compile in 1.9 s instead of 4.8 s. Only GCC
# gets them: clang (lint, fuzzing) reads the same sources without, so a missing include is found there.
# -fpch-preprocess lets the compiler cache see through them.
set(CHORUS_PCH OFF)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
  set(CHORUS_PCH ON)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()

# Tests: quick to compile rather than quick to run.
add_library(chorus_test_flags INTERFACE)
target_compile_options(chorus_test_flags INTERFACE $<$<CONFIG:Release>:-O1 -g1>)
target_link_libraries(chorus_test_flags INTERFACE chorus_flags)

# Everything that the tests need, and the part of it that opens no socket and starts no process.
add_custom_target(chorus_tests)
add_custom_target(chorus_pure_tests)

# chorus_library(NAME FOLDER folder [EXTRA_FOLDERS folders...] DEPS targets... [PRIVATE_DEPS targets...]
#                [PRECOMPILE headers...])
# A static library of the sources that lie directly in the folders; an interface library while there is no .cpp.
function(chorus_library name)
  cmake_parse_arguments(ARG "" "FOLDER" "DEPS;PRIVATE_DEPS;EXTRA_FOLDERS;PRECOMPILE" ${ARGN})
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
    if(CHORUS_PCH AND ARG_PRECOMPILE)
      target_precompile_headers(${name} PRIVATE ${ARG_PRECOMPILE})
    endif()
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
  add_dependencies(chorus_tests ${name})
endfunction()

# chorus_test(folder [IO] DEPS targets... [TIMEOUT seconds] [ENVIRONMENT name=value]): one executable a folder under
# tests/, test_<folder with _>.
# Without IO the folder's tests are pure: labelled so, and run by the sanitizers in CI. An IO test is built after the
# executables, which it may start.
function(chorus_test folder)
  cmake_parse_arguments(ARG "IO" "TIMEOUT;ENVIRONMENT" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  string(REPLACE "/" "_" name test_${folder})
  add_executable(${name} ${sources})
  target_compile_definitions(${name} PRIVATE CHORUS_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             CHORUS_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} chorus_test_flags GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(TARGET chorus_test_pch)
    target_precompile_headers(${name} REUSE_FROM chorus_test_pch)
  endif()
  add_dependencies(chorus_tests ${name})
  set(labels io)
  if(NOT ARG_IO)
    set(labels pure)
    add_dependencies(chorus_pure_tests ${name})
  else()
    foreach(executable chorus-certs chorus-client chorus-coordinator chorus-sim)
      if(TARGET ${executable})
        add_dependencies(${name} ${executable})
      endif()
    endforeach()
  endif()
  # Found when the tests run, not when they are linked: a test that was not built fails by its absence.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_PREFIX "${folder}/"
                       PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS ${labels} ENVIRONMENT "${ARG_ENVIRONMENT}")
endfunction()
