#include "common/crypto/secret_bytes.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>
#include <ostream>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

namespace {

// Memory whose contents are looked at on the way into operator delete: to read it later would be undefined.
constexpr std::size_t kWatchedSize = 64;
const std::uint8_t* watched = nullptr;
bool watched_was_zero = false;

void release(void* memory) noexcept {
  if (memory != nullptr && memory == watched) {
    watched_was_zero = std::all_of(watched, watched + kWatchedSize, [](std::uint8_t byte) { return byte == 0; });
    watched = nullptr;
  }
  std::free(memory);
}

}  // namespace

// This executable's own allocation functions: malloc, and a look at what is given back.
void* operator new(std::size_t size) {
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}

namespace chorus::crypto {
namespace {

using Secret = SecretBytes<32>;

static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret> && std::is_nothrow_move_assignable_v<Secret>);

template <typename T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };
static_assert(!Printable<Secret>);

Secret filled(std::uint8_t byte) {
  Secret secret;
  std::ranges::fill(secret.expose(), byte);
  return secret;
}

bool all(std::span<const std::uint8_t> bytes, std::uint8_t value) {
  return std::ranges::all_of(bytes, [value](std::uint8_t byte) { return byte == value; });
}

TEST(SecretBytes, AMoveTakesTheBytesAndWipesTheSource) {
  Secret source = filled(0x5a);
  const Secret target = std::move(source);
  EXPECT_TRUE(all(target.expose(), 0x5a));
  EXPECT_TRUE(all(std::as_const(source).expose(), 0));
}

TEST(SecretBytes, AMoveAssignmentTakesTheBytesAndWipesTheSource) {
  Secret source = filled(0x5a);
  Secret target = filled(0x11);
  target = std::move(source);
  EXPECT_TRUE(all(std::as_const(target).expose(), 0x5a));
  EXPECT_TRUE(all(std::as_const(source).expose(), 0));
}

TEST(SecretBytes, AMoveToItselfKeepsTheBytes) {
  Secret secret = filled(0x5a);
  Secret& same = secret;
  secret = std::move(same);
  EXPECT_TRUE(all(std::as_const(secret).expose(), 0x5a));
}

TEST(SecretBytes, TheDestructorWipes) {
  alignas(Secret) std::array<std::uint8_t, sizeof(Secret)> memory{};
  auto* const secret = new (memory.data()) Secret(filled(0x5a));
  ASSERT_TRUE(all(memory, 0x5a));
  secret->~Secret();
  EXPECT_TRUE(all(memory, 0));
}

TEST(SecretBytes, ComparisonSeesEveryByte) {
  EXPECT_EQ(filled(3), filled(3));
  for (std::size_t i = 0; i < 32; ++i) {
    Secret other = filled(3);
    other.expose()[i] ^= 0x80;
    EXPECT_FALSE(filled(3) == other) << "byte " << i;
  }
}

TEST(EqualConstantTime, ComparesLengthsAndBytes) {
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_TRUE(equal_constant_time(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("ab")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), {}));
}

TEST(Wipe, ZeroesAllOfItsMemoryAndNothingElse) {
  ByteArray<10> memory;
  memory.fill(0xff);
  wipe(std::span(memory).subspan(2, 5));
  EXPECT_EQ(to_hex(memory), "ffff0000000000ffffff");
  wipe({});
}

TEST(ZeroizingAllocator, WipesWhatItGivesBack) {
  ZeroizingAllocator<std::uint8_t> allocator;
  std::uint8_t* const memory = allocator.allocate(kWatchedSize);
  std::fill_n(memory, kWatchedSize, std::uint8_t{0x5a});
  watched = memory;
  allocator.deallocate(memory, kWatchedSize);
  EXPECT_EQ(watched, nullptr) << "the memory was not given back";
  EXPECT_TRUE(watched_was_zero);
}

TEST(ZeroizingVector, GrowthWipesTheMemoryItLeaves) {
  ZeroizingBytes bytes(kWatchedSize, 0x5a);
  watched = bytes.data();
  bytes.resize(100 * kWatchedSize, 0x5a);
  EXPECT_EQ(watched, nullptr) << "the memory was not given back";
  EXPECT_TRUE(watched_was_zero);
  EXPECT_TRUE(all(bytes, 0x5a));
}

}  // namespace
}  // namespace chorus::crypto
