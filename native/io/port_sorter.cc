#include "native/io/port_sorter.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "native/core/handshake_layout.h"

namespace overlayd::io {
namespace {

// What a hundred milliseconds of honest newcomers need many times over; more would only make answers late.
constexpr int kStrangersBytes = 256 * 1024;
constexpr int kProvenBytes = 1024 * 1024;

constexpr sock_filter Load(uint32_t at) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at); }

/// The program sees the UDP payload at 0. A load beyond the end makes it return 0: a main socket.
std::vector<sock_filter> Program(bool is_ipv6, uint32_t main_sockets) {
  const uint32_t strangers = main_sockets;
  const uint32_t proven = main_sockets + 1;
  std::vector<uint32_t> proofs;  // words that are zero where nothing is proven
  for (size_t at = 0; at < core::kHintBytes; at += 4) {
    proofs.push_back(static_cast<uint32_t>(core::kInitResume + at));
  }
  for (size_t at = 0; at < core::kCookieBytes; at += 4) {
    proofs.push_back(static_cast<uint32_t>(core::kInitCookie + at));
  }
  std::vector<sock_filter> program{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, core::kTypeInit, 0, 0),  // else: to the main sockets
      BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, core::kHandshakeBytes, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, strangers),
  };
  for (const uint32_t at : proofs) {
    program.push_back(Load(at));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, proven));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, strangers));
  program[1].jf = static_cast<uint8_t>(program.size() - 2);
  if (main_sockets == 1) {
    program.push_back(BPF_STMT(BPF_RET | BPF_K, 0));
    return program;
  }
  // The end of the source address, stirred: one source stays at one socket, as without a program.
  const auto source_at = static_cast<uint32_t>(SKF_NET_OFF) + (is_ipv6 ? 20 : 12);
  program.push_back(Load(source_at));
  program.push_back(BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1));
  program.push_back(BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16));
  program.push_back(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, main_sockets));
  program.push_back(BPF_STMT(BPF_RET | BPF_A, 0));
  return program;
}

}  // namespace

bool AddSideQueues(const std::string& address, uint16_t port, const UdpOptions& options,
                   const UdpSocket& any_main, size_t main_sockets, SideQueues* out) {
  UdpOptions side = options;
  side.joins_port = true;
  SideQueues queues;
  const char* step = "";
  side.buffer_bytes = kStrangersBytes;
  if (OpenUdp(address, &port, side, &queues.strangers, &step) != 0) return false;
  side.buffer_bytes = kProvenBytes;
  if (OpenUdp(address, &port, side, &queues.proven, &step) != 0) return false;
  std::vector<sock_filter> program =
      Program(any_main.IsForIpv6(), static_cast<uint32_t>(main_sockets));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::setsockopt(any_main.fd(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) !=
      0) {
    return false;
  }
  *out = std::move(queues);
  return true;
}

}  // namespace overlayd::io
