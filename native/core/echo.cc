#include "native/core/echo.h"

#include "native/core/bytes.h"

namespace overlayd::core {

void EncodePing(const Ping& ping, std::span<uint8_t> body) {
  OVL_CHECK(body.size() >= kPingBytes);
  StoreLe32(body.data(), ping.path);
  StoreLe32(body.data() + 4, ping.sequence);
  StoreLe64(body.data() + 8, ping.sent_us);
  const std::span<uint8_t> padding = body.subspan(kPingBytes);
  std::fill(padding.begin(), padding.end(), uint8_t{0});
}

std::optional<Ping> DecodePing(std::span<const uint8_t> body) {
  if (body.size() < kPingBytes) return std::nullopt;
  return Ping{LoadLe32(body.data()), LoadLe32(body.data() + 4), LoadLe64(body.data() + 8)};
}

void EncodePong(const Pong& pong, std::span<uint8_t, kPongBytes> body) {
  EncodePing(pong.ping, body.first<kPingBytes>());
  uint8_t* observed = body.data() + kPingBytes;
  if (IsMulticastOrVirtual(pong.observed)) {
    std::fill_n(observed, kEndpointBytes, uint8_t{0});
  } else {
    EncodeEndpoint(pong.observed, observed);
  }
  StoreLe16(body.data() + kPingBytes + kEndpointBytes, pong.received_bytes);
}

std::optional<Pong> DecodePong(std::span<const uint8_t> body) {
  if (body.size() < kPongBytes) return std::nullopt;
  Pong pong;
  pong.ping = *DecodePing(body);
  const auto observed = body.subspan(kPingBytes, kEndpointBytes);
  const bool is_empty =
      std::all_of(observed.begin(), observed.end(), [](uint8_t byte) { return byte == 0; });
  if (!is_empty && !DecodeEndpoint(observed.data(), pong.observed)) return std::nullopt;
  pong.received_bytes = LoadLe16(body.data() + kPingBytes + kEndpointBytes);
  return pong;
}

void EncodeReceiverReport(const ReceiverReport& report,
                          std::span<uint8_t, kReceiverReportBytes> body) {
  StoreLe16(body.data(), report.interval_ms);
  StoreLe16(body.data() + 2, report.largest_bytes);
  StoreLe32(body.data() + 4, report.singles);
  StoreLe32(body.data() + 8, report.train_segments);
  StoreLe32(body.data() + 12, report.lost);
  StoreLe32(body.data() + 16, report.ce);
}

std::optional<ReceiverReport> DecodeReceiverReport(std::span<const uint8_t> body) {
  if (body.size() < kReceiverReportBytes) return std::nullopt;
  return ReceiverReport{LoadLe16(body.data()),      LoadLe16(body.data() + 2),
                        LoadLe32(body.data() + 4),  LoadLe32(body.data() + 8),
                        LoadLe32(body.data() + 12), LoadLe32(body.data() + 16)};
}

}  // namespace overlayd::core
