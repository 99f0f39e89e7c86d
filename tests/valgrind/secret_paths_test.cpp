// No secret decides a branch or an address. Valgrind's Memcheck follows undefined bytes through every computation and
// reports a branch or an address that depends on them: here the secrets are what is undefined (the method of
// libsecp256k1's ctime_tests). Without Valgrind the same tests run as they are, and the run under it is skipped.
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/wait.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define CHORUS_HAS_MEMCHECK 1
#else
#define CHORUS_HAS_MEMCHECK 0
#define VALGRIND_MAKE_MEM_UNDEFINED(address, size) static_cast<void>(0)
#define VALGRIND_MAKE_MEM_DEFINED(address, size) static_cast<void>(0)
#endif

#include <gtest/gtest.h>

#include "common/crypto/hkdf.hpp"
#include "common/plan/update_layout.hpp"
#include "common/privacy/discrete_gaussian.hpp"
#include "common/ring/mask_kernel.hpp"
#include "common/ring/packing.hpp"
#include "common/secagg/commitment.hpp"
#include "common/secagg/shamir.hpp"
#include "common/secagg/transcript.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::secagg {
namespace {

template <typename Container>
void hide(Container&& secret) {
  static_cast<void>(VALGRIND_MAKE_MEM_UNDEFINED(secret.data(), secret.size() * sizeof(*secret.data())));
}
template <typename Container>
void show(Container&& secret) {
  static_cast<void>(VALGRIND_MAKE_MEM_DEFINED(secret.data(), secret.size() * sizeof(*secret.data())));
}
template <typename T>
T shown(T value) {
  static_cast<void>(VALGRIND_MAKE_MEM_DEFINED(&value, sizeof(value)));
  return value;
}

TEST(SecretPaths, SplittingASecretAndCombiningItsShares) {
  sim::SeededRandom random(1);
  crypto::SecretBytes<32> secret = random.secret<32>();
  const crypto::SecretBytes<32> before(secret.expose());
  hide(secret.expose());
  std::vector<Share> shares = split(secret, 5, 8, random);  // undefined, as the secret is
  const Recombination recombination({1, 2, 4, 6, 7});
  const std::vector<const Share*> some{&shares[1], &shares[2], &shares[4], &shares[6], &shares[7]};
  crypto::SecretBytes<32> found;
  const std::uint64_t faults = recombination.interpolate(some, found);
  EXPECT_EQ(shown(faults), 0U);
  show(found.expose());
  EXPECT_TRUE(found == before);
}

TEST(SecretPaths, CommittingAndDerivingKeys) {
  sim::SeededRandom random(2);
  Opening opening{random.secret<kShareSize>(), random.secret<32>()};
  crypto::SecretBytes<32> secret = random.secret<32>();
  hide(opening.share.expose());
  hide(opening.salt.expose());
  hide(secret.expose());
  Digest commitment = commit(ShareKind::beta, Digest{1}, 2, 3, opening);
  Digest seed_commitment = commit_seed(Digest{1}, 2, secret);
  crypto::SecretBytes<32> seed = pair_mask_seed(secret, Digest{4}, 5, 6);
  show(commitment);
  show(seed_commitment);
  show(seed.expose());
  EXPECT_NE(commitment, seed_commitment);
}

TEST(SecretPaths, MaskingAnUpdate) {
  for (const int bits : {16, 24, 32}) {
    plan::TensorLayout tensor{
        .name = "all", .rows = 1, .columns = 5000, .per_item = false, .limbs = 1, .scale_log2 = 2, .clip = 8};
    const auto layout = plan::UpdateLayout::create({tensor}, bits, 64).value();
    sim::SeededRandom random(3);
    crypto::ZeroizingBytes update(layout.packed_size());
    random.fill(update);
    const crypto::ZeroizingBytes before = update;
    std::array<crypto::SecretBytes<32>, 3> seeds{random.secret<32>(), random.secret<32>(), random.secret<32>()};
    hide(update);
    for (auto& seed : seeds) hide(seed.expose());
    crypto::ZeroizingVector<std::uint32_t> lanes(layout.dimension(), 0);
    ring::add_packed(bits, update, lanes);
    std::vector<ring::Mask> masks{{&seeds[0], false}, {&seeds[1], true}, {&seeds[2], false}};
    ring::add_masks(layout, lanes, masks, 1);
    for (ring::Mask& mask : masks) mask.subtract = !mask.subtract;
    crypto::ZeroizingBytes masked(layout.packed_size());
    ring::pack(bits, lanes, masked);
    ring::add_masks(layout, lanes, masks, 1);
    crypto::ZeroizingBytes after(layout.packed_size());
    ring::pack(bits, lanes, after);
    show(masked);
    show(after);
    EXPECT_NE(masked, before);
    EXPECT_EQ(after, before);
  }
}

// Gives secrets and nothing else.
class HiddenRandom final : public crypto::RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override {
    random_.fill(out);
    hide(out);
  }

