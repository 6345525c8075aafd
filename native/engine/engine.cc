#include "native/engine/engine.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "native/engine/control_message.h"
#include "native/engine/gather.h"
#include "native/engine/join_probe.h"
#include "native/engine/relay_path.h"
#include "native/engine/sealer.h"
#include "native/engine/tap_duty.h"
#include "native/io/port_sorter.h"

namespace overlayd::engine {
namespace {

constexpr size_t kMaxQueuePairs = 8;
constexpr size_t kMeasuredPacketBytes = 1408;
constexpr uint64_t kStrangersPauseMs = 5;  // 12 800 INITs a second at most

void FillRandom(std::span<uint8_t> out) { randombytes_buf(out.data(), out.size()); }

core::HashSeed RandomSeed() {
  core::HashSeed seed{};
  randombytes_buf(&seed, sizeof seed);
  return seed;
}

// One tx and one rx thread each; more pairs than half the CPUs only wake each other up.
size_t ChooseQueuePairs(size_t asked) {
  if (asked != 0) return std::min(asked, kMaxQueuePairs);
  const size_t cpus = std::max(1U, std::thread::hardware_concurrency());
  return std::clamp<size_t>(cpus / 2, 1, kMaxQueuePairs);
}

std::vector<core::SourceAddress> LocalAddresses(uint16_t port) {
  std::vector<core::SourceAddress> out;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return out;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
    if (at->ifa_addr->sa_family == AF_INET) {
      const auto& in4 = *reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      out.push_back(core::SourceFromIpv4(reinterpret_cast<const uint8_t*>(&in4.sin_addr), port));
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto& in6 = *reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr)) continue;
      out.push_back(core::SourceFromIpv6(reinterpret_cast<const uint8_t*>(&in6.sin6_addr), port));
    }
  }
  ::freeifaddrs(list);
  return out;
}

}  // namespace

struct Engine::Lane {
  std::unique_ptr<io::TapQueue> tap;
  /// Which TAP is under its descriptor. Said by the control thread when that TAP is there: what was read before may have
  /// been the one before.
  std::atomic<uint32_t> tap_generation{1};
  /// The last one found gone. Belongs to whoever has the duty.
  uint32_t lost_generation = 0;

  /// The TAPs of the other networks.
  io::Poller networks;
  /// What the rx thread waits for.
  io::Poller rx_poller;
  Sockets sockets;
  /// Of the first lane, where the kernel sorts (io/port_sorter.h).
  std::vector<std::unique_ptr<io::UdpSocket>> strangers;
  std::vector<std::unique_ptr<io::UdpSocket>> proven;
  core::CounterBlock tx_counters;
  core::CounterBlock rx_counters;
  std::unique_ptr<TxPath> tx;
  std::unique_ptr<RxPath> rx;
  TapDuty tap_duty;
  std::thread tx_thread;
  std::thread rx_thread;
  /// Said by the rx thread to the tx thread while that has the TAP.
  std::atomic<bool> rx_is_busy{false};

  [[nodiscard]] uint32_t TapGeneration() const {
    return tap_generation.load(std::memory_order_acquire);
  }
  /// For whoever has the duty.
  [[nodiscard]] bool HasTap() const { return TapGeneration() != lost_generation; }
  /// For whoever has the duty.
  void DrainTap(uint64_t now_ms) {
    const uint32_t generation = TapGeneration();
    if (!tx->Drain(now_ms)) lost_generation = generation;
  }
};

Engine::Engine(std::function<void()> wake) : wake_(std::move(wake)) {}

Engine::~Engine() { Close(); }

