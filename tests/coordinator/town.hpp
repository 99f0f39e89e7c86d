// A coordinator's Federation with devices made of plain code, in virtual time: every action is carried out at once,
// messages arrive in order. Tests decide what each device does and what the store answers.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client/round/sum_member.hpp"
#include "common/crypto/hash.hpp"
#include "common/identity/certificate.hpp"
#include "common/model/registry.hpp"
#include "common/ring/fixed_point.hpp"
#include "coordinator/federation/federation.hpp"
#include "simulations/support/seeded_random.hpp"
#include "simulations/world/secure_cohort.hpp"

namespace chorus::coordinator::test {

constexpr plan::Floors kTestFloors{.least_survivors = 2};

inline identity::DeviceId device_id(std::uint32_t number) {
  return {.bytes = {static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8), 1}};
}

inline std::vector<dataset::CatalogueItem> make_items(std::size_t count) {
  std::vector<dataset::CatalogueItem> items;
  for (std::size_t i = 0; i < count; ++i) {
    items.emplace_back();
    items.back().id = "i" + std::to_string(i);
  }
  return items;
}

inline std::shared_ptr<const crypto::SigningKey> make_key() {
  sim::SeededRandom random(99);
  return std::make_shared<const crypto::SigningKey>(crypto::SigningKey::generate(random));
}

inline protocol::JobDescription make_job(std::uint64_t rounds, std::uint32_t cohort_size = 5) {
  const dataset::DataContract contract{.minimum = 1, .maximum = 5, .step = 1, .max_items_per_user = 100};
  const auto model = model::make_model("mf", {{"rank", "3"}, {"lambda", "1"}},
                                       {.items = 1, .contract = contract, .max_contributors = cohort_size});
  return {.name = "town",
          .family = "mf",
          .settings = model.value()->settings(),
          .contract = contract,
          .max_contributors = cohort_size,
          .round_goal = rounds};
}

inline FederationSettings make_settings() {
  return {.cohort_size = 5,
          .cohort_minimum = 4,
          .dropout = {1, 4},
          .reconnect_grace = 0s,
          .least_identity_age = 0s,
          .gather = 5s};
}

