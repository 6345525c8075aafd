#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "native/os/bound_socket.h"
#include "native/os/file_lock.h"
#include "native/os/frame_sender.h"
#include "native/os/peer_credentials.h"
#include "native/os/process.h"
#include "native/os/sd_notify.h"

namespace overlayd::os {
namespace {

/// A directory of its own that goes away with the test.
class OsTest : public testing::Test {
 protected:
  OsTest() {
    std::string name = testing::TempDir() + "/overlayd-os-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~OsTest() override {
    unsetenv("NOTIFY_SOCKET");
    std::filesystem::remove_all(directory_);
  }

  /// A datagram socket bound to the name; '@' first: abstract.
  static int Listen(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    const bool is_abstract = name[0] == '@';
    if (is_abstract) address.sun_path[0] = '\0';
    const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const auto length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + !is_abstract);
    EXPECT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), length), 0);
    return descriptor;
  }

  static std::string Receive(int descriptor) {
    char buffer[256];
    const ssize_t size = recv(descriptor, buffer, sizeof buffer, 0);
    return size < 0 ? "" : std::string(buffer, static_cast<size_t>(size));
  }

  std::string directory_;
};

TEST(BoundSocketTest, HearsItsAddressAndPortUntilItIsClosed) {
  for (const bool is_stream : {false, true}) {
    for (const char* address : {"127.0.0.1", "::1"}) {
      const int descriptor = OpenBoundSocket(is_stream, "lo", address, 0);
      ASSERT_GE(descriptor, 0) << address;
      char device[16] = {};
      socklen_t length = sizeof device;
      EXPECT_EQ(getsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, device, &length), 0);
      EXPECT_STREQ(device, "lo");
      EXPECT_EQ(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
      close(descriptor);
    }
  }
}

TEST(BoundSocketTest, SaysWhyItCannotBe) {
  EXPECT_EQ(OpenBoundSocket(false, "no-such-device", "127.0.0.1", 0), -ENODEV);
  EXPECT_EQ(OpenBoundSocket(false, "lo", "not an address", 0), -EINVAL);
  EXPECT_EQ(OpenBoundSocket(true, "lo", "192.0.2.1", 0), -EADDRNOTAVAIL);
}

TEST(FrameSenderTest, SaysWhenThereIsNoSuchInterface) {
  const uint8_t frame[60] = {};
  EXPECT_EQ(SendFrame("no-such-device", frame), -ENODEV);
}

TEST_F(OsTest, SecondLockOfAFileIsRefusedUntilTheFirstIsGone) {
  const std::string path = directory_ + "/lock";
  const int first = LockFile(path.c_str());
  ASSERT_GE(first, 0);
  EXPECT_EQ(LockFile(path.c_str()), -EWOULDBLOCK);
  UnlockFile(first);
  const int again = LockFile(path.c_str());
  ASSERT_GE(again, 0);
  UnlockFile(again);
}

TEST_F(OsTest, LockFileIsPrivateAndNotInherited) {
  const std::string path = directory_ + "/lock";
  const int descriptor = LockFile(path.c_str());
  ASSERT_GE(descriptor, 0);
  struct stat status {};
  ASSERT_EQ(fstat(descriptor, &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_NE(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
  UnlockFile(descriptor);
}

TEST_F(OsTest, LockOfWhatCannotBeOpenedSaysWhy) {
  EXPECT_EQ(LockFile((directory_ + "/none/lock").c_str()), -ENOENT);
  const std::string link = directory_ + "/link";
  std::filesystem::create_symlink("elsewhere", link);
  EXPECT_EQ(LockFile(link.c_str()), -ELOOP);
}

TEST_F(OsTest, SystemdIsToldByPathAndByAbstractName) {
  for (const std::string& name : {directory_ + "/notify", "@" + directory_ + "/abstract"}) {
    const int descriptor = Listen(name);
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_TRUE(NotifySystemd("READY=1\nSTATUS=up"));
    EXPECT_EQ(Receive(descriptor), "READY=1\nSTATUS=up");
    close(descriptor);
    EXPECT_FALSE(NotifySystemd("READY=1")) << "nobody listens any more";
  }
}

TEST_F(OsTest, SystemdIsNotToldWithoutAUsableName) {
  unsetenv("NOTIFY_SOCKET");
  EXPECT_FALSE(NotifySystemd("READY=1"));
  for (const std::string& name :
       {std::string(), std::string("/"), std::string("vsock:2:1"), "/" + std::string(200, 'x')}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    EXPECT_FALSE(NotifySystemd("READY=1")) << name;
  }
}

TEST_F(OsTest, PeerCredentialsAreThoseOfTheOtherEnd) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  PeerCredentials credentials;
  ASSERT_EQ(GetPeerCredentials(ends[0], credentials), 0);
  EXPECT_EQ(credentials.pid, getpid());
  EXPECT_EQ(credentials.uid, geteuid());
  EXPECT_EQ(credentials.gid, getegid());
  close(ends[0]);
  close(ends[1]);
  const int lonely = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(GetPeerCredentials(lonely, credentials), -ENOTCONN);
  close(lonely);
  EXPECT_EQ(GetPeerCredentials(-1, credentials), -EBADF);
}

TEST_F(OsTest, DumpableGoesOffAndOn) {
  const int before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  EXPECT_EQ(SetDumpable(false), 0);
  EXPECT_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
  EXPECT_EQ(SetDumpable(true), 0);
  EXPECT_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
  EXPECT_EQ(SetDumpable(before != 0), 0);
}

TEST_F(OsTest, ThreadNameIsCutNotRefused) {
  char before[16] = {};
  prctl(PR_GET_NAME, before, 0, 0, 0);
  SetThreadName("overlayd-rx-with-a-long-name");
  char name[16] = {};
  prctl(PR_GET_NAME, name, 0, 0, 0);
  EXPECT_STREQ(name, "overlayd-rx-wit");
  SetThreadName(before);
}

TEST_F(OsTest, BootTimeGoesForward) {
  const uint64_t first = BootTimeMs();
  EXPECT_GT(first, 0u);
  EXPECT_GE(BootTimeMs(), first);
}

}  // namespace
}  // namespace overlayd::os