bool Engine::Open(const EngineConfig& config, EngineInfo* info, OpenFailure* failure) {
  if (sodium_init() < 0) {
    *failure = {"OVL_INTERNAL", "sodium_init", 0, "libsodium"};
    return false;
  }
  plane_ = std::make_unique<Plane>(wake_, RandomSeed());
  plane_->mesh_id = config.mesh_id;
  plane_->mtu_bytes = config.mtu_bytes;
  plane_->networks[0] = {config.tap_name, {}, config.own_macs};
  plane_->overlay_prefixes = config.overlay_prefixes;
  plane_->gate = std::make_unique<core::Gate>(
      std::span<const uint8_t, core::kMeshIdBytes>(plane_->mesh_id), FillRandom);
  ChooseSuites(config, info);
  if (info->suites.empty()) {
    *failure = {"OVL_USAGE", "choose suites", 0, "none of the ciphers works on this machine"};
  }
  if (info->suites.empty() || !OpenDevices(config, info, failure)) {
    lanes_.clear();
    plane_.reset();
    return false;
  }
  store_ = std::make_unique<TableStore>(*plane_);
  OpenTcp(config, info->port);
  StartThreads();
  is_open_ = true;
  return true;
}

void Engine::ChooseSuites(const EngineConfig& config, EngineInfo* info) {
  for (const core::Suite suite : config.suites) {
    const core::Aead* aead = core::FindAead(suite, config.providers);
    if (aead == nullptr) continue;
    plane_->aeads[static_cast<size_t>(suite)] = aead;
    info->suites.push_back(
        {suite, aead->provider, core::MeasureSealNs(*aead, kMeasuredPacketBytes)});
  }
  std::sort(info->suites.begin(), info->suites.end(),
            [](const auto& a, const auto& b) { return a.ns_per_packet < b.ns_per_packet; });
}

bool Engine::OpenDevices(const EngineConfig& config, EngineInfo* info, OpenFailure* failure) {
  stop_ = io::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_.is_open()) {
    *failure = {"OVL_INTERNAL", "eventfd", errno, ""};
    return false;
  }
  info->queue_pairs = ChooseQueuePairs(config.queue_pairs);
  std::vector<std::unique_ptr<io::TapQueue>> queues;
  io::TapOffloads offloads{.vnet_hdr = config.may_use_vnet_hdr, .uso = config.may_use_uso};
  const char* step = "";
  if (const int error = io::OpenTap(config.tap_name, info->queue_pairs, &queues, &offloads, &step);
      error != 0) {
    *failure = {"OVL_TAP_OPEN", step, -error, config.tap_name};
    return false;
  }
  plane_->has_offload_header = offloads.vnet_hdr;
  tap_offloads_ = offloads;
  if (offloads.vnet_hdr) {
    const JoinAbility able = ProbeJoining(*queues.front());
    plane_->may_join_tcp = able.tcp;
    plane_->may_join_udp = offloads.uso && able.udp;
    if (!able.tcp || (offloads.uso && !able.udp)) {
      Event fault{.kind = EventKind::kFault};
      fault.code = kFaultJoinOff;
      fault.error = EINVAL;
      plane_->events.Push(EventRing::Ring::kAuthenticated, std::move(fault));
    }
  }

  const bool binds_any = config.bind.empty();
  const std::vector<std::string> addresses =
      binds_any ? std::vector<std::string>{"0.0.0.0", "::"} : config.bind;
  io::UdpOptions options{
      .may_use_gso = config.may_use_gso,
      .may_use_gro = config.may_use_gro,
  };
  uint16_t port = config.port;
  bool has_gso = true;
  bool has_gro = true;
  for (auto& queue : queues) {
    auto lane = std::make_unique<Lane>();
    lane->tap = std::move(queue);
    int unpolled = lane->networks.Open();
    if (unpolled == 0) unpolled = lane->rx_poller.Open();
    if (!lane->tap_duty.Open() || unpolled != 0) {
      *failure = {"OVL_INTERNAL", "eventfd", unpolled != 0 ? -unpolled : errno, ""};
      lanes_.clear();
      return false;
    }
    for (const std::string& address : addresses) {
      std::unique_ptr<io::UdpSocket> socket;
      const int error = io::OpenUdp(address, &port, options, &socket, &step);
      if (error != 0) {
        // A host without IPv6 is served over IPv4 alone.
        const bool has_no_ipv6 = error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
        if (binds_any && address == "::" && has_no_ipv6) continue;
        *failure = {"OVL_UDP_BIND", step, -error, address + " port " + std::to_string(port)};
        lanes_.clear();
        return false;
      }
      has_gso &= socket->has_gso();
      has_gro &= socket->has_gro();
      lane->sockets.all.push_back(std::move(socket));
    }
    lanes_.push_back(std::move(lane));
    options.joins_port = true;
  }
  for (const std::string& address : addresses) AddSideQueues(address, port, options);
  info->port = port;
  if (binds_any) {
    info->local_addresses = LocalAddresses(port);
  } else {
    for (const std::string& address : addresses) {
      in_addr v4;
      in6_addr v6;
      if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
        info->local_addresses.push_back(
            core::SourceFromIpv4(reinterpret_cast<const uint8_t*>(&v4), port));
      } else if (::inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
        info->local_addresses.push_back(
            core::SourceFromIpv6(reinterpret_cast<const uint8_t*>(&v6), port));
      }
    }
  }
  if (offloads.vnet_hdr) info->offloads.emplace_back("vnet_hdr");
  if (offloads.tso) info->offloads.emplace_back("tso");
  if (offloads.uso) info->offloads.emplace_back("uso");
  if (has_gso) info->offloads.emplace_back("udp_gso");
  if (has_gro) info->offloads.emplace_back("udp_gro");
  return true;
}