// The authority of the devices, and a list on which none of them is.
class Enrolment {
 public:
  explicit Enrolment(std::uint64_t seed = 7) : random_(seed), key_(crypto::SigningKey::generate(random_)) {
    const auto certificate =
        identity::make_authority_certificate(key_, identity::random_serial(random_), {kToday - 1h, kToday + 240h});
    revoked_ = std::make_shared<const identity::RevocationList>(
        identity::make_revocation_list({}, 1, kToday - 1h, kToday + 24h, {*certificate, key_}).value());
  }
  [[nodiscard]] Admission admission() const { return {.authority = key_.public_key(), .revoked = revoked_}; }
  [[nodiscard]] identity::IdentityStatement statement(const identity::DeviceId& id,
                                                      const crypto::SigningKey& key) const {
    identity::IdentityStatement statement;
    statement.id = id;
    statement.key = key.public_key();
    statement.enrolled_at = kToday - 1h;
    statement.expires_at = kToday + 240h;
    return identity::sign(statement, key_);
  }
  static constexpr WallTime kToday{std::chrono::seconds(1'700'000'000)};

 private:
  sim::SeededRandom random_;
  crypto::SigningKey key_;
  std::shared_ptr<const identity::RevocationList> revoked_;
};

// What a store was given; can be told to fail.
struct MemoryStore {
  std::vector<std::string> trace;
  Status next;  // what the next call returns
};

// How a device behaves in a round.
enum class Manner {
  delivers,
  vanishes,  // on the plan
  declines,
  cannot_read,  // the plan, and says so
  is_of_another_authority,
  is_silent,          // on the plan
  shares_in_silence,  // deals its shares, and says no more
  vanishes_half_way,  // with its first piece sent
  does_not_clip,      // and moves the sum as far as the ring goes
  exaggerates,        // every number a thousand times, within its clip
};

class Town {
 public:
  Town(const FederationSettings& settings, JobStart start, std::uint64_t seed = 1)
      : random_(seed),
        federation_(
            Federation::create(settings, std::move(start), enrolment_.admission(), random_, kTestFloors).value()) {}

  // A device's part in a round.
  struct Part {
    Part(const Enrolment& enrolment, const identity::DeviceId& id, crypto::RandomSource& random)
        : key(crypto::SigningKey::generate(random)), statement(enrolment.statement(id, key)) {}
    crypto::SigningKey key;
    identity::IdentityStatement statement;
    sim::MemoryPromises promises;
    secagg::VerifiedStatements verified;
    ByteArray<32> session{};
    std::optional<client::SumMember> member{};
    std::optional<client::MaskedUpdate> masked{};
  };

  struct Device {
    std::uint32_t number = 0;
    std::optional<SessionId> session;
    Manner manner = Manner::delivers;
    bool asks = true;  // sends Ready by itself
    std::optional<protocol::ModelHeader> held;
    model::TensorSet shared;
    std::vector<model::Observation> training;
    std::vector<model::Observation> held_out;
    std::vector<protocol::Message> heard;
    std::unique_ptr<Part> part{};
    std::size_t upload_from = 0;

    [[nodiscard]] std::size_t count(protocol::MessageType type) const {
      std::size_t found = 0;
      for (const auto& message : heard) found += protocol::type_of(message) == type ? 1 : 0;
      return found;
    }
    template <typename T>
    [[nodiscard]] const T* last() const {
      for (auto it = heard.rbegin(); it != heard.rend(); ++it) {
        if (const auto* found = std::get_if<T>(&*it)) return found;
      }
      return nullptr;
    }
  };

  // --- what tests do
  Device& add(std::uint32_t number) {
    Device& device = devices_[number];
    device.number = number;
    if (device.training.empty()) give_ratings(device);
    return device;
  }
  void connect(std::uint32_t number) {
    Device& device = add(number);
    device.session = SessionId(++last_session_);
    sessions_[*device.session] = number;
    run(federation_.on_connected(*device.session, device_id(number), now));
    say(device, protocol::Hello{});
  }
  void connect(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) connect(first + i);
  }
  void disconnect(std::uint32_t number) {
    Device& device = devices_.at(number);
    if (!device.session) return;
    const SessionId session = *std::exchange(device.session, std::nullopt);
    run(federation_.on_disconnected(session, now));
  }
  void say(Device& device, protocol::Message message) {
    if (device.session) run(federation_.on_message(*device.session, std::move(message), now, Enrolment::kToday));
  }
  void say(std::uint32_t number, protocol::Message message) { say(devices_.at(number), std::move(message)); }
  void advance(Duration by) {
    const Moment until = now + by;
    while (federation_.next_deadline() && *federation_.next_deadline() <= until) {
      now = std::max(now, *federation_.next_deadline());
      run(federation_.on_time(now));
    }
    now = until;
  }
  void stop() { run(federation_.on_stop(now)); }
  void catalogue(std::vector<dataset::CatalogueItem> items) { run(federation_.on_catalogue(std::move(items), now)); }
  // Carries out the one piece of work that was held back; what comes of it is held back again.
  void release() {
    ASSERT_EQ(held_.size(), 1U);
    Action action = std::move(held_.front());
    held_.clear();
    hold_work = false;
    std::visit([this](auto& value) { work(value); }, action);
    hold_work = true;
    run({});
  }
  void run(Actions actions) {
    enqueue(std::move(actions));
    if (std::exchange(running_, true)) return;
    while (!queue_.empty()) {
      Action action = std::move(queue_.front());
      queue_.pop_front();
      std::visit([this](auto& value) { carry_out(value); }, action);
    }
    running_ = false;
  }

  [[nodiscard]] Device& device(std::uint32_t number) { return devices_.at(number); }
  [[nodiscard]] Federation& federation() { return federation_; }
  template <typename T>
  [[nodiscard]] std::vector<T> logged() const {
    std::vector<T> found;
    for (const auto& event : log) {
      if (const auto* value = std::get_if<T>(&event)) found.push_back(*value);
    }
    return found;
  }

  Moment now{Duration(1s)};
  MemoryStore store;
  std::vector<RoundRecord> records;  // of rounds that gave nothing
  std::vector<Log> log;
  std::optional<Status> stopped;
  std::vector<Close> closed;
  JobStore* real_store = nullptr;  // beside `store`
  // Before its manifests are delivered; counts from 1.
  std::function<void(std::size_t)> on_round_opened;
  bool hold_work = false;  // reservations, steps and commits wait for release()

 private:
  // Four fifths of a device's ratings are for training. Users and items fall into two kinds that like each other.
  static void give_ratings(Device& device) {
    sim::SeededRandom random(1000 + device.number);
    for (std::uint32_t item = 0; item < 20; ++item) {
      if (random.below(2) == 0) continue;
      const bool like = (device.number + item) % 2 == 0;
      const float value = static_cast<float>((like ? 4 : 2) + static_cast<int>(random.below(2)));
      ((item / 2 + device.number) % 5 == 0 ? device.held_out : device.training)
          .push_back({.item = item, .value = value, .when = 0});
    }
    if (device.training.empty()) device.training.push_back({.item = 1, .value = 3, .when = 0});
  }

  void enqueue(Actions actions) {
    for (auto& action : actions) queue_.push_back(std::move(action));
  }

  void ask(Device& device) {
    if (device.asks && device.held)
      say(device, protocol::Ready{.model_version = device.held->version, .has_model = true});
  }

  void fetch(Device& device, const protocol::Signed& document) {
    device.held = protocol::ModelHeader::decode(document.document).value();
    say(device, protocol::Fetch{.kind = protocol::BlobKind::model, .version = device.held->version.value()});
  }

  void receive(Device& device, const protocol::Message& message) {
    device.heard.push_back(message);
    if (const auto* welcome = std::get_if<protocol::Welcome>(&message)) {
      fetch(device, *welcome->model);
      ask(device);
    } else if (const auto* manifest = std::get_if<protocol::Manifest>(&message)) {
      contribute(device, *manifest);
    } else if (const auto* published = std::get_if<protocol::Published>(&message)) {
      fetch(device, published->model);
    } else if (std::holds_alternative<protocol::Result>(message)) {
      ask(device);
    } else if (device.part && device.part->member) {
      take_step(device, message);
    }
  }

  void contribute(Device& device, const protocol::Manifest& manifest) {
    const auto plan = plan::RoundPlan::decode(manifest.plan.document, kTestFloors).value();
    const auto& fields = plan.fields();
    ASSERT_TRUE(device.held.has_value());
    ASSERT_EQ(device.held->model_id, fields.model_id);
    ASSERT_EQ(crypto::sha256(manifest.revocations), fields.revocations);
    if (device.manner == Manner::vanishes) return disconnect(device.number);
    if (device.manner == Manner::is_silent) return;
    if (device.manner == Manner::declines) {
      return say(device,
                 protocol::Decline{.session = fields.session, .code = ErrorCode::wrong_model, .sentence = "no"});
    }
    if (device.manner == Manner::cannot_read) {
      return say(device, protocol::Decline{.code = ErrorCode::unsupported_version, .sentence = "what?"});
    }
    ring::Contribution contribution;
    federation_.publisher().model().contribute(
        fields.purpose, device.shared, {.training = device.training, .held_out = device.held_out}, contribution);
    if (device.manner == Manner::exaggerates) {
      for (double& number : contribution.rows) number *= 1000;
      for (double& number : contribution.dense) number *= 1000;
    }
    ring::EncodeCounts counts;
    auto update = ring::encode(plan.layout(), contribution, counts).value();
    if (device.manner == Manner::does_not_clip) {
      // The largest coordinate of a 24-bit ring, in the first place.
      update[0] = update[1] = 0xff;
      update[2] = 0x7f;
    }
    const Enrolment another(8);
    device.part = std::make_unique<Part>(device.manner == Manner::is_of_another_authority ? another : enrolment_,
                                         device_id(device.number), random_);
    Part& part = *device.part;
    part.session = fields.session;
    part.member.emplace(client::SumTerms{.h0 = crypto::sha256(manifest.plan.document),
                                         .layout = plan.layout(),
                                         .bounds = {.least_members = fields.least_members,
                                                    .most_members = fields.most_members,
                                                    .corrupt = fields.corrupt,
                                                    .dropout = fields.dropout}},
                        client::SumIdentity{&part.statement, &part.key},
                        secagg::AdmissionRules{.authority = enrolment_.admission().authority,
                                               .now = Enrolment::kToday,
                                               .least_age = 0s,
                                               .revoked = nullptr},
                        part.verified, std::move(update), random_, part.promises);
    say(device, protocol::Advertise{.session = part.session, .body = part.member->advertise()});
  }

  void take_step(Device& device, const protocol::Message& message) {
    Part& part = *device.part;
    if (const auto* roster = std::get_if<protocol::Roster>(&message)) {
      say(device,
          protocol::Shares{.session = part.session, .body = part.member->on_roster(roster->body).value().value()});
    } else if (const auto* delivery = std::get_if<protocol::Delivery>(&message)) {
      if (device.manner == Manner::shares_in_silence) return;
      auto masked = part.member->on_delivery(delivery->body).value();
      if (masked) part.masked = std::move(masked);
      upload(device);
    } else if (const auto* survivors = std::get_if<protocol::Survivors>(&message)) {
      say(device,
          protocol::Vote{.session = part.session, .body = part.member->on_survivors(survivors->body).value().value()});
    } else if (const auto* certificate = std::get_if<protocol::Certificate>(&message)) {
      say(device, protocol::Openings{.session = part.session,
                                     .body = part.member->on_certificate(certificate->body).value().value()});
    }
  }

  void upload(Device& device) {
    Part& part = *device.part;
    const Bytes& vector = part.masked->vector;
    constexpr std::size_t kPiece = 10;
    for (std::size_t offset = device.upload_from; offset < vector.size(); offset += kPiece) {
      const std::size_t size = std::min(kPiece, vector.size() - offset);
      const auto begin = vector.begin() + static_cast<std::ptrdiff_t>(offset);
      say(device, protocol::Update{.session = part.session,
                                   .offset = offset,
                                   .total = vector.size(),
                                   .data = Bytes(begin, begin + static_cast<std::ptrdiff_t>(size))});
      if (device.manner == Manner::vanishes_half_way) return disconnect(device.number);
    }
    say(device, protocol::Masked{.session = part.session, .body = part.masked->end});
  }

  void carry_out(Send& action) {
    if (const auto* manifest = std::get_if<protocol::Manifest>(&action.message);
        manifest != nullptr && on_round_opened) {
      on_round_opened(++opened_);
    }
    for (const SessionId session : action.to) {
      Device& device = devices_.at(sessions_.at(session));
      if (device.session == session) receive(device, action.message);
    }
  }
  void carry_out(SendBlob& action) {
    Device& device = devices_.at(sessions_.at(action.to));
    if (action.kind == protocol::BlobKind::model) device.shared = model::TensorSet::decode(*action.bytes).value();
  }
  void carry_out(Close& action) {
    closed.push_back(action);
    Device& device = devices_.at(sessions_.at(action.session));
    if (device.session == action.session) device.session.reset();
    run(federation_.on_disconnected(action.session, now));
  }
  template <typename Work>
  void carry_out(Work& action)
    requires(std::same_as<Work, ReserveRound> || std::same_as<Work, BuildStep> || std::same_as<Work, StoreVersion>)
  {
    if (hold_work) {
      held_.emplace_back(std::move(action));
    } else {
      work(action);
    }
  }
  void work(ReserveRound& action) {
    Status status = std::exchange(store.next, Status{});
    if (status && real_store != nullptr) status = real_store->reserve_round(action.reservation, Enrolment::kToday);
    enqueue(federation_.on_round_reserved(status, now));
  }
  void carry_out(RecoverSum& action) { enqueue(federation_.on_sum_recovered(action, action.work->run(2), now)); }
  void work(BuildStep& action) { enqueue(federation_.on_step_built(action.run(), now)); }
  void work(StoreVersion& action) {
    Status status = std::exchange(store.next, Status{});
    if (status && real_store != nullptr) status = real_store->commit(*action.commit, Enrolment::kToday);
    if (status) store.trace.push_back(action.commit->trace_line);
    enqueue(federation_.on_stored(status, now));
  }
  template <typename Other>
  void work(Other&) {}
  void carry_out(RecordRound& action) {
    records.push_back(action.round);
    if (real_store == nullptr) return;
    EXPECT_TRUE(real_store->round_aborted(action.round, Enrolment::kToday).has_value());
  }
  void carry_out(Stop& action) { stopped = action.outcome; }
  void carry_out(Log& event) { log.push_back(event); }

  Enrolment enrolment_;
  sim::SeededRandom random_;
  Federation federation_;
  std::map<std::uint32_t, Device> devices_;
  std::map<SessionId, std::uint32_t> sessions_;
  std::uint64_t last_session_ = 0;
  std::size_t opened_ = 0;
  std::deque<Action> queue_;
  std::vector<Action> held_;
  bool running_ = false;
};

}  // namespace chorus::coordinator::test