 private:
  sim::SeededRandom random_{6};
};

TEST(SecretPaths, AddingNoise) {
  for (const double sigma : {4.0, 50.0}) {
    HiddenRandom random;
    const auto sampler = privacy::DiscreteGaussian::create(sigma).value();
    crypto::ZeroizingVector<std::uint32_t> lanes(1'000, 0);
    hide(lanes);
    sampler.add_to(lanes, random);
    show(lanes);
    EXPECT_NE(lanes, (crypto::ZeroizingVector<std::uint32_t>(1'000, 0)));
    // And the kernel of machines without AVX2.
    alignas(64) std::array<std::uint64_t, 2 * privacy::kNoiseBlock> words;
    alignas(64) std::array<std::int64_t, privacy::kNoiseBlock> samples{};
    random.fill({reinterpret_cast<std::uint8_t*>(words.data()), sizeof words});
    privacy::baseline_noise_kernel()(words.data(), sampler.levels().front().thresholds, 1, samples.data());
    show(samples);
    EXPECT_NE(samples, (std::array<std::int64_t, privacy::kNoiseBlock>{}));
  }
}

TEST(SecretPaths, ComparingSecrets) {
  sim::SeededRandom random(4);
  crypto::SecretBytes<32> a = random.secret<32>();
  crypto::SecretBytes<32> b(a.expose());
  crypto::SecretBytes<32> c = random.secret<32>();
  for (auto* secret : {&a, &b, &c}) hide(secret->expose());
  const bool same = a == b;
  const bool other = a == c;
  EXPECT_TRUE(shown(same));
  EXPECT_FALSE(shown(other));
}

// What Memcheck must report: run by the control below alone.
TEST(SecretBranch, DISABLED_OnOneBit) {
  sim::SeededRandom random(5);
  crypto::SecretBytes<32> secret = random.secret<32>();
  hide(secret.expose());
  volatile int taken = 0;
  if ((secret.expose()[0] & 1) != 0) taken = 1;
  EXPECT_GE(taken, 0);
}

constexpr int kFound = 99;

// The exit code of this very executable under Memcheck.
int run_under_memcheck(const std::string& filter) {
  const std::string command = "valgrind --quiet --error-exitcode=" + std::to_string(kFound) + " " +
                              std::filesystem::read_symlink("/proc/self/exe").string() +
                              " --gtest_also_run_disabled_tests --gtest_filter='" + filter + "' > /dev/null 2>&1";
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool can_run_memcheck() {
#if !CHORUS_HAS_MEMCHECK || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return false;
#else
  return std::system("valgrind --version > /dev/null 2>&1") == 0;
#endif
}

TEST(Memcheck, FindsNoBranchOnASecret) {
  if (!can_run_memcheck()) GTEST_SKIP() << "no Valgrind (package valgrind), or a build that it cannot run";
  EXPECT_EQ(run_under_memcheck("SecretPaths.*"), 0);
}

TEST(Memcheck, ControlABranchOnASecretIsFound) {
  if (!can_run_memcheck()) GTEST_SKIP() << "no Valgrind (package valgrind), or a build that it cannot run";
  EXPECT_EQ(run_under_memcheck("SecretBranch.*"), kFound);
}

}  // namespace
}  // namespace chorus::secagg
