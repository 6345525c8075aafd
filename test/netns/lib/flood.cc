// Sends UDP datagrams as fast as asked, from invented sources, made from one template:
//
//   flood <address> <port> <count> <per second> <source>:<port> <template, hex>
//   [r<offset>:<size>]... [c<offset>]
//
// Source 0.0.0.0 stands for another address of 198.18.0.0/15 each time. r: these bytes are random
// each time. c: there stands a little-endian u64 that grows by one. Prints how many the kernel
// took. Needs CAP_NET_RAW.
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kBatch = 32;

uint64_t NextRandom() {
  static uint64_t state = 0x9e3779b97f4a7c15;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

struct Field {
  size_t offset;
  size_t size;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) return 2;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  inet_pton(AF_INET, argv[1], &to.sin_addr);
  const auto port = static_cast<uint16_t>(atoi(argv[2]));
  const uint64_t count = strtoull(argv[3], nullptr, 10);
  const int64_t gap_ns = 1'000'000'000 / atoll(argv[4]);
  std::string source = argv[5];
  const size_t colon = source.find(':');
  const auto source_port = static_cast<uint16_t>(atoi(source.c_str() + colon + 1));
  in_addr from{};
  inet_pton(AF_INET, source.substr(0, colon).c_str(), &from);

  const size_t payload_size = strlen(argv[6]) / 2;
  std::vector<uint8_t> packet(sizeof(iphdr) + sizeof(udphdr) + payload_size);
  auto* ip = reinterpret_cast<iphdr*>(packet.data());
  auto* udp = reinterpret_cast<udphdr*>(ip + 1);
  uint8_t* payload = reinterpret_cast<uint8_t*>(udp + 1);
  for (size_t i = 0; i < payload_size; ++i) {
    payload[i] =
        static_cast<uint8_t>(strtoul(std::string(argv[6] + 2 * i, 2).c_str(), nullptr, 16));
  }
  std::vector<Field> random;
  size_t counter_at = SIZE_MAX;
  for (int i = 7; i < argc; ++i) {
    char* end = nullptr;
    const size_t offset = strtoul(argv[i] + 1, &end, 10);
    if (argv[i][0] == 'c') counter_at = offset;
    if (argv[i][0] == 'r') random.push_back({offset, strtoul(end + 1, nullptr, 10)});
  }

  ip->version = 4;
  ip->ihl = 5;
  ip->ttl = 64;
  ip->protocol = IPPROTO_UDP;
  ip->saddr = from.s_addr;
  ip->daddr = to.sin_addr.s_addr;
  ip->tot_len = htons(static_cast<uint16_t>(packet.size()));
  udp->source = htons(source_port);
  udp->dest = htons(port);
  udp->len = htons(static_cast<uint16_t>(sizeof(udphdr) + payload_size));

  const int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) return perror("socket"), 1;
  std::vector<std::vector<uint8_t>> packets(kBatch, packet);
  std::vector<iovec> slices(kBatch);
  std::vector<mmsghdr> messages(kBatch);
  uint64_t counter = 0;
  if (counter_at != SIZE_MAX) memcpy(&counter, payload + counter_at, 8);
  const size_t payload_at = packet.size() - payload_size;
  const int64_t start_ns = NowNs();
  uint64_t made = 0;
  uint64_t sent = 0;
  while (made < count) {
    const size_t batch = count - made < kBatch ? count - made : kBatch;
    for (size_t i = 0; i < batch; ++i) {
      uint8_t* bytes = packets[i].data();
      if (from.s_addr == 0) {
        const uint32_t address = htonl(0xc6120000 | static_cast<uint32_t>(NextRandom() & 0x1ffff));
        memcpy(bytes + offsetof(iphdr, saddr), &address, 4);
      }
      for (const Field& field : random) {
        for (size_t at = 0; at < field.size; ++at) {
          bytes[payload_at + field.offset + at] = static_cast<uint8_t>(NextRandom() >> 32);
        }
      }
      if (counter_at != SIZE_MAX) memcpy(bytes + payload_at + counter_at, &counter, 8), ++counter;
      slices[i] = {bytes, packet.size()};
      messages[i] = {};
      messages[i].msg_hdr.msg_name = &to;
      messages[i].msg_hdr.msg_namelen = sizeof to;
      messages[i].msg_hdr.msg_iov = &slices[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int got = sendmmsg(fd, messages.data(), static_cast<unsigned>(batch), 0);
    if (got < 0 && errno != ENOBUFS) return perror("sendmmsg"), 1;
    sent += got < 0 ? 0 : static_cast<uint64_t>(got);
    made += batch;
    const int64_t due_ns = start_ns + static_cast<int64_t>(made) * gap_ns;
    if (due_ns > NowNs()) {
      const timespec due{due_ns / 1'000'000'000, due_ns % 1'000'000'000};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
    }
  }
  printf("%llu\n", static_cast<unsigned long long>(sent));
  return 0;
}
