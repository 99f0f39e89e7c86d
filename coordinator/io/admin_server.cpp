// cpp-httplib stops in this file.
#include "coordinator/io/admin_server.hpp"

#include <atomic>
#include <charconv>
#include <fstream>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "common/crypto/secret_bytes.hpp"
#include "common/log/log.hpp"
#include "coordinator/admin/dashboard.hpp"

namespace chorus::coordinator {

namespace {

constexpr std::size_t kTokenDigits = 64;
constexpr std::size_t kMostBody = std::size_t{1} << 20;  // a job file
// What one asks for at most waits for a model to be made.
constexpr std::chrono::seconds kLongestAnswer{60};
// A connection holds a thread as long as it lasts. So it lasts for one request: otherwise a few open dashboards would
// leave none for /healthz. A browser's spare connection, which asks for nothing, goes after kIdle seconds.
constexpr std::size_t kThreads = 16;
constexpr std::size_t kRequestsAConnection = 1;
constexpr time_t kIdle = 1;

Status write_private(const std::filesystem::path& path, const std::string& text) {
  const auto staged = std::filesystem::path(path.string() + ".new");
  std::ofstream out(staged, std::ios::trunc);
  out << text << '\n';
  out.close();
  std::error_code error;
  if (out) ::chmod(staged.c_str(), 0600);
  if (out) std::filesystem::rename(staged, path, error);
  if (!out || error) return fail(ErrorCode::unwritable, "cannot write this file; is the disk full?", path.string());
  return {};
}

// 64 hexadecimal digits; made on the first start.
Result<std::string> token_of(const std::filesystem::path& path, crypto::RandomSource& random) {
  std::string token;
  if (std::ifstream in(path); in) {
    std::getline(in, token);
    if (token.size() != kTokenDigits || token.find_first_not_of("0123456789abcdef") != std::string::npos) {
      return fail(ErrorCode::malformed, "not an admin token; remove the file, and the next start makes one",
                  path.string());
    }
    return token;
  }
  token = to_hex(random.array<32>());
  CHORUS_TRY_DO(write_private(path, token));
  return token;
}

// A browser that was lured to a page of somebody else's name for this address sends that name: it gets nothing.
bool is_own_host(const std::string& host, const std::string& endpoint, int port) {
  return host == endpoint || host == fmt::format("localhost:{}", port) || host == fmt::format("127.0.0.1:{}", port) ||
         host == fmt::format("[::1]:{}", port);
}

std::optional<std::uint64_t> version_of(const httplib::Request& request, const char* name) {
  const std::string text = request.get_param_value(name);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

void answer(httplib::Response& response, int status, std::string_view text) {
  response.status = status;
  response.set_content(std::string(text) + "\n", "text/plain; charset=utf-8");
}

}  // namespace

struct AdminServer::Impl {
  httplib::Server server;
  std::thread thread;
  std::string token;
  std::string endpoint;
  int port = 0;
  AskDaemon ask;
  std::atomic<bool> ending = false;
  std::filesystem::path file;
  std::mutex comparing;
  std::mutex mutex;  // of the two below
  std::shared_ptr<const Pictures> pictures;
  std::chrono::steady_clock::time_point shown{};

  ~Impl() {
    ending = true;
    server.stop();
    if (thread.joinable()) thread.join();
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }

  [[nodiscard]] std::shared_ptr<const Pictures> latest() {
    const std::lock_guard lock(mutex);
    return pictures;
  }
  [[nodiscard]] bool is_alive() {
    const std::lock_guard lock(mutex);
    return pictures != nullptr && std::chrono::steady_clock::now() - shown < kStale;
  }

  void asset(const char* path, std::string_view text, const char* type) {
    server.Get(path, [text, type](const httplib::Request&, httplib::Response& response) {
      response.set_content(text.data(), text.size(), type);
    });
  }

  // A handler of what the latest pictures say.
  template <typename Handler>
  void get(const char* path, Handler handler) {
    server.Get(path, [this, handler](const httplib::Request& request, httplib::Response& response) {
      const auto now = latest();
      if (now == nullptr) return answer(response, 503, "starting");
      handler(*now, request, response);
    });
  }
  // Of one job's: of ?job=NAME, or of the first.
  template <typename Handler>
  void get_of_job(const char* path, Handler handler) {
    get(path, [handler](const Pictures& now, const httplib::Request& request, httplib::Response& response) {
      const std::string name = request.get_param_value("job");
      for (const Picture& picture : now.jobs) {
        if (name.empty() || picture.job == name) return handler(picture, request, response);
      }
      answer(response, 404, name.empty() ? "no job runs now" : fmt::format("there is no job '{}'", name));
    });
  }

