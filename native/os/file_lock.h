#ifndef OVERLAYD_NATIVE_OS_FILE_LOCK_H_
#define OVERLAYD_NATIVE_OS_FILE_LOCK_H_

namespace overlayd::os {

/// Opens a file (made with mode 0600 when absent, close-on-exec, symbolic links refused) and locks
/// it exclusively without waiting: flock(2), so the lock belongs to the descriptor and ends with
/// the process at the latest. Returns the descriptor, or -errno; -EWOULDBLOCK: somebody else holds
/// the lock.
[[nodiscard]] int LockFile(const char* path);

/// Closes what LockFile opened. The file stays: removing it would let two processes lock two files
/// of one name.
void UnlockFile(int descriptor);

}  // namespace overlayd::os

#endif  // OVERLAYD_NATIVE_OS_FILE_LOCK_H_