// Without them a flood is answered all the same, at the cost of traffic.
void Engine::AddSideQueues(const std::string& address, uint16_t port,
                           const io::UdpOptions& options) {
  Lane& lane = *lanes_.front();
  const bool is_ipv6 = address.find(':') != std::string::npos;
  const auto any = std::find_if(lane.sockets.all.begin(), lane.sockets.all.end(),
                                [&](const auto& socket) { return socket->IsForIpv6() == is_ipv6; });
  if (any == lane.sockets.all.end()) return;
  io::SideQueues queues;
  if (!io::AddSideQueues(address, port, options, **any, lanes_.size(), &queues)) return;
  lane.strangers.push_back(std::move(queues.strangers));
  lane.proven.push_back(std::move(queues.proven));
}

// The same number over TCP, for peers whose UDP is blocked. One who has it already costs that and nothing else.
void Engine::OpenTcp(const EngineConfig& config, uint16_t port) {
  const size_t worker = 2 * lanes_.size() + 1;
  tcp_ = std::make_unique<TcpHub>(*plane_, worker, *lanes_.front()->tap, lanes_.front()->sockets);
  for (auto& lane : lanes_) lane->sockets.tcp = tcp_.get();
  const bool binds_any = config.bind.empty();
  const std::vector<std::string> any{"0.0.0.0", "::"};
  for (const std::string& address : binds_any ? any : config.bind) {
    const char* step = "";
    const int error = tcp_->Listen(address, port, &step);
    const bool has_no_ipv6 = error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
    if (error == 0 || (binds_any && address == "::" && has_no_ipv6)) continue;
    Event fault{.kind = EventKind::kFault};
    fault.code = "OVL_TCP_LISTEN";
    fault.error = -error;
    plane_->events.Push(EventRing::Ring::kAuthenticated, std::move(fault));
  }
}

void Engine::StartThreads() {
  size_t worker = 0;
  size_t queue = 0;
  for (auto& lane : lanes_) {
    lane->tx = std::make_unique<TxPath>(*plane_, worker++, *lane->tap, lane->sockets,
                                        lane->tx_counters, queue);
    lane->rx = std::make_unique<RxPath>(*plane_, worker++, *lane->tap, lane->sockets,
                                        lane->rx_counters, queue);
    ++queue;
  }
  housekeeper_ = std::make_unique<Housekeeper>(*plane_, worker++, lanes_.front()->sockets);
  for (auto& lane : lanes_) {
    lane->tx_thread = std::thread([this, &lane = *lane] { RunTx(lane); });
    lane->rx_thread = std::thread([this, &lane = *lane] { RunRx(lane); });
  }
  housekeeper_thread_ = std::thread([this] {
    ::prctl(PR_SET_NAME, "ovl-keeper");
    housekeeper_->Run(stop_.get());
  });
  tcp_thread_ = std::thread([this] {
    ::prctl(PR_SET_NAME, "ovl-tcp");
    tcp_->Run(stop_.get());
  });
}

