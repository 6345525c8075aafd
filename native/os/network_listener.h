#ifndef OVERLAYD_NATIVE_OS_NETWORK_LISTENER_H_
#define OVERLAYD_NATIVE_OS_NETWORK_LISTENER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace overlayd::os {

/// Told by the kernel (rtnetlink multicast) that a link, an address or a route of this network namespace changed. What
/// changed is not kept: whoever listens looks again at everything.
class NetworkListener {
 public:
  /// `ignored`: names of our own interfaces, whose changes are our own doing.
  explicit NetworkListener(std::vector<std::string> ignored) : ignored_(std::move(ignored)) {}
  ~NetworkListener();
  NetworkListener(const NetworkListener&) = delete;
  NetworkListener& operator=(const NetworkListener&) = delete;

  /// 0, or a negative errno.
  int Open();
  /// Readable when something happened; -1 before Open.
  [[nodiscard]] int fd() const { return fd_; }
  /// Reads what waits, at most 64 datagrams, and never blocks. True: something that is not ours changed, or the
  /// kernel had to drop messages.
  bool Drain();

  /// Whether one datagram of rtnetlink messages tells of a change that is not ours.
  [[nodiscard]] bool IsRelevant(std::span<const uint8_t> datagram) const;

 private:
  [[nodiscard]] bool IsIgnored(const char* name) const;
  [[nodiscard]] bool IsIgnored(int interface_index) const;

  std::vector<std::string> ignored_;
  int fd_ = -1;
};

}  // namespace overlayd::os

#endif  // OVERLAYD_NATIVE_OS_NETWORK_LISTENER_H_
