#include "native/io/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

namespace overlayd::io {
namespace {

/// A file that is known by the byte it holds, under any descriptor.
class Marked {
 public:
  explicit Marked(char mark) {
    std::array<int, 2> ends;
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
    fd = Fd(ends[0]);
    input_ = Fd(ends[1]);
    EXPECT_EQ(::write(input_.get(), &mark, 1), 1);
  }
  Fd fd;

 private:
  Fd input_;
};

/// Each can be told once.
std::string TakeMarks(const std::vector<int>& descriptors) {
  std::string marks;
  for (const int descriptor : descriptors) {
    char mark = '?';
    if (::read(descriptor, &mark, 1) != 1) mark = '!';
    marks += mark;
  }
  return marks;
}

/// No descriptor from `limit` on can be given anew while it lives; those that are open stay so.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(int limit) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit lower{static_cast<rlim_t>(limit), before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

int OpenDescriptors() {
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

TEST(ReplaceFiles, KeepsTheDescriptorsAndLeavesNoneOpenBeside) {
  const Marked a('a'), b('b'), x('x'), y('y');
  const std::vector<int> under{a.fd.get(), b.fd.get()};
  const int open = OpenDescriptors();
  EXPECT_EQ(ReplaceFiles(std::array{x.fd.get(), y.fd.get()}, under), 0);
  EXPECT_EQ(OpenDescriptors(), open);
  EXPECT_EQ(TakeMarks(under), "xy");
  for (const int fd : under) EXPECT_EQ(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST(ReplaceFiles, ThatFailsHalfWayLeavesAllAsTheyWere) {
  constexpr int kHigh = 800;
  const Marked a('a'), b('b'), c('c'), x('x'), y('y'), z('z');
  const Fd high(::fcntl(c.fd.get(), F_DUPFD_CLOEXEC, kHigh));
  ASSERT_GE(high.get(), kHigh);
  const std::vector<int> under{a.fd.get(), b.fd.get(), high.get()};
  const int open = OpenDescriptors();
  {
    const DescriptorLimit limit(kHigh);
    EXPECT_EQ(ReplaceFiles(std::array{x.fd.get(), y.fd.get(), z.fd.get()}, under), -EBADF);
  }
  EXPECT_EQ(OpenDescriptors(), open);
  EXPECT_EQ(TakeMarks(under), "abc");
}

TEST(ReplaceFiles, BeginsOnlyWhenEachCanBeKept) {
  const Marked a('a'), x('x'), y('y');
  EXPECT_EQ(ReplaceFiles(std::array{x.fd.get(), y.fd.get()}, std::array{a.fd.get(), -1}), -EBADF);
  EXPECT_EQ(TakeMarks({a.fd.get()}), "a");
}

}  // namespace
}  // namespace overlayd::io