  void command(const char* path, const std::function<void(const httplib::Request&, httplib::Response&)>& act) {
    server.Post(path, [this, act](const httplib::Request& request, httplib::Response& response) {
      const std::string given = request.get_header_value("Authorization");
      const std::string wanted = "Bearer " + token;
      if (!crypto::equal_constant_time(as_bytes(given), as_bytes(wanted))) {
        response.set_header("WWW-Authenticate", "Bearer");
        return answer(response, 401, "this needs the token of <state>/admin.token: Authorization: Bearer TOKEN");
      }
      act(request, response);
    });
  }

  // Waits for the daemon's word, unless the server ends.
  void forward(AdminRequest request, httplib::Response& response, const char* type = "text/plain; charset=utf-8") {
    auto asked = ask(std::move(request));
    const auto latest = std::chrono::steady_clock::now() + kLongestAnswer;
    while (asked.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
      if (ending) return answer(response, 503, "the coordinator is stopping");
      if (std::chrono::steady_clock::now() > latest) return answer(response, 504, "not done yet; ask again");
    }
    const Result<std::string> said = asked.get();
    if (!said) {
      const ErrorCode code = said.error().code();
      const int status = code == ErrorCode::wrong_job        ? 404
                         : code == ErrorCode::already_exists ? 409
                         : code == ErrorCode::aborted        ? 503
                                                             : 400;
      return answer(response, status, said.error().to_string());
    }
    response.status = 200;
    response.set_content(*said + "\n", type);
  }

