#include "native/io/tap_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

// Linux 6.2; Debian 12's headers are older than the kernels this runs on.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

namespace overlayd::io {
namespace {

// struct virtio_net_hdr of linux/virtio_net.h, which C++ cannot include (a field is called `class`). Host order.
struct VnetHeader {
  uint8_t flags;
  uint8_t gso_type;
  uint16_t hdr_len;
  uint16_t gso_size;
  uint16_t csum_start;
  uint16_t csum_offset;
};
static_assert(sizeof(VnetHeader) == 10 && sizeof(VnetHeader) <= kTapHeadroom);
static_assert(sizeof(core::Slice) == sizeof(iovec) &&
              offsetof(core::Slice, data) == offsetof(iovec, iov_base) &&
              offsetof(core::Slice, size) == offsetof(iovec, iov_len));

class KernelTapQueue final : public TapQueue {
 public:
  KernelTapQueue(Fd fd, bool has_vnet_hdr) : fd_(std::move(fd)), has_vnet_hdr_(has_vnet_hdr) {}

  ssize_t Read(uint8_t* frame, size_t capacity, core::OffloadHeader* offload) override {
    if (!has_vnet_hdr_) {
      *offload = {};
      const ssize_t got = ::read(fd_.get(), frame, capacity);
      return got < 0 ? -errno : got;
    }
    uint8_t* start = frame - sizeof(VnetHeader);
    const ssize_t got = ::read(fd_.get(), start, capacity + sizeof(VnetHeader));
    if (got < 0) return -errno;
    if (got < static_cast<ssize_t>(sizeof(VnetHeader))) return 0;
    VnetHeader header;
    std::memcpy(&header, start, sizeof header);
    *offload = {header.flags,    header.gso_type,   header.hdr_len,
                header.gso_size, header.csum_start, header.csum_offset};
    return got - static_cast<ssize_t>(sizeof(VnetHeader));
  }

  ssize_t Write(const core::OffloadHeader& offload, const core::Slice* slices,
                size_t count) override {
    iovec parts[core::kMaxTrain + 1];
    VnetHeader header{};
    int used = 0;
    if (has_vnet_hdr_) {
      header.flags = offload.flags;
      header.gso_type = offload.gso_type;
      header.hdr_len = offload.header_size;
      header.gso_size = offload.gso_size;
      header.csum_start = offload.checksum_start;
      header.csum_offset = offload.checksum_offset;
      parts[used++] = {&header, sizeof header};
    }
    std::memcpy(parts + used, slices, count * sizeof(iovec));
    used += static_cast<int>(count);
    const ssize_t wrote = ::writev(fd_.get(), parts, used);
    return wrote < 0 ? -errno : wrote;
  }

  [[nodiscard]] int fd() const override { return fd_.get(); }

 private:
  Fd fd_;
  bool has_vnet_hdr_;
};

// Sets the offloads on one queue: each queue needs them. -errno when not even checksums are taken.
int SetOffloads(int fd, const TapOffloads& allowed, TapOffloads* offloads) {
  constexpr unsigned kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (allowed.uso && ::ioctl(fd, TUNSETOFFLOAD, kTcp | TUN_F_USO4 | TUN_F_USO6) == 0) {
    offloads->tso = offloads->uso = true;
    return 0;
  }
  if (allowed.tso && ::ioctl(fd, TUNSETOFFLOAD, kTcp) == 0) {
    offloads->tso = true;
    return 0;
  }
  return ::ioctl(fd, TUNSETOFFLOAD, 0) == 0 ? 0 : -errno;
}

}  // namespace

int OpenTap(const std::string& name, size_t queues, std::vector<std::unique_ptr<TapQueue>>* out,
            TapOffloads* offloads, const char** step) {
  const TapOffloads allowed = *offloads;
  *offloads = {.vnet_hdr = allowed.vnet_hdr, .tso = false, .uso = false};
  std::vector<std::unique_ptr<TapQueue>> opened;
  for (size_t i = 0; i < queues; ++i) {
    *step = "open /dev/net/tun";
    Fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    if (!fd.is_open()) return -errno;
    ifreq request{};
    if (name.size() >= sizeof request.ifr_name) return -ENAMETOOLONG;
    std::memcpy(request.ifr_name, name.c_str(), name.size());
    // Always multi-queue, so that a device left by a crash can be adopted whatever the number of queues.
    const int vnet_hdr = allowed.vnet_hdr ? IFF_VNET_HDR : 0;
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | vnet_hdr);
    *step = "TUNSETIFF";
    if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return -errno;
    if (allowed.vnet_hdr) {
      int header_size = sizeof(VnetHeader);
      *step = "TUNSETVNETHDRSZ";
      if (::ioctl(fd.get(), TUNSETVNETHDRSZ, &header_size) != 0) return -errno;
      *step = "TUNSETOFFLOAD";
      if (const int error = SetOffloads(fd.get(), allowed, offloads); error != 0) return error;
    }
    opened.push_back(std::make_unique<KernelTapQueue>(std::move(fd), allowed.vnet_hdr));
  }
  *out = std::move(opened);
  return 0;
}

int ReplaceTap(const std::string& name, const std::vector<TapQueue*>& queues, TapOffloads* offloads,
               const char** step) {
  std::vector<std::unique_ptr<TapQueue>> opened;
  if (const int error = OpenTap(name, queues.size(), &opened, offloads, step); error != 0) {
    return error;
  }
  *step = "dup3";
  std::vector<int> from;
  std::vector<int> under;
  for (size_t i = 0; i < queues.size(); ++i) {
    from.push_back(opened[i]->fd());
    under.push_back(queues[i]->fd());
  }
  return ReplaceFiles(from, under);
}

}  // namespace overlayd::io