// Has the TAPs while there is much to do (engine/tap_duty.h).
void Engine::RunTx(Lane& lane) {
  ::prctl(PR_SET_NAME, "ovl-tx");
  ::prctl(PR_SET_TIMERSLACK, 1);  // else a pause lasts half as long again
  TapDuty& duty = lane.tap_duty;
  const core::CounterBlock& counters = lane.tx_counters;
  Workload workload(counters, core::Counter::kTapRxFrames, core::Counter::kTapRxBytes);
  Gather gather;
  pollfd bell[] = {{stop_.get(), POLLIN, 0}, {duty.tx_bell(), POLLIN, 0}};
  enum : size_t { kStop, kTap, kNetworks };
  pollfd fds[] = {
      {stop_.get(), POLLIN, 0}, {lane.tap->fd(), POLLIN, 0}, {lane.networks.fd(), POLLIN, 0}};
  for (;;) {
    ::poll(bell, 2, -1);
    if (bell[0].revents != 0) return;
    TapDuty::Silence(duty.tx_bell());
    if (!duty.IsWithTx()) continue;
    uint64_t busy_until_ms = BootTimeMs() + TapDuty::kCalmMs;
    while (duty.IsWithTx()) {
      fds[kTap].fd = lane.HasTap() ? lane.tap->fd() : -1;
      // One network alone costs nothing for the others: the last is looked at only while there are any.
      const bool has_networks = networks_open_.load(std::memory_order_relaxed) != 0;
      fds[kNetworks].revents = 0;
      ::poll(fds, has_networks ? 3 : 2, static_cast<int>(TapDuty::kCalmMs));
      if (fds[kStop].revents != 0) return;
      const uint64_t now_ms = BootTimeMs();
      if ((fds[kTap].revents | fds[kNetworks].revents) != 0) {
        lane.tx_counters.Add(core::Counter::kTxWakeups);
        if (fds[kTap].revents != 0) lane.DrainTap(now_ms);
        if (fds[kNetworks].revents != 0) DrainNetworks(lane);
      }
      const bool was_full = lane.tx->TakeWaited();
      if (was_full || lane.rx_is_busy.exchange(false, std::memory_order_relaxed) ||
          workload.IsMuch()) {
        const uint64_t until = now_ms + (was_full ? TapDuty::kAfterFullMs : TapDuty::kCalmMs);
        busy_until_ms = std::max(busy_until_ms, until);
      }
      if (now_ms >= busy_until_ms) {
        duty.GiveToRx();
      } else if (const uint32_t pause_us =
                     gather.PauseUs(counters.Total(core::Counter::kTapRxFrames),
                                    counters.Total(core::Counter::kTapRxBytes), now_ms);
                 pause_us != 0) {
        const timespec pause{0, static_cast<long>(pause_us) * 1000};
        ::nanosleep(&pause, nullptr);
      }
    }
  }
}

