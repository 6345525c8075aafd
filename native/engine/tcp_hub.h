#ifndef OVERLAYD_NATIVE_ENGINE_TCP_HUB_H_
#define OVERLAYD_NATIVE_ENGINE_TCP_HUB_H_

#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "native/core/token_bucket.h"
#include "native/engine/plane.h"
#include "native/engine/rx_path.h"
#include "native/engine/tcp_connection.h"
#include "native/io/fd.h"
#include "native/io/tap_device.h"

/*
 * Where UDP is blocked: the same datagrams down TCP connections (docs/protocol.md §6). To senders it is one more socket,
 * for addresses of the TCP family; a thread of its own accepts and reads, through the same gate and receive path.
 *
 *   listener ──> stranger ──── a valid INIT, then something authentic ────> member
 *                  │ 5 s without an INIT, 15 s without the rest                │ 90 s without anything authentic
 *                  └──────────────────────> closed <───────────────────────────┘
 *
 * What a stranger costs is bounded: 8 connections of a source (IPv4 /32, IPv6 /56), 64 in all; 1000 accepted in a
 * second, the rest wait in the kernel behind SYN cookies; nothing longer than a handshake datagram is waited for. Who
 * comes when all 64 places are taken gets one of the source that has most: first of those that said nothing, then the
 * longest held. A place whose INIT came is safe for two seconds, unless its source has two more than the newcomer's:
 * a handshake needs two round trips, and whoever wants to keep others out needs as many addresses as places.
 */
namespace overlayd::engine {

class TcpHub final : public io::UdpSocket {
 public:
  static constexpr size_t kMaxConnections = 512;
  static constexpr size_t kMaxStrangers = 64;
  static constexpr size_t kMaxStrangersOfSource = 8;
  static constexpr size_t kMaxOfSource = 64;
  static constexpr uint64_t kInitWithinMs = 5'000;
  static constexpr uint64_t kProveWithinMs = 15'000;
  /// Who asked keeps its place that long, however many others come.
  static constexpr uint64_t kSafeMs = 2'000;
  static constexpr uint64_t kConnectWithinMs = 5'000;
  static constexpr uint64_t kSilentMs = 90'000;
  static constexpr core::TokenRate kAccepts{256, 1'000'000};
  /// Accepted ones are numbered from here; below are those control opens.
  static constexpr uint32_t kFirstAccepted = uint32_t{1} << 31;

  TcpHub(Plane& plane, size_t worker, io::TapQueue& tap, Sockets& sockets);
  ~TcpHub() override;

  /// -errno with `step`; what was opened before stays open.
  int Listen(const std::string& address, uint16_t port, const char** step);
  /// Until `stop_fd` is readable.
  void Run(int stop_fd);

  // The control thread:
  void Connect(uint32_t number, const core::SourceAddress& to);
  void Close(uint32_t number);
  /// Who is at the other end; the unspecified address when it is gone.
  [[nodiscard]] core::SourceAddress RemoteOf(uint32_t number);
  [[nodiscard]] const core::CounterBlock& counters() const { return counters_; }

  // Any thread, as senders see it:
  int Send(const io::OutTrain* trains, size_t count) override;
  int SendTrain(const io::OutTrain& train) override;
  int SendOne(const uint8_t* data, size_t size, const core::SourceAddress& to) override;
  int Receive(io::InTrain*, size_t) override { return -EAGAIN; }  // each connection has its own
  [[nodiscard]] int fd() const override { return -1; }
  [[nodiscard]] bool IsForIpv6() const override { return false; }
  uint32_t TakeOverflows() override { return 0; }
  [[nodiscard]] bool has_gso() const override { return true; }
  [[nodiscard]] bool has_gro() const override { return false; }

 private:
  class Reader;
  enum class Stage : uint8_t { kConnecting, kStranger, kAsked, kMember };
  struct Entry {
    std::shared_ptr<TcpConnection> connection;
    Stage stage;
    bool is_accepted;
    core::SourceKey source;  // whose limits it counts for
    uint64_t since_ms;       // in this stage; of members: the last authentic datagram
  };

  std::shared_ptr<TcpConnection> Find(uint32_t number);
  void Accept(int listener, uint64_t now_ms);
  bool MakeRoom(const core::SourceAddress& remote, uint64_t now_ms);
  void Add(std::shared_ptr<TcpConnection> connection, Stage stage, uint64_t now_ms);
  void OnReady(uint32_t number, uint32_t events, uint64_t now_ms);
  bool Read(TcpConnection& connection, uint64_t now_ms);
  /// Milliseconds until the next look, -1: none is due.
  int Sweep(uint64_t now_ms);
  /// It ended by itself, or was ended here: told.
  void End(uint32_t number, bool is_rude);
  void Tell(EventKind kind, uint32_t number, const core::SourceAddress& endpoint, bool is_trusted);

  Plane& plane_;
  core::CounterBlock counters_;
  RxPath rx_;
  io::Fd epoll_;
  io::Fd wake_;
  std::vector<io::Fd> listeners_;
  core::TokenBucket accepts_{kAccepts};
  uint32_t next_number_ = kFirstAccepted;
  bool is_accepting_ = true;
  uint64_t accept_again_ms_ = 0;

  std::mutex mutex_;  // for what follows
  std::unordered_map<uint32_t, Entry> entries_;
};

}  // namespace overlayd::engine

#endif  // OVERLAYD_NATIVE_ENGINE_TCP_HUB_H_
