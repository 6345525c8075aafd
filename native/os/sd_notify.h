#ifndef OVERLAYD_NATIVE_OS_SD_NOTIFY_H_
#define OVERLAYD_NATIVE_OS_SD_NOTIFY_H_

#include <string_view>

namespace overlayd::os {

/// Sends a state such as "READY=1" to the socket that systemd names in NOTIFY_SOCKET (sd_notify(3),
/// without libsystemd): a path, or an abstract name after '@'. False: not started by systemd, or
/// nobody listens.
bool NotifySystemd(std::string_view state);

}  // namespace overlayd::os

#endif  // OVERLAYD_NATIVE_OS_SD_NOTIFY_H_