// Strangers are looked at one batch at a time, with a pause when more wait: what they can cost is bounded, and what does
// not fit into their queue meanwhile the kernel drops.
void Engine::RunRx(Lane& lane) {
  ::prctl(PR_SET_NAME, "ovl-rx");
  std::vector<io::UdpSocket*> sockets;
  for (const auto& socket : lane.sockets.all) sockets.push_back(socket.get());
  for (const auto& socket : lane.proven) sockets.push_back(socket.get());
  TapDuty& duty = lane.tap_duty;
  Workload rx_load(lane.rx_counters, core::Counter::kUdpRxDatagrams, core::Counter::kUdpRxBytes);
  enum : uint32_t { kStop, kBell, kTap, kNetworks, kFirstSocket };
  const auto first_stranger = static_cast<uint32_t>(kFirstSocket + sockets.size());
  std::vector<io::Watched> watched;
  watched.reserve(first_stranger + lane.strangers.size());
  watched.emplace_back(lane.rx_poller, stop_.get(), kStop);
  watched.emplace_back(lane.rx_poller, duty.rx_bell(), kBell);
  watched.emplace_back(lane.rx_poller, lane.tap->fd(), kTap);
  watched.emplace_back(lane.rx_poller, lane.networks.fd(), kNetworks);
  for (const io::UdpSocket* socket : sockets) {
    watched.emplace_back(lane.rx_poller, socket->fd(), static_cast<uint32_t>(watched.size()));
  }
  for (const auto& socket : lane.strangers) {
    watched.emplace_back(lane.rx_poller, socket->fd(), static_cast<uint32_t>(watched.size()));
  }
  for (size_t i = 0; i < first_stranger; ++i) {
    if (i != kTap && i != kNetworks) watched[i].Set(true);
  }
  uint64_t strangers_from_ms = 0;
  uint32_t watched_generation = 0;
  for (;;) {
    const bool is_on_duty = !duty.IsWithTx();
    const uint64_t now_ms = BootTimeMs();
    const bool may_see_strangers = now_ms >= strangers_from_ms;
    // A poller knows the file, not the number.
    if (const uint32_t generation = lane.TapGeneration(); generation != watched_generation) {
      watched_generation = generation;
      watched[kTap].Set(false);
    }
    watched[kTap].Set(is_on_duty && lane.HasTap());
    watched[kNetworks].Set(is_on_duty && networks_open_.load(std::memory_order_relaxed) != 0);
    for (size_t i = first_stranger; i < watched.size(); ++i) watched[i].Set(may_see_strangers);
    const int patience_ms = may_see_strangers ? -1 : static_cast<int>(strangers_from_ms - now_ms);
    uint32_t ready[16];
    const size_t count = lane.rx_poller.Wait(ready, patience_ms);
    lane.rx_counters.Add(core::Counter::kRxWakeups);
    bool may_have_answers = false;
    for (const uint32_t at : std::span(ready, count)) {
      if (at == kStop) return;
      if (at == kBell) TapDuty::Silence(duty.rx_bell());
      if (at == kBell || at >= first_stranger) continue;
      may_have_answers = true;
      if (at >= kFirstSocket) lane.rx->Drain(*sockets[at - kFirstSocket]);
    }
    const bool is_much = rx_load.IsMuch();
    if (is_on_duty && may_have_answers) DrainTapsOnDuty(lane, is_much);
    if (!is_on_duty && is_much) lane.rx_is_busy.store(true, std::memory_order_relaxed);
    for (const uint32_t at : std::span(ready, count)) {
      if (at < first_stranger) continue;
      if (lane.rx->DrainStrangers(*lane.strangers[at - first_stranger])) {
        strangers_from_ms = BootTimeMs() + kStrangersPauseMs;
      }
    }
  }
}

// The rx thread's turn at the TAPs.
void Engine::DrainTapsOnDuty(Lane& lane, bool is_much_received) {
  Workload workload(lane.tx_counters, core::Counter::kTapRxFrames, core::Counter::kTapRxBytes);
  if (!is_much_received) {
    if (lane.HasTap()) lane.DrainTap(BootTimeMs());
    if (networks_open_.load(std::memory_order_relaxed) != 0) DrainNetworks(lane);
  }
  if (is_much_received || workload.IsMuch() || lane.tx->HasWaited()) lane.tap_duty.GiveToTx();
}

void Engine::DrainNetworks(Lane& lane) {
  uint32_t ready[16];
  const size_t count = lane.networks.Wait(ready, 0);
  for (size_t i = 0; i < count; ++i) lane.tx->DrainNetwork(ready[i], lane.networks);
}

void Engine::Close() {
  if (!is_open_) return;
  is_open_ = false;
  const uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof one) != sizeof one) return;  // cannot happen: counter at 0
  for (auto& lane : lanes_) {
    lane->tx_thread.join();
    lane->rx_thread.join();
  }
  housekeeper_thread_.join();
  tcp_thread_.join();
  housekeeper_.reset();
  tcp_.reset();
  store_.reset();
  lanes_.clear();
  plane_.reset();
  stop_.Reset();
  networks_open_.store(0);
}

