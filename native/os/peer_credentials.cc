#include "native/os/peer_credentials.h"

#include <sys/socket.h>

#include <cerrno>

namespace overlayd::os {

int GetPeerCredentials(int descriptor, PeerCredentials& credentials) {
  ucred found{};
  socklen_t length = sizeof found;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &found, &length) != 0) return -errno;
  // A socket that is no connected unix socket has nobody at its other end, and says so with pid 0.
  if (found.pid == 0) return -ENOTCONN;
  credentials = {found.pid, found.uid, found.gid};
  return 0;
}

}  // namespace overlayd::os
