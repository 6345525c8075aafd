// The test wire: a cable between two network namespaces that delays, jitters, loses, reorders,
// duplicates, cuts and caps the size, in each direction by its own rules.
//
//   wire <namespace a> <interface a> <namespace b> <interface b> <seed> [no-offloads]
//
// Both interfaces are TAPs that offer TSO and USO, so trains pass whole, but every rule acts on
// segments: a train that loses one goes on as two. Says "ready", then answers one line on stdout
// for each line on stdin, and ends at the end of stdin; the interfaces go with it.
//
//   set <ab|ba> <rule>=<number>...   "ok"; what is not named keeps its value (direction.h, Rules)
//   counters                         {"ab":{...},"ba":{...}}
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "direction.h"

namespace {

using wire::Direction;
using wire::FrameView;
using wire::Rules;
using wire::VnetHeader;

constexpr unsigned kOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
constexpr unsigned kUso = 0x20 | 0x40;  // TUN_F_USO4 and 6, newer than some headers
constexpr int kReadsPerTurn = 64;

[[noreturn]] void Die(const char* what) {
  perror(what);
  exit(1);
}

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

void Enter(const std::string& namespace_file) {
  const int fd = open(namespace_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) Die(namespace_file.c_str());
  close(fd);
}

/** A TAP belongs to the namespace in which its device file was opened. */
int OpenTap(const std::string& namespace_name, const char* name, bool has_offloads) {
  Enter("/run/netns/" + namespace_name);
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) Die("/dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request) != 0) Die(name);
  if (has_offloads && ioctl(fd, TUNSETOFFLOAD, kOffloads | kUso) != 0 &&
      ioctl(fd, TUNSETOFFLOAD, kOffloads) != 0) {
    Die("TUNSETOFFLOAD");
  }
  return fd;
}

bool SetRule(Rules& rules, const std::string& name, double value) {
  if (name == "delay_us")
    rules.delay_us = static_cast<int64_t>(value);
  else if (name == "jitter_us")
    rules.jitter_us = static_cast<int64_t>(value);
  else if (name == "loss")
    rules.loss = value;
  else if (name == "duplicate")
    rules.duplicate = value;
  else if (name == "reorder")
    rules.reorder = value;
  else if (name == "reorder_us")
    rules.reorder_us = static_cast<int64_t>(value);
  else if (name == "cap_bytes")
    rules.cap_bytes = static_cast<size_t>(value);
  else if (name == "icmp")
    rules.has_icmp = value != 0;
  else if (name == "cut")
    rules.is_cut = value != 0;
  else if (name == "first_only")
    rules.has_first_only = value != 0;
  else
    return false;
  return true;
}

std::string Obey(const std::string& line, Direction& ab, Direction& ba) {
  std::istringstream words(line);
  std::string verb, which, word;
  words >> verb;
  if (verb == "counters") {
    return "{\"ab\":" + ab.CountersJson() + ",\"ba\":" + ba.CountersJson() + '}';
  }
  words >> which;
  if (verb != "set" || (which != "ab" && which != "ba")) return "error: " + line;
  Direction& direction = which == "ab" ? ab : ba;
  while (words >> word) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos ||
        !SetRule(direction.rules, word.substr(0, equals), atof(word.c_str() + equals + 1))) {
      return "error: " + word;
    }
  }
  return "ok";
}

void ReadAll(int fd, Direction& direction) {
  static uint8_t buffer[sizeof(VnetHeader) + 0x10000 + 64];
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t size = read(fd, buffer, sizeof buffer);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size < static_cast<ssize_t>(sizeof(VnetHeader))) Die("read");
    VnetHeader header;
    memcpy(&header, buffer, sizeof header);
    const auto frame_size = static_cast<size_t>(size) - sizeof header;
    direction.Accept(FrameView(header, {buffer + sizeof header, frame_size}), NowNs());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  const bool has_offloads = argc < 7;
  const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  const int tap_a = OpenTap(argv[1], argv[2], has_offloads);
  const int tap_b = OpenTap(argv[3], argv[4], has_offloads);
  if (setns(home, CLONE_NEWNET) != 0) Die("setns");
  const uint64_t seed = strtoull(argv[5], nullptr, 10);
  Direction ab(tap_b, tap_a, seed);
  Direction ba(tap_a, tap_b, seed + 1);
  prctl(PR_SET_TIMERSLACK, 1UL);
  puts("ready");
  fflush(stdout);

  std::string input;
  for (;;) {
    pollfd waits[] = {{tap_a, POLLIN, 0}, {tap_b, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    const int64_t due_ns = std::min(ab.NextDueNs(), ba.NextDueNs());
    const int64_t wait_ns = due_ns == INT64_MAX ? 0 : std::max<int64_t>(due_ns - NowNs(), 0);
    const timespec patience{wait_ns / 1'000'000'000, wait_ns % 1'000'000'000};
    if (ppoll(waits, 3, due_ns == INT64_MAX ? nullptr : &patience, nullptr) < 0) {
      if (errno != EINTR) Die("ppoll");
      continue;
    }
    ab.Deliver(NowNs());
    ba.Deliver(NowNs());
    if (waits[0].revents != 0) ReadAll(tap_a, ab);
    if (waits[1].revents != 0) ReadAll(tap_b, ba);
    if (waits[2].revents == 0) continue;
    char text[4096];
    const ssize_t size = read(STDIN_FILENO, text, sizeof text);
    if (size <= 0) return 0;
    input.append(text, static_cast<size_t>(size));
    for (size_t end; (end = input.find('\n')) != std::string::npos; input.erase(0, end + 1)) {
      puts(Obey(input.substr(0, end), ab, ba).c_str());
      fflush(stdout);
    }
  }
}
