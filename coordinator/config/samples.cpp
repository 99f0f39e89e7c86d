#include "coordinator/config/samples.hpp"

namespace chorus::coordinator {

std::string_view sample_coordinator_file() noexcept {
  return R"toml(# How this coordinator runs: addresses, folders, limits. What it trains is in the job file.
# Relative paths are relative to this file. Durations are written "500ms", "30s", "10min", "2h" or "30d".
# SIGHUP reloads the certificates, the CRL, [log] level and the job's catalogue; the rest needs a restart.

# Where devices connect: "IPv4:port", "[IPv6]:port". Port 0 takes any free port; the addresses in use are written to
# <state>/endpoint, one "host:port" a line.
listen = ["127.0.0.1:7443", "[::1]:7443"]

# The folder of all durable state: coordinator.db, JOB.trace.jsonl, endpoint, lock. It is made if it is missing; one
# coordinator at a time may use it.
state = "state"

# The folder with coordinator.crt, coordinator.key, authority.crt and crl.pem, as chorus-certs makes them.
certificates = "certificates"

[log]
# "debug", "info", "warning", "error" or "off". Devices are never named at info or above.
level = "info"
# "text" or "json", one line an event, on standard error.
format = "text"

# [admin]
# Where an operator looks: a dashboard at /, Prometheus metrics at /metrics, /healthz, /readyz and /api/status, over
# HTTP without encryption, so keep it on loopback. Reading needs no login and names nobody; commands need the token that
# the first start writes to <state>/admin.token. The address in use is written to <state>/admin. Left out: none of it.
# listen = "127.0.0.1:9464"

[limits]
# Connections at the same time. More are closed at once and counted. Each needs an open file: see `ulimit -n`.
connections = 12000
# TLS handshakes at the same time; more wait in the kernel's queue.
handshakes = 256
# New connections a second from one address (of IPv6, from one /64), after a burst of four times as many.
handshakes_per_address = 50
# Connections that one address may have open. Raise it where many devices share an address.
connections_per_address = 2000
# Whether these two hold for loopback too. Not where a proxy or a fleet connects from this machine.
limit_loopback = false
# From the accepted connection to the end of the TLS handshake. While half of `handshakes` are in progress a handshake
# has a second at most, so that those that never end do not keep the others out.
handshake_timeout = "10s"
# From there to the device's first message.
hello_timeout = "10s"
# How long a device that has not asked to be invited may say nothing.
idle_timeout = "1h"
# From the first byte of a message to its last.
frame_timeout = "30s"
# How long one message may wait for a device that does not read.
write_timeout = "60s"
# Messages that may wait for one device; beyond it the connection is closed.
queue = 64

[shutdown]
# After SIGTERM or SIGINT a round in progress gets this long to complete; then it is aborted.
grace = "5s"
)toml";
}

