#ifndef OVERLAYD_NATIVE_CORE_HANDSHAKE_LAYOUT_H_
#define OVERLAYD_NATIVE_CORE_HANDSHAKE_LAYOUT_H_

#include <cstddef>
#include <cstdint>

/*
 * The fixed layouts of handshake datagrams, docs/protocol.md#1. Little-endian; "zeros" are checked.
 *
 *           0      1         2       4              8
 *   INIT    type | version | flags | sender_index | meshid 16 | sid 16 | Y_i 32 | suites 4
 *           76: slot 1 | zeros      472: resume = hint 8 || mac 16      496: cookie 16      512
 *   RESP    type | version | flags | sender_index | receiver_index | suite 4 | Y_r 32
 *           48: confirm_r 32 | sealed_r 192      272: zeros      512
 *   FIN     type | version | flags | sender_index | receiver_index | confirm_i 32
 *           44: sealed_i 192      236: zeros      512
 *   RETRY   type | version | zeros | receiver_index | cookie 16      24: zeros      64
 *   REJECT  type | version | zeros | receiver_index | sid 16 | reason 1      25: zeros      64
 */
namespace overlayd::core {

inline constexpr uint8_t kTypeInit = 0x01;
inline constexpr uint8_t kTypeResp = 0x02;
inline constexpr uint8_t kTypeFin = 0x03;
inline constexpr uint8_t kTypeRetry = 0x04;
inline constexpr uint8_t kTypeReject = 0x05;
inline constexpr uint8_t kTypeData = 0x10;
inline constexpr uint8_t kTypeRelay = 0x20;

/// Highest version we speak.
inline constexpr uint8_t kProtocolVersion = 1;

inline constexpr size_t kHandshakeBytes = 512;
inline constexpr size_t kShortHandshakeBytes = 64;

inline constexpr size_t kOffsetVersion = 1;
inline constexpr size_t kOffsetFlags = 2;
inline constexpr size_t kOffsetSenderIndex = 4;
/// Of RESP and FIN; the short ones have kShortReceiverIndex.
inline constexpr size_t kReceiverIndex = 8;
inline constexpr size_t kMeshIdBytes = 16;
inline constexpr size_t kSidBytes = 16;
inline constexpr size_t kCookieBytes = 16;
inline constexpr size_t kHintBytes = 8;
inline constexpr size_t kResumeMacBytes = 16;
inline constexpr size_t kPairKeyBytes = 32;

inline constexpr size_t kInitMeshId = 8;
inline constexpr size_t kInitSid = 24;
inline constexpr size_t kInitZeros = 77;
inline constexpr size_t kInitResume = 472;
inline constexpr size_t kInitResumeMac = kInitResume + kHintBytes;
inline constexpr size_t kInitCookie = 496;
inline constexpr size_t kRespZeros = 272;
inline constexpr size_t kFinZeros = 236;
inline constexpr size_t kShortReceiverIndex = 4;
inline constexpr size_t kRetryCookie = 8;
inline constexpr size_t kRetryZeros = 24;
inline constexpr size_t kRejectSid = 8;
inline constexpr size_t kRejectReason = 24;
inline constexpr size_t kRejectZeros = 25;

/// REJECT reasons.
inline constexpr uint8_t kRejectOtherMesh = 1;

}  // namespace overlayd::core

#endif  // OVERLAYD_NATIVE_CORE_HANDSHAKE_LAYOUT_H_
