// Unsigned integers of a fixed number of 64-bit words, for exact rationals and interval arithmetic. Not for secrets
// that must not be timed: comparison ends at the first difference.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "common/base/check.hpp"

namespace chorus::privacy {

// words[0] is the least significant. Overflow is a bug of the caller (CHORUS_ENSURE), never silent.
template <std::size_t N>
struct WideInteger {
  std::array<std::uint64_t, N> words{};

  constexpr WideInteger() = default;
  constexpr explicit(false) WideInteger(std::uint64_t value) { words[0] = value; }

  friend constexpr bool operator==(const WideInteger&, const WideInteger&) = default;
  friend constexpr std::strong_ordering operator<=>(const WideInteger& a, const WideInteger& b) {
    for (std::size_t i = N; i-- > 0;) {
      if (a.words[i] != b.words[i]) return a.words[i] <=> b.words[i];
    }
    return std::strong_ordering::equal;
  }

  constexpr WideInteger& operator+=(const WideInteger& other) {
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < N; ++i) {
      const unsigned __int128 sum = static_cast<unsigned __int128>(words[i]) + other.words[i] + carry;
      words[i] = static_cast<std::uint64_t>(sum);
      carry = static_cast<std::uint64_t>(sum >> 64);
    }
    CHORUS_ENSURE(carry == 0, "a wide sum fits");
    return *this;
  }
  // REQUIRES: other ≤ *this.
  constexpr WideInteger& operator-=(const WideInteger& other) {
    std::uint64_t borrow = 0;
    for (std::size_t i = 0; i < N; ++i) {
      const unsigned __int128 difference = static_cast<unsigned __int128>(words[i]) - other.words[i] - borrow;
      words[i] = static_cast<std::uint64_t>(difference);
      borrow = static_cast<std::uint64_t>(difference >> 64) & 1;
    }
    CHORUS_ENSURE(borrow == 0, "a wide difference is not negative");
    return *this;
  }
  friend constexpr WideInteger operator+(WideInteger a, const WideInteger& b) { return a += b; }
  friend constexpr WideInteger operator-(WideInteger a, const WideInteger& b) { return a -= b; }

  // How many bits its binary form has; 0 for zero.
  [[nodiscard]] constexpr std::size_t bit_length() const {
    for (std::size_t i = N; i-- > 0;) {
      if (words[i] != 0) return 64 * i + static_cast<std::size_t>(std::bit_width(words[i]));
    }
    return 0;
  }
  [[nodiscard]] constexpr bool bit(std::size_t i) const { return (words[i / 64] >> (i % 64) & 1) != 0; }

  constexpr WideInteger& operator<<=(std::size_t bits) {
    CHORUS_ENSURE(bit_length() + bits <= 64 * N, "a wide shift fits");
    const std::size_t whole = bits / 64;
    const std::size_t part = bits % 64;
    for (std::size_t i = N; i-- > 0;) {
      const std::uint64_t high = i >= whole ? words[i - whole] : 0;
      const std::uint64_t low = i > whole ? words[i - whole - 1] : 0;
      words[i] = part == 0 ? high : high << part | low >> (64 - part);
    }
    return *this;
  }
  constexpr WideInteger& operator>>=(std::size_t bits) {
    const std::size_t whole = bits / 64;
    const std::size_t part = bits % 64;
    for (std::size_t i = 0; i < N; ++i) {
      const std::uint64_t low = i + whole < N ? words[i + whole] : 0;
      const std::uint64_t high = i + whole + 1 < N ? words[i + whole + 1] : 0;
      words[i] = part == 0 ? low : low >> part | high << (64 - part);
    }
    return *this;
  }
  friend constexpr WideInteger operator<<(WideInteger a, std::size_t bits) { return a <<= bits; }
  friend constexpr WideInteger operator>>(WideInteger a, std::size_t bits) { return a >>= bits; }
};

// The other number of words; REQUIRES: the value fits.
template <std::size_t M, std::size_t N>
[[nodiscard]] constexpr WideInteger<M> resized(const WideInteger<N>& a) {
  WideInteger<M> out;
  for (std::size_t i = 0; i < N; ++i) {
    if (i < M) {
      out.words[i] = a.words[i];
    } else {
      CHORUS_ENSURE(a.words[i] == 0, "a narrowed wide integer fits");
    }
  }
  return out;
}

template <std::size_t N, std::size_t M>
[[nodiscard]] constexpr WideInteger<N + M> product(const WideInteger<N>& a, const WideInteger<M>& b) {
  WideInteger<N + M> out;
  for (std::size_t i = 0; i < N; ++i) {
    std::uint64_t carry = 0;
    for (std::size_t j = 0; j < M; ++j) {
      // At most (2^64 − 1)² + 2 (2^64 − 1) = 2^128 − 1.
      const unsigned __int128 sum = static_cast<unsigned __int128>(a.words[i]) * b.words[j] + out.words[i + j] + carry;
      out.words[i + j] = static_cast<std::uint64_t>(sum);
      carry = static_cast<std::uint64_t>(sum >> 64);
    }
    out.words[i + M] = carry;
  }
  return out;
}

// ⌊a / b⌋ by long division, a bit at a time. REQUIRES: b > 0, and its top bit is clear.
template <std::size_t N, std::size_t M>
[[nodiscard]] constexpr WideInteger<N> quotient(const WideInteger<N>& a, const WideInteger<M>& b) {
  CHORUS_ENSURE(b != WideInteger<M>(), "no division by zero");
  WideInteger<N> out;
  WideInteger<M> rest;
  for (std::size_t i = a.bit_length(); i-- > 0;) {
    rest <<= 1;
    rest.words[0] |= static_cast<std::uint64_t>(a.bit(i));
    if (rest >= b) {
      rest -= b;
      out.words[i / 64] |= std::uint64_t{1} << (i % 64);
    }
  }
  return out;
}

}  // namespace chorus::privacy