std::string Engine::CheckNetwork(const NetworkConfig& config, uint32_t* index) const {
  if (config.network == 0 || config.network > core::kMaxNetworkId) return "its id is out of range";
  const core::Tables& tables = *plane_->tables.load();
  if (tables.IndexOf(config.network) != core::kNoSlot) return "it is open already";
  // The kernel would make one of the two a further queue of the other: frames of both on one device.
  for (const NetworkState& other : plane_->networks) {
    if (other.tap_name == config.tap_name) return config.tap_name + " is the TAP of another";
  }
  const auto free = std::find_if(tables.networks.begin(), tables.networks.end(),
                                 [](const core::NetworkEntry& entry) { return !entry.is_open; });
  if (free == tables.networks.end()) return "too many are open";
  *index = static_cast<uint32_t>(free - tables.networks.begin());
  return {};
}

bool Engine::ReopenTap(OpenFailure* failure) {
  std::vector<io::TapQueue*> queues;
  for (const auto& lane : lanes_) queues.push_back(lane->tap.get());
  const std::string& name = plane_->networks[0].tap_name;
  io::TapOffloads offloads = tap_offloads_;
  const char* step = "";
  if (const int error = io::ReplaceTap(name, queues, &offloads, &step); error != 0) {
    *failure = {"OVL_TAP_OPEN", step, -error, name};
    return false;
  }
  for (auto& lane : lanes_) {
    lane->tap_generation.fetch_add(1, std::memory_order_release);
    // The tx thread looks by itself, many times a second while it has the duty.
    lane->tap_duty.WakeRx();
  }
  return true;
}

bool Engine::OpenNetwork(NetworkConfig config, OpenFailure* failure) {
  uint32_t index = 0;
  if (const std::string why = CheckNetwork(config, &index); !why.empty()) {
    const std::string what = "network " + std::to_string(config.network) + " (" + why + ")";
    *failure = {"OVL_TAP_OPEN", "open the TAP", 0, what};
    return false;
  }
  std::vector<std::unique_ptr<io::TapQueue>> queues;
  io::TapOffloads offloads = tap_offloads_;
  const char* step = "";
  if (const int error = io::OpenTap(config.tap_name, lanes_.size(), &queues, &offloads, &step);
      error != 0) {
    *failure = {"OVL_TAP_OPEN", step, -error, config.tap_name};
    return false;
  }
  NetworkState& state = plane_->networks[index];
  state = {config.tap_name, std::move(queues), std::move(config.own_macs)};
  store_->OpenNetwork(index, config.network);
  for (size_t lane = 0; lane < lanes_.size(); ++lane) {
    const int error = lanes_[lane]->networks.Add(state.queues[lane]->fd(), index);
    if (error == 0) continue;
    RemoveNetwork(index);
    *failure = {"OVL_TAP_OPEN", "epoll_ctl", -error, config.tap_name};
    return false;
  }
  networks_open_.fetch_add(1);
  // The tx thread looks by itself, many times a second while it has the duty.
  for (auto& lane : lanes_) lane->tap_duty.WakeRx();
  return true;
}

void Engine::CloseNetwork(uint32_t network) {
  const uint32_t index = plane_->tables.load()->IndexOf(network);
  if (index == core::kNoSlot || index == 0) return;
  RemoveNetwork(index);
  plane_->fdb.ForgetNetwork(network);
  networks_open_.fetch_sub(1);
}

// First nobody is sent there any more, then nobody is there, then it goes.
void Engine::RemoveNetwork(uint32_t index) {
  NetworkState& state = plane_->networks[index];
  for (size_t lane = 0; lane < lanes_.size(); ++lane) {
    lanes_[lane]->networks.Remove(state.queues[lane]->fd());
  }
  store_->CloseNetwork(index);
  state = {};
}

void Engine::SendDatagram(const core::SourceAddress& to, std::span<const uint8_t> bytes) {
  // Answers to what we sent get through a flood of forged ones.
  plane_->gate->NoteSent(bytes, BootTimeMs());
  SendPlain(*plane_->tables.load(), lanes_.front()->sockets, control_counters_, bytes, to);
}

