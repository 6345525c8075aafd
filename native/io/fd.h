#ifndef OVERLAYD_NATIVE_IO_FD_H_
#define OVERLAYD_NATIVE_IO_FD_H_

#include <unistd.h>

#include <span>
#include <utility>

namespace overlayd::io {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { Reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  void Reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

/// Puts the file of each of `from` under the descriptor of the same place in `under`, in place of what is open there.
/// All of them or, with -errno, none: each is as it was.
int ReplaceFiles(std::span<const int> from, std::span<const int> under);

}  // namespace overlayd::io

#endif  // OVERLAYD_NATIVE_IO_FD_H_
