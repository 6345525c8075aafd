#include "native/core/neighbour.h"

#include <cstring>

#include "native/core/bytes.h"
#include "native/core/checksum.h"

namespace overlayd::core {
namespace {

constexpr size_t kL3 = kEthernetHeaderSize;

// ARP for IPv4 over Ethernet, from kL3: hardware type, protocol type, their lengths, operation, sender MAC and address,
// target MAC and address.
constexpr size_t kArpSize = 28;
constexpr size_t kArpOperation = 6;
constexpr size_t kArpSenderMac = 8;
constexpr size_t kArpSenderAddress = 14;
constexpr size_t kArpTargetMac = 18;
constexpr size_t kArpTargetAddress = 24;
constexpr uint8_t kArpHead[] = {0, 1, 0x08, 0x00, 6, 4};
constexpr uint16_t kArpRequest = 1;
constexpr uint16_t kArpReply = 2;
constexpr size_t kMinFrame = 60;

constexpr size_t kIpv4Source = 12;

constexpr size_t kIpv6Size = 40;
constexpr size_t kIpv6Source = 8;
constexpr size_t kIpv6Destination = 24;
constexpr size_t kAddressSize = 16;
// Solicitation and advertisement: type, code, checksum, flags, target, one option with a MAC.
constexpr size_t kNdSize = 32;
constexpr size_t kNdTarget = 8;
constexpr size_t kNdOption = 24;
constexpr uint8_t kProtocolIcmpv6 = 58;
constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kDestinationOptions = 60;
constexpr uint8_t kSolicitation = 135;
constexpr uint8_t kAdvertisement = 136;
constexpr uint8_t kSourceOption = 1;
constexpr uint8_t kTargetOption = 2;
constexpr uint8_t kSolicitedFlag = 0x40;
constexpr uint8_t kHopLimit = 255;
constexpr Mac kBroadcast = kMaxMac;

constexpr uint8_t kMappedPrefix[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool IsHostMac(Mac mac) { return mac != 0 && !IsGroup(mac); }

// Neither unspecified, this network, loopback, link-local nor a group.
bool IsHostIpv4(const uint8_t* ip) {
  return ip[0] != 0 && ip[0] != 127 && ip[0] < 224 && !(ip[0] == 169 && ip[1] == 254);
}

bool IsGlobalIpv6(const uint8_t* ip) {
  const bool is_link_local = ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
  const bool is_low = AllZero({ip, 8});  // unspecified, loopback, mapped
  return ip[0] != 0xff && !is_link_local && !is_low;
}

bool IsSourceIpv6(const uint8_t* ip) { return ip[0] != 0xff && !AllZero({ip, kAddressSize}); }

// ff02::1:ffxx:xxxx for the last three bytes of the target, and its MAC.
bool IsSolicitedNode(const uint8_t* frame, const uint8_t* ip, const uint8_t* target) {
  constexpr uint8_t kPrefix[] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
  constexpr uint8_t kMacPrefix[] = {0x33, 0x33, 0xff};
  return std::memcmp(ip, kPrefix, sizeof kPrefix) == 0 &&
         std::memcmp(ip + 13, target + 13, 3) == 0 &&
         std::memcmp(frame, kMacPrefix, sizeof kMacPrefix) == 0 &&
         std::memcmp(frame + 3, target + 13, 3) == 0;
}

uint16_t Icmpv6Sum(const uint8_t* ip) {
  const uint64_t pseudo = SumBytes(ip + kIpv6Source, 2 * kAddressSize, kNdSize + kProtocolIcmpv6);
  return FoldSum(SumBytes(ip + kIpv6Size, kNdSize, pseudo));
}

std::optional<NeighbourQuestion> OfArp(const uint8_t* frame, size_t size) {
  if (size < kL3 + kArpSize || LoadMac(frame) != kBroadcast) return std::nullopt;
  const uint8_t* arp = frame + kL3;
  const Mac sender = LoadMac(arp + kArpSenderMac);
  const uint8_t* from = arp + kArpSenderAddress;
  const uint8_t* target = arp + kArpTargetAddress;
  if (std::memcmp(arp, kArpHead, sizeof kArpHead) != 0 ||
      LoadBe16(arp + kArpOperation) != kArpRequest || sender != LoadMac(frame + 6) ||
      !IsHostMac(sender) || !IsHostIpv4(from) || !IsHostIpv4(target) ||
      std::memcmp(from, target, 4) == 0) {
    return std::nullopt;
  }
  return NeighbourQuestion{NeighbourAddressOfIpv4(target), false};
}

std::optional<NeighbourQuestion> OfSolicitation(const uint8_t* frame, size_t size) {
  if (size < kL3 + kIpv6Size + kNdSize) return std::nullopt;
  const uint8_t* ip = frame + kL3;
  const uint8_t* nd = ip + kIpv6Size;
  if (ip[0] >> 4 != 6 || ip[6] != kProtocolIcmpv6 || nd[0] != kSolicitation) return std::nullopt;
  const uint8_t* target = nd + kNdTarget;
  const Mac sender = LoadMac(frame + 6);
  if (LoadBe16(ip + 4) != kNdSize || ip[7] != kHopLimit || nd[1] != 0 || !IsHostMac(sender) ||
      !IsSourceIpv6(ip + kIpv6Source) || !IsGlobalIpv6(target) ||
      !IsSolicitedNode(frame, ip + kIpv6Destination, target) || nd[kNdOption] != kSourceOption ||
      nd[kNdOption + 1] != 1 || LoadMac(nd + kNdOption + 2) != sender ||
      std::memcmp(ip + kIpv6Source, target, kAddressSize) == 0 || Icmpv6Sum(ip) != 0xffff) {
    return std::nullopt;
  }
  NeighbourQuestion question{{}, true};
  std::memcpy(question.target.data(), target, kAddressSize);
  return question;
}

// Behind headers that hosts read past when they look for discovery (not fragments: RFC 6980). 0: there is none.
size_t Icmpv6Offset(const uint8_t* frame, size_t size) {
  if (size < kL3 + kIpv6Size) return 0;
  uint8_t next = frame[kL3 + 6];
  size_t at = kL3 + kIpv6Size;
  while (next == kHopByHop || next == kRouting || next == kDestinationOptions) {
    if (size < at + 2) return 0;
    next = frame[at];
    at += (size_t{frame[at + 1]} + 1) * 8;
  }
  return next == kProtocolIcmpv6 && at < size ? at : 0;
}

size_t WriteArp(const uint8_t* frame, const NeighbourQuestion& question, Mac mac, uint8_t* out) {
  const uint8_t* asked = frame + kL3;
  std::memset(out, 0, kMinFrame);
  uint8_t* arp = out + kL3;
  std::memcpy(out, frame + 6, 6);
  StoreMac(out + 6, mac);
  StoreBe16(out + 12, kEtherTypeArp);
  std::memcpy(arp, kArpHead, sizeof kArpHead);
  StoreBe16(arp + kArpOperation, kArpReply);
  StoreMac(arp + kArpSenderMac, mac);
  std::memcpy(arp + kArpSenderAddress, question.target.data() + sizeof kMappedPrefix, 4);
  std::memcpy(arp + kArpTargetMac, asked + kArpSenderMac, 6);
  std::memcpy(arp + kArpTargetAddress, asked + kArpSenderAddress, 4);
  return kMinFrame;
}

size_t WriteAdvertisement(const uint8_t* frame, const NeighbourQuestion& question, Mac mac,
                          uint8_t* out) {
  constexpr size_t kSize = kL3 + kIpv6Size + kNdSize;
  static_assert(kSize == kMaxNeighbourAnswer && kMinFrame <= kMaxNeighbourAnswer);
  std::memset(out, 0, kSize);
  uint8_t* ip = out + kL3;
  uint8_t* nd = ip + kIpv6Size;
  std::memcpy(out, frame + 6, 6);
  StoreMac(out + 6, mac);
  StoreBe16(out + 12, kEtherTypeIpv6);
  ip[0] = 0x60;
  StoreBe16(ip + 4, kNdSize);
  ip[6] = kProtocolIcmpv6;
  ip[7] = kHopLimit;
  std::memcpy(ip + kIpv6Source, question.target.data(), kAddressSize);
  std::memcpy(ip + kIpv6Destination, frame + kL3 + kIpv6Source, kAddressSize);
  nd[0] = kAdvertisement;
  nd[4] = kSolicitedFlag;
  std::memcpy(nd + kNdTarget, question.target.data(), kAddressSize);
  nd[kNdOption] = kTargetOption;
  nd[kNdOption + 1] = 1;
  StoreMac(nd + kNdOption + 2, mac);
  StoreBe16(nd + 2, static_cast<uint16_t>(~Icmpv6Sum(ip)));
  return kSize;
}

}  // namespace

NeighbourAddress NeighbourAddressOfIpv4(const uint8_t* ipv4) {
  NeighbourAddress out;
  std::memcpy(out.data(), kMappedPrefix, sizeof kMappedPrefix);
  std::memcpy(out.data() + sizeof kMappedPrefix, ipv4, 4);
  return out;
}

std::optional<NeighbourQuestion> NeighbourQuestionOf(const uint8_t* frame, size_t size,
                                                     const FrameInfo& info) {
  if (info.has_vlan_tag) return std::nullopt;
  if (info.ether_type == kEtherTypeArp) return OfArp(frame, size);
  if (info.ether_type == kEtherTypeIpv6) return OfSolicitation(frame, size);
  return std::nullopt;
}

NeighbourSources NeighbourSourcesOf(const uint8_t* frame, size_t size, const FrameInfo& info) {
  NeighbourSources out;
  if (info.has_vlan_tag) return out;
  const auto add_ipv4 = [&](size_t at) {
    if (size >= at + 4) out.addresses[out.count++] = NeighbourAddressOfIpv4(frame + at);
  };
  const auto add_ipv6 = [&](size_t at) {
    if (size < at + kAddressSize) return;
    std::memcpy(out.addresses[out.count++].data(), frame + at, kAddressSize);
  };
  if (info.ether_type == kEtherTypeIpv4) add_ipv4(kL3 + kIpv4Source);
  if (info.ether_type == kEtherTypeArp) add_ipv4(kL3 + kArpSenderAddress);
  if (info.ether_type != kEtherTypeIpv6) return out;
  add_ipv6(kL3 + kIpv6Source);
  const size_t nd = Icmpv6Offset(frame, size);
  if (nd != 0 && frame[nd] == kAdvertisement) add_ipv6(nd + kNdTarget);
  return out;
}

size_t WriteNeighbourAnswer(const uint8_t* frame, const NeighbourQuestion& question, Mac mac,
                            uint8_t* out) {
  return question.is_ipv6 ? WriteAdvertisement(frame, question, mac, out)
                          : WriteArp(frame, question, mac, out);
}

}  // namespace overlayd::core