void Engine::SendControl(uint32_t session, uint32_t path, uint8_t type,
                         std::span<const uint8_t> body) {
  const core::Tables& tables = *plane_->tables.load();
  const uint32_t slot = store_->SessionSlot(session);
  if (slot == core::kNoSlot) return control_counters_.Drop(core::DropReason::kNoSession);
  core::Session& found = plane_->sessions.at(slot);
  const core::PathEntry* way = nullptr;
  if (path != 0) {
    for (const core::PathEntry& entry : tables.paths) {
      if (entry.id == path) way = &entry;
    }
  } else if (const uint32_t active = tables.peers[found.peer].path; active != core::kNoSlot) {
    way = &tables.paths[active];
  }
  if (way == nullptr) return control_counters_.Drop(core::DropReason::kNoPath);
  if (body.size() > UINT16_MAX) return control_counters_.Drop(core::DropReason::kTooBig);
  const size_t datagram =
      std::min<size_t>(way->datagram_bytes, plane_->paths[way->state].limit_bytes.load());
  const std::vector<uint8_t> message = MakeControlMessage(type, body);
  Sealer(*plane_, lanes_.front()->sockets, control_counters_)
      .Send(found, core::InnerKind::kControl, message, way->endpoint, datagram,
            &plane_->paths[way->state]);
  plane_->paths[way->state].NoteSize(std::min(message.size() + core::kDatagramOverhead, datagram));
}

void Engine::SendKeepalive(uint32_t session, const core::SourceAddress& to) {
  const uint32_t slot = store_->SessionSlot(session);
  if (slot == core::kNoSlot) return control_counters_.Drop(core::DropReason::kNoSession);
  constexpr size_t kAnyPath = 548;
  Sealer(*plane_, lanes_.front()->sockets, control_counters_)
      .Send(plane_->sessions.at(slot), core::InnerKind::kKeepalive, {}, to, kAnyPath);
}

void Engine::SendProbe(uint32_t path, uint32_t datagram_bytes) {
  for (const core::PathEntry& entry : plane_->tables.load()->paths) {
    if (entry.id == path) housekeeper_->SendProbe(entry, datagram_bytes, control_counters_);
  }
}

void Engine::WriteTap(uint32_t network, std::span<const uint8_t> frame) {
  const uint32_t index = plane_->tables.load()->IndexOf(network);
  if (frame.size() < core::kEthernetHeaderSize || index == core::kNoSlot) {
    return control_counters_.Drop(core::DropReason::kTapWrite);
  }
  // The kernel takes frames of several threads: each write is a frame.
  std::vector<uint8_t> copy(frame.begin(), frame.end());
  const core::Slice slice{copy.data(), copy.size()};
  io::TapQueue& tap = index == 0 ? *lanes_.front()->tap : *plane_->networks[index].queues.front();
  if (tap.Write({}, &slice, 1) < 0) {
    control_counters_.Drop(core::DropReason::kTapWrite);
  }
}

void Engine::KickPath(uint32_t path) {
  for (const core::PathEntry& entry : plane_->tables.load()->paths) {
    if (entry.id != path) continue;
    PathState& state = plane_->paths[entry.state];
    const std::lock_guard guard(state.mutex);
    state.clock.Kick();
  }
  housekeeper_->Wake();
}

void Engine::ReturnToken(const core::SourceAddress& from) {
  plane_->gate->ReturnToken(core::IsTcp(from) ? tcp_->RemoteOf(core::ConnectionOf(from)) : from);
}

std::string Engine::Apply(std::span<TableEntry> entries, size_t* refused) {
  std::string why = store_->Apply(entries, refused);
  if (why.empty()) housekeeper_->Wake();
  return why;
}

uint64_t Engine::Total(core::Counter counter) const {
  uint64_t sum = control_counters_.Total(counter) + housekeeper_->counters().Total(counter) +
                 tcp_->counters().Total(counter);
  for (const auto& lane : lanes_) {
    sum += lane->tx_counters.Total(counter) + lane->rx_counters.Total(counter);
  }
  return sum;
}

uint64_t Engine::Dropped(core::DropReason reason) const {
  uint64_t sum = control_counters_.Dropped(reason) + housekeeper_->counters().Dropped(reason) +
                 tcp_->counters().Dropped(reason);
  for (const auto& lane : lanes_) {
    sum += lane->tx_counters.Dropped(reason) + lane->rx_counters.Dropped(reason);
  }
  return sum;
}

}  // namespace overlayd::engine
