#ifndef OVERLAYD_NATIVE_ENGINE_ENGINE_H_
#define OVERLAYD_NATIVE_ENGINE_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "native/core/aead.h"
#include "native/engine/housekeeper.h"
#include "native/engine/plane.h"
#include "native/engine/rx_path.h"
#include "native/engine/table_store.h"
#include "native/engine/tcp_hub.h"
#include "native/engine/tx_path.h"
#include "native/io/poller.h"
#include "native/io/tap_device.h"

/*
 * The data plane as a whole: opens the devices, runs the threads, takes batches from the control plane.
 *
 *   queue pair i:  tx thread   TAP queues i -> UDP sockets of pair i           of each network one TAP
 *                  rx thread   UDP sockets of pair i -> TAP queues i, and the tx thread's work while there is little
 *   once:          housekeeper PINGs, reports, ageing
 *                  tcp         connections, where UDP is blocked
 *
 * All methods but the threads' own belong to the control thread.
 */
namespace overlayd::engine {

struct EngineConfig {
  std::string tap_name;
  uint32_t mtu_bytes = 1388;
  uint16_t port = 0;
  std::vector<std::string> bind;  // literals; empty: any address of both families
  std::array<uint8_t, 16> mesh_id{};
  std::vector<core::Suite> suites;
  std::vector<core::Mac> own_macs;
  std::vector<core::AddressPrefix> overlay_prefixes;
  size_t queue_pairs = 0;  // 0: chosen from the number of CPUs
  core::ProviderChoice providers = core::ProviderChoice::kFastest;
  bool may_use_gso = true;
  bool may_use_gro = true;
  bool may_use_uso = true;
  bool may_use_vnet_hdr = true;
};

struct EngineInfo {
  uint16_t port = 0;
  std::vector<core::SourceAddress> local_addresses;
  struct SuiteInfo {
    core::Suite suite;
    const char* provider;
    double ns_per_packet;
  };
  std::vector<SuiteInfo> suites;  // fastest first
  std::vector<std::string> offloads;
  size_t queue_pairs = 0;
};

/// Why Open failed: `code` is an OVL_ code, `step` the call, `what` the device or address.
struct OpenFailure {
  const char* code = nullptr;
  const char* step = "";
  int error = 0;
  std::string what;
};

/// A network beside the default one.
struct NetworkConfig {
  uint32_t network = 0;
  std::string tap_name;
  std::vector<core::Mac> own_macs;
};

class Engine {
 public:
  explicit Engine(std::function<void()> wake);
  ~Engine();

  /// False: nothing is left open.
  bool Open(const EngineConfig& config, EngineInfo* info, OpenFailure* failure);
  void Close();
  [[nodiscard]] bool is_open() const { return is_open_; }

  /// The default network's TAP was deleted: another one takes its place under the threads that run.
  bool ReopenTap(OpenFailure* failure);
  /// False: nothing is left open.
  bool OpenNetwork(NetworkConfig config, OpenFailure* failure);
  /// Nothing when it is not open.
  void CloseNetwork(uint32_t network);

  /// Empty on success; else why `entries[*refused]` cannot be applied, and nothing was.
  std::string Apply(std::span<TableEntry> entries, size_t* refused);
  void SendDatagram(const core::SourceAddress& to, std::span<const uint8_t> bytes);
  void SendControl(uint32_t session, uint32_t path, uint8_t type, std::span<const uint8_t> body);
  void SendKeepalive(uint32_t session, const core::SourceAddress& to);
  void SendProbe(uint32_t path, uint32_t datagram_bytes);
  /// A frame for this host's bridge in a network.
  void WriteTap(uint32_t network, std::span<const uint8_t> frame);
  /// The network changed under the path: PING at once, back-off from the start.
  void KickPath(uint32_t path);
  /// kTcpOpened or kTcpClosed follows.
  void ConnectTcp(uint32_t connection, const core::SourceAddress& to) {
    tcp_->Connect(connection, to);
  }
  void CloseTcp(uint32_t connection) { tcp_->Close(connection); }
  void ReturnToken(const core::SourceAddress& from);

  std::vector<Event> Drain() { return plane_->events.Drain(); }

  [[nodiscard]] Plane& plane() { return *plane_; }
  [[nodiscard]] const TableStore& store() const { return *store_; }
  [[nodiscard]] uint64_t Total(core::Counter counter) const;
  [[nodiscard]] uint64_t Dropped(core::DropReason reason) const;

 private:
  struct Lane;

  bool OpenDevices(const EngineConfig& config, EngineInfo* info, OpenFailure* failure);
  void OpenTcp(const EngineConfig& config, uint16_t port);
  void ChooseSuites(const EngineConfig& config, EngineInfo* info);
  void AddSideQueues(const std::string& address, uint16_t port, const io::UdpOptions& options);
  /// Empty, or why there cannot be such a network.
  std::string CheckNetwork(const NetworkConfig& config, uint32_t* index) const;
  void RemoveNetwork(uint32_t index);
  void StartThreads();
  void RunTx(Lane& lane);
  void RunRx(Lane& lane);
  void DrainTapsOnDuty(Lane& lane, bool is_much_received);
  void DrainNetworks(Lane& lane);

  std::function<void()> wake_;
  std::unique_ptr<Plane> plane_;
  std::unique_ptr<TableStore> store_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<Housekeeper> housekeeper_;
  std::unique_ptr<TcpHub> tcp_;
  core::CounterBlock control_counters_;
  std::thread housekeeper_thread_;
  std::thread tcp_thread_;
  io::Fd stop_;                             // eventfd, readable when the threads shall end
  std::atomic<uint32_t> networks_open_{0};  // beside the default one
  io::TapOffloads tap_offloads_;
  bool is_open_ = false;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_ENGINE_H_
