#ifndef OVERLAYD_NATIVE_OS_PEER_CREDENTIALS_H_
#define OVERLAYD_NATIVE_OS_PEER_CREDENTIALS_H_

#include <sys/types.h>

namespace overlayd::os {

/// Who connected a unix stream socket, as the kernel noted it at connect (SO_PEERCRED).
struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// Returns 0 or -errno.
[[nodiscard]] int GetPeerCredentials(int descriptor, PeerCredentials& credentials);

}  // namespace overlayd::os

#endif  // OVERLAYD_NATIVE_OS_PEER_CREDENTIALS_H_
