// Nanoseconds per packet of the data plane's parts, on this machine. See docs/performance.md.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <vector>

#include "bench/native/path_node.h"
#include "native/core/fdb.h"
#include "native/core/fragment.h"
#include "native/core/replay_window.h"
#include "native/core/segment.h"

namespace overlayd::bench {
namespace {

constexpr int kRounds = 9;

/// Median over rounds of the time one of `count` things takes in `body`. `prepare` is not timed.
void Report(const char* name, size_t count, const std::function<void()>& prepare,
            const std::function<void()>& body) {
  std::vector<double> times;
  for (int round = 0; round <= kRounds; ++round) {
    prepare();
    const auto start = std::chrono::steady_clock::now();
    body();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    if (round != 0) times.push_back(took.count() / static_cast<double>(count));
  }
  std::sort(times.begin(), times.end());
  std::printf("%-48s %8.1f   %.1f .. %.1f\n", name, times[kRounds / 2], times.front(),
              times.back());
}

/// Keeps the compiler from dropping what nobody reads.
template <typename T>
void Use(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

void BenchAead(core::Suite suite, const char* suite_name, core::ProviderChoice choice) {
  const core::Aead* aead = core::FindAead(suite, choice);
  if (aead == nullptr) {
    std::printf("%-48s not on this machine\n", suite_name);
    return;
  }
  if (choice == core::ProviderChoice::kFastest && std::strcmp(aead->provider, "libsodium") == 0) {
    return;  // comes with the other choice
  }
  constexpr size_t kPackets = 2000;
  for (const size_t size : {size_t{64}, size_t{1400}}) {
    const uint8_t secret[core::kAeadKeySize] = {1};
    const uint8_t iv[core::kAeadIvSize] = {2};
    const uint8_t header[core::kDataHeaderSize] = {3};
    const auto key = std::make_unique<core::AeadKey>();
    const auto scratch = std::make_unique<core::AeadScratch>();
    aead->expand(key.get(), secret, iv);
    const size_t stride = size + core::kTagSize;
    std::vector<uint8_t> plain(size, 7);
    std::vector<uint8_t> sealed(kPackets * stride);
    const auto seal_all = [&] {
      for (size_t i = 0; i < kPackets; ++i) {
        aead->seal(*key, *scratch, header, i, plain.data(), size, sealed.data() + i * stride);
      }
    };
    bool is_good = true;
    char name[80];
    std::snprintf(name, sizeof name, "seal %s, %s, %zu bytes", suite_name, aead->provider, size);
    Report(
        name, kPackets, [] {}, seal_all);
    std::snprintf(name, sizeof name, "open %s, %s, %zu bytes", suite_name, aead->provider, size);
    Report(name, kPackets, seal_all, [&] {
      for (size_t i = 0; i < kPackets; ++i) {
        is_good &= aead->open(*key, *scratch, header, i, sealed.data() + i * stride, size);
      }
    });
    if (!is_good) std::printf("%s: does not open what it sealed\n", name);
  }
}

void BenchFdb() {
  constexpr size_t kEntries = 4000;
  constexpr uint64_t kUnknownMac = 0x060000000000;
  constexpr size_t kCalls = 200'000;
  core::Fdb fdb{core::HashSeed{}};
  for (size_t i = 0; i < kEntries; ++i) fdb.Learn(0, kPeerMac + i, 1, 1);
  uint64_t sum = 0;
  const auto nothing = [] {};
  Report("fdb lookup, one of 4000", kCalls, nothing, [&] {
    for (size_t i = 0; i < kCalls; ++i) sum += fdb.Lookup(0, kPeerMac + i * 7 % kEntries, 2);
  });
  Report("fdb lookup, unknown", kCalls, nothing, [&] {
    for (size_t i = 0; i < kCalls; ++i) sum += fdb.Lookup(0, kUnknownMac + i % kEntries, 2);
  });
  uint32_t now_s = 2;
  Report(
      "fdb learn, known", kCalls, [&] { ++now_s; },
      [&] {
        for (size_t i = 0; i < kCalls; ++i) {
          sum += static_cast<uint64_t>(fdb.Learn(0, kPeerMac + i * 7 % kEntries, 1, now_s));
        }
      });
  Report(
      "fdb learn, new", kEntries, [&] { fdb.Forget(2); },
      [&] {
        for (size_t i = 0; i < kEntries; ++i) {
          sum += static_cast<uint64_t>(fdb.Learn(0, kUnknownMac + i, 2, now_s));
        }
      });
  Use(sum);
}

/// Per segment of a super-frame.
void BenchTrain() {
  constexpr size_t kRepeats = 200;
  const HostFrame frame = SuperFrame();
  std::vector<uint8_t> room(64 + frame.bytes.size());
  uint8_t* at = room.data() + 64;
  const auto put_frame = [&] { std::memcpy(at, frame.bytes.data(), frame.bytes.size()); };
  core::FrameInfo info;
  if (!core::ParseFrame(frame.bytes.data(), frame.bytes.size(), &info)) return;
  Report("cut a super-frame into 45, per segment", kRepeats * kSegments, put_frame, [&] {
    for (size_t repeat = 0; repeat < kRepeats; ++repeat) {
      // Cutting moves only headers: a second time over the same bytes costs the same.
      core::Cutter cutter(at, info, kSegmentPayload);
      for (size_t i = 0; i < kSegments; ++i) Use(*cutter.Make(i));
    }
  });

  put_frame();
  core::Cutter cutter(at, info, kSegmentPayload);
  std::vector<std::vector<uint8_t>> segments;
  for (size_t i = 0; i < kSegments; ++i) {
    const uint8_t* segment = cutter.Make(i);
    segments.emplace_back(segment, segment + cutter.FrameSize(i));
  }
  core::Joiner joiner({});
  std::vector<core::Arrival> arrivals;
  for (size_t i = 0; i < kSegments; ++i) {
    core::Arrival arrival{segments[i].data(), segments[i].size(), i, 0, 0, 0, true, {}};
    if (!core::ParseFrame(arrival.frame, arrival.size, &arrival.info)) return;
    arrivals.push_back(arrival);
  }
  const std::vector<uint8_t> first = segments[0];
  size_t joined = 0;
  Report(
      "join 45 into one, per segment", kRepeats * kSegments, [] {},
      [&] {
        for (size_t repeat = 0; repeat < kRepeats; ++repeat) {
          std::copy_n(first.begin(), info.payload_offset,
                      segments[0].begin());  // Finish wrote there
          joiner.Start(arrivals[0]);
          for (size_t i = 1; i < kSegments; ++i) joined += joiner.Append(arrivals[i]) ? 1 : 0;
          Use(joiner.Finish());
        }
      });
  if (joined != (kRounds + 1) * kRepeats * (kSegments - 1)) std::printf("did not join all\n");
}

void BenchReplay() {
  constexpr size_t kCounters = 200'000;
  const auto window = std::make_unique<core::ReplayWindow>();
  size_t taken = 0;
  const auto reset = [&] { window->Reset(); };
  Report("replay window, commit one by one", kCounters, reset, [&] {
    for (size_t i = 0; i < kCounters; ++i) taken += window->Commit(i) ? 1 : 0;
  });
  Report("replay window, commit a train of 45, per packet", kCounters, reset, [&] {
    for (size_t i = 0; i + kSegments <= kCounters; i += kSegments) {
      taken += window->CommitRun(i, kSegments) ? 1 : 0;
    }
  });
  Use(taken);
}

/// A frame of 9000 bytes on a path that carries 1400, per fragment.
void BenchFragments() {
  constexpr size_t kWholes = 2000;
  const std::vector<uint8_t> whole(9000, 7);
  const core::FragmentPlan plan = core::PlanFragments(whole.size(), 1400);
  std::vector<std::vector<uint8_t>> parts(plan.count);
  const auto split = [&] {
    for (uint8_t i = 0; i < plan.count; ++i) {
      parts[i].resize(core::kFragmentHeaderBytes + plan.LengthOf(i));
      core::WriteFragmentHeader(parts[i].data(), plan, i, 1);
      std::memcpy(parts[i].data() + core::kFragmentHeaderBytes, whole.data() + plan.OffsetOf(i),
                  plan.LengthOf(i));
    }
  };
  const auto nothing = [] {};
  Report("split 9000 bytes into fragments, per fragment", kWholes * plan.count, nothing, [&] {
    for (size_t repeat = 0; repeat < kWholes; ++repeat) {
      split();
      Use(parts);
    }
  });
  core::Reassembler reassembler;
  uint64_t counter = 0;
  size_t complete = 0;
  Report("put them together again, per fragment", kWholes * plan.count, nothing, [&] {
    for (size_t repeat = 0; repeat < kWholes; ++repeat) {
      for (const std::vector<uint8_t>& part : parts) {
        const core::Fragment fragment{1, 0, counter++, 0, 0, part};
        const core::ReassemblyResult result = reassembler.Add(fragment, 1);
        if (result.kind == core::ReassemblyResult::Kind::kComplete) ++complete;
      }
    }
  });
  if (complete != (kRounds + 1) * kWholes) std::printf("did not put all together\n");
}

void BenchPath(const PathLoad& load) {
  const size_t frames = load.Frames(256, 8192);
  const HostFrame frame = load.is_super ? SuperFrame() : SmallFrame();
  PathNode node;
  char name[80];
  std::snprintf(name, sizeof name, "path without cipher, %s", load.name);
  Report(
      name, frames * load.PacketsPerFrame(), [&] { Prepare(node, load, frames); },
      [&] { Run(node, load, frame, frames); });
  node.ExpectNoDrops();
  const bool is_relay = load.kind == PathLoad::Kind::kRelay;
  if (is_relay && node.udp->sent.bytes.size() != node.udp->waiting.bytes.size()) {
    std::printf("%s did not pass all on\n", load.name);
  }
}

}  // namespace
}  // namespace overlayd::bench

int main() {
  using namespace overlayd;
  std::printf("%-48s %8s   %s\n", "ns per packet", "median", "min .. max");
  for (const auto choice : {core::ProviderChoice::kFastest, core::ProviderChoice::kLibsodiumOnly}) {
    bench::BenchAead(core::Suite::kAes256Gcm, "aes256gcm", choice);
    bench::BenchAead(core::Suite::kChaCha20Poly1305, "chacha20poly1305", choice);
    bench::BenchAead(core::Suite::kXSalsa20Poly1305, "xsalsa20poly1305", choice);
  }
  bench::BenchFdb();
  bench::BenchReplay();
  bench::BenchTrain();
  bench::BenchFragments();
  for (const bench::PathLoad& load : bench::kPathLoads) bench::BenchPath(load);
}