  void set_up() {
    server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server.set_read_timeout(5, 0);
    server.set_write_timeout(10, 0);
    server.set_keep_alive_max_count(kRequestsAConnection);
    server.set_keep_alive_timeout(kIdle);
    server.set_payload_max_length(kMostBody);
    server.set_default_headers({{"X-Content-Type-Options", "nosniff"},
                                {"X-Frame-Options", "DENY"},
                                {"Referrer-Policy", "no-referrer"},
                                {"Cache-Control", "no-store"},
                                {"Content-Security-Policy",
                                 "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
                                 "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}});
    server.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (is_own_host(request.get_header_value("Host"), endpoint, port)) {
        return httplib::Server::HandlerResponse::Unhandled;
      }
      answer(response, 403, "the request names another host than this");
      return httplib::Server::HandlerResponse::Handled;
    });
    asset("/", dashboard_page(), "text/html; charset=utf-8");
    asset("/dashboard.css", dashboard_style(), "text/css; charset=utf-8");
    asset("/dashboard.js", dashboard_script(), "text/javascript; charset=utf-8");
    server.Get("/healthz", [this](const httplib::Request&, httplib::Response& response) {
      is_alive() ? answer(response, 200, "ok") : answer(response, 503, "the coordinator's thread does not answer");
    });
    get("/readyz", [this](const Pictures& now, const httplib::Request&, httplib::Response& response) {
      if (now.daemon.stopping) return answer(response, 503, "stopping");
      is_alive() ? answer(response, 200, "ok") : answer(response, 503, "the coordinator's thread does not answer");
    });
    get("/metrics", [](const Pictures& now, const httplib::Request&, httplib::Response& response) {
      response.set_content(to_prometheus(now), "text/plain; version=0.0.4; charset=utf-8");
    });
    get("/api/jobs", [](const Pictures& now, const httplib::Request&, httplib::Response& response) {
      response.set_content(job_list_json(now), "application/json");
    });
    get_of_job("/api/status", [](const Picture& now, const httplib::Request&, httplib::Response& response) {
      response.set_content(to_json(now), "application/json");
    });
    server.Get("/api/audit", [this](const httplib::Request&, httplib::Response& response) {
      forward({.command = AdminCommand::audit, .job = {}, .text = {}, .folder = {}}, response, "application/json");
    });
    get_of_job("/api/model", [](const Picture& now, const httplib::Request& request, httplib::Response& response) {
      const auto version = request.has_param("version") ? version_of(request, "version") : now.version;
      if (!version) return answer(response, 400, "version is not a number");
      const auto tensors = kept_tensors(now, *version);
      if (tensors == nullptr) return answer(response, 404, fmt::format("version {} is not kept", *version));
      response.set_header("X-Chorus-Version", std::to_string(*version));
      response.set_header("Content-Disposition",
                          fmt::format("attachment; filename=\"{}-{}.tensors\"", now.job, *version));
      response.set_content(reinterpret_cast<const char*>(tensors->data()), tensors->size(), "application/octet-stream");
    });
    get_of_job("/api/difference",
               [this](const Picture& now, const httplib::Request& request, httplib::Response& response) {
                 const auto from = version_of(request, "from");
                 const auto to = version_of(request, "to");
                 if (!from || !to) return answer(response, 400, "from and to are versions' numbers");
                 // Reading needs no login: who asks again and again keeps one thread busy, not all.
                 const std::lock_guard one_at_a_time(comparing);
                 const auto difference = difference_json(now, *from, *to);
                 if (!difference) return answer(response, 404, difference.error().sentence());
                 response.set_content(*difference, "application/json");
               });
    for (const auto& [path, asked] :
         {std::pair("/api/pause", AdminCommand::pause), std::pair("/api/resume", AdminCommand::resume)}) {
      command(path, [this, asked](const httplib::Request& request, httplib::Response& response) {
        forward({.command = asked, .job = request.get_param_value("job"), .text = {}, .folder = {}}, response);
      });
    }
    // A job of that name, or the coordinator.
    command("/api/stop", [this](const httplib::Request& request, httplib::Response& response) {
      const std::string job = request.get_param_value("job");
      const AdminCommand asked = job.empty() ? AdminCommand::shut_down : AdminCommand::stop;
      forward({.command = asked, .job = job, .text = {}, .folder = {}}, response);
    });
    command("/api/submit", [this](const httplib::Request& request, httplib::Response& response) {
      const auto body = nlohmann::json::parse(request.body, nullptr, false);
      if (!body.is_object() || !body.contains("file") || !body["file"].is_string() || !body.contains("folder") ||
          !body["folder"].is_string()) {
        return answer(response, 400, R"(expected {"file": the job file's text, "folder": where it lies})");
      }
      forward({.command = AdminCommand::submit, .job = {}, .text = body["file"], .folder = body["folder"]}, response);
    });
    command("/api/log-level", [this](const httplib::Request& request, httplib::Response& response) {
      log::Level level = log::Level::info;
      if (!log::parse_level(request.body, level)) {
        return answer(response, 400, "expected debug, info, warning, error or off");
      }
      log::set_level(level);
      forward({.command = AdminCommand::log_level, .job = {}, .text = request.body, .folder = {}}, response);
    });
  }
};

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)), endpoint_(impl_->endpoint) {}
AdminServer::~AdminServer() = default;

Result<std::unique_ptr<AdminServer>> AdminServer::start(const ListenAddress& address,
                                                        const std::filesystem::path& state,
                                                        crypto::RandomSource& random, AskDaemon ask) {
  auto impl = std::make_unique<Impl>();
  impl->ask = std::move(ask);
  CHORUS_TRY(impl->token, token_of(state / "admin.token", random));
  impl->set_up();
  const std::string place = fmt::format("{}:{}", address.host, address.port);
  impl->port = address.port == 0                                       ? impl->server.bind_to_any_port(address.host)
               : impl->server.bind_to_port(address.host, address.port) ? address.port
                                                                       : -1;
  if (impl->port <= 0) return fail(ErrorCode::address_in_use, "the admin server cannot listen", place);
  const bool is_v6 = address.host.find(':') != std::string::npos;
  impl->endpoint =
      is_v6 ? fmt::format("[{}]:{}", address.host, impl->port) : fmt::format("{}:{}", address.host, impl->port);
  impl->file = state / "admin";
  CHORUS_TRY_DO(write_private(impl->file, impl->endpoint));
  impl->thread = std::thread([server = &impl->server] { server->listen_after_bind(); });
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

void AdminServer::show(std::shared_ptr<const Pictures> pictures) {
  const std::lock_guard lock(impl_->mutex);
  impl_->pictures = std::move(pictures);
  impl_->shown = std::chrono::steady_clock::now();
}

}  // namespace chorus::coordinator
