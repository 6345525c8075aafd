#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

/*
 * frame_pipe <send to> <hear from>: raw Ethernet frames for tests, which Node cannot read or write.
 *
 *   stdin    a frame in hex a line: goes out of the first interface, so the program behind a TAP reads it
 *   stdout   "ready", then a line of hex for each frame that comes in at the second
 *
 * Ends with its stdin.
 */
namespace {

constexpr size_t kMaxFrame = 65536;
constexpr uint16_t kEveryProtocol = 0x0003;  // ETH_P_ALL

int OpenAt(const char* name, uint16_t protocol) {
  const int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(protocol);
  at.sll_ifindex = static_cast<int>(::if_nametoindex(name));
  if (fd < 0 || at.sll_ifindex == 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
    std::perror(name);
    return -1;
  }
  return fd;
}

std::vector<uint8_t> FromHex(const std::string& line) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i + 1 < line.size(); i += 2) {
    out.push_back(static_cast<uint8_t>(std::stoul(line.substr(i, 2), nullptr, 16)));
  }
  return out;
}

void PrintHex(const uint8_t* bytes, size_t size) {
  std::string line;
  for (size_t i = 0; i < size; ++i) {
    std::array<char, 3> two{};
    std::snprintf(two.data(), two.size(), "%02x", bytes[i]);
    line += two.data();
  }
  std::puts(line.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int out = OpenAt(argv[1], 0);
  const int in = OpenAt(argv[2], kEveryProtocol);
  if (out < 0 || in < 0) return 1;
  std::puts("ready");
  std::fflush(stdout);
  static std::array<uint8_t, kMaxFrame> frame;
  std::string typed;
  for (;;) {
    pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {in, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) return 1;
    if (fds[0].revents != 0) {
      std::array<char, 4096> chunk;
      const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
      if (got <= 0) return 0;
      typed.append(chunk.data(), static_cast<size_t>(got));
      for (size_t end; (end = typed.find('\n')) != std::string::npos; typed.erase(0, end + 1)) {
        const std::vector<uint8_t> bytes = FromHex(typed.substr(0, end));
        if (::send(out, bytes.data(), bytes.size(), 0) < 0) std::perror("send");
      }
    }
    if (fds[1].revents != 0) {
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(in, frame.data(), frame.size(), MSG_DONTWAIT,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      if (got > 0 && from.sll_pkttype != PACKET_OUTGOING) {
        PrintHex(frame.data(), static_cast<size_t>(got));
      }
    }
  }
}