std::string_view sample_job_file() noexcept {
  return R"toml(# What this coordinator trains. Relative paths are relative to this file.
# The job's name, goal, contract, model and cohort size are what devices agree to: once a state folder holds the job
# they cannot be changed there.

# 1 to 64 characters of a-z, 0-9 and "-". Devices name the job when they connect.
name = "movies"

# Training rounds after which the job is finished. 0: it goes on for ever. Left out: the model family's preset.
rounds = 9

# "serve": a finished job still welcomes devices and serves its model. "exit": the coordinator ends with status 0.
when_finished = "serve"

# The items, a tab-separated table with a header: id, title, year, genres (joined by "|"); all but the id may be left
# out. An item's line is its index in the model. Lines may be added at the end and are taken over on SIGHUP or at the
# next start; nothing else may change.
catalogue = "items.tsv"

[data]
# "ratings" (an opinion on a scale) or "events" (something happened; a weight says how much).
feedback = "ratings"
# The scale: values lie at minimum + k * step, up to maximum; step 0 allows any value in between.
minimum = 1
maximum = 5
step = 1
# A device with more ratings contributes its most recent ones.
max_items_per_user = 10000

[model]
# The model family. Every other key of this table is a setting of that family, for example rank or lambda; the
# settings that are left out keep their presets, and an unknown one is an error that lists the known ones.
family = "mf"

[cohort]
# The most members of one secure sum, at most 512. More devices are divided into several cohorts.
size = 128
# The fewest members of a cohort; with fewer devices the coordinator waits. Left out: the floor, which at a dropout
# of 3/20 is 76, so that at least 64 devices are in every sum. It cannot be set below.
minimum = 76
# The share of a cohort that may fail to deliver before its round is aborted; at most 1/3.
dropout = "3/20"
# The share of a cohort that may lie together with whoever runs the coordinator; at least 1/20. More needs more
# survivors to unmask a sum.
corrupt = "1/20"
# Since a device's enrolment, at least; devices ask for 30 days of each other. Lower it for demonstrations alone.
least_identity_age = "30d"

[round]
# How long to wait for more devices once there are enough. A round opens sooner if every connected device of the
# round before is ready again.
gather = "5s"
# How long each phase of a cohort's secure sum waits for its members: for their keys, their shares, their masked
# updates (slow networks and large catalogues need more), their votes on who survived, and what removes the masks. A
# phase ends at once when all have answered.
advertise_deadline = "10s"
share_deadline = "10s"
upload_deadline = "30s"
vote_deadline = "5s"
unmask_deadline = "5s"
# How long each phase waits for all of its members at least, before it goes on with as many as were wanted (see
# over_selection).
advertise_patience = "0s"
share_patience = "0s"
upload_patience = "0s"
vote_patience = "0s"
unmask_patience = "0s"
# How long a member whose connection broke is waited for within a phase.
reconnect_grace = "5s"
# A round wants this many devices, and opens as soon as those that it invites are ready. 0: no target, all are invited.
devices = 0
# So many times more devices are invited than are wanted, and each phase goes on when as many as wanted have answered
# and its patience is over: the slow ones are not waited for. At most 1 / (1 - dropout), which is 20/17 here: noise is
# sized for those invited. 1/1: everybody is waited for until the deadline.
over_selection = "1/1"
# A device that was invited is not invited again for so long; if it asks, it is told when to come back.
separation = "0s"
# Ready devices that may wait connected. Others are told when to come back: after come_back at least, spread evenly over
# as long as it takes until everybody who waits has had a turn, at most a day. 0: no bound but limits.connections.
most_waiting = 10000
come_back = "30s"
# After the last training round, one round that trains nothing measures the final model.
measure = true

# What becomes of the cohorts' sums. Some devices may lie to steer the model, and nobody sees what a device sends: a rule
# leaves out what differs from the other cohorts of the round. It needs at least three cohorts, the more the better, and
# costs a little quality: most for items that few people know.
# [aggregation]
# "mean": the plain sum, which one lying device can spoil. "norm-filtered": cohorts whose sums are unusually large are
# left out whole, which costs next to nothing and stops nothing subtle. "trimmed-mean": then, of every number, the largest
# and the smallest of the cohorts are left out. "median": then, the middle cohort of every number counts. Only "mean" goes
# with [privacy].
# rule = "trimmed-mean"
# Of trimmed-mean: the share of the cohorts left out at each end; more than may hold a lying device.
# trim = 0.25
# Of every rule but mean: how many times the usual length is too long.
# most_norm = 2

# Differential privacy: devices hide what they contribute in noise of their own, and keep a ledger of what that cost
# them. Without it the secure sum alone protects them, and every device must have agreed to that by name. Rating models
# of the family mf know it. Every model version carries a report of what was spent.
# [privacy]
# How much all rounds together may tell of any one person: by at most a factor of e^epsilon in odds, but for a chance
# of delta. Small crowds need a large epsilon to learn anything; about 5 is a good start, above 10 promises little.
# epsilon = 5
# delta = 1e-5
# Whom epsilon is against: "readers" of the published model, or the "coordinator", who sees each cohort's sum.
# against = "readers"
# What a device may pay to the coordinator, at the same delta, in all rounds together; no round opens beyond it. Devices
# agree to 8 at 1e-5 unless their users say otherwise.
# device_epsilon = 8
)toml";
}

}  // namespace chorus::coordinator
