// Run under callgrind by scripts/perf-check.sh, once a load: instructions go to callgrind's file, calls to the devices
// to standard output: name packets tap-calls udp-calls. Without a name, lists the loads.
#include <cstdio>
#include <cstring>

#include "bench/native/path_node.h"

namespace overlayd::bench {
namespace {

void Measure(const PathLoad& load) {
  const size_t frames = load.Frames(64, 2048);
  const HostFrame frame = load.is_super ? SuperFrame() : SmallFrame();
  PathNode node;
  // What happens once (learning, first events) is not what a packet costs.
  Prepare(node, load, frames);
  Run(node, load, frame, frames);
  Prepare(node, load, frames);
  node.tap.calls = 0;
  node.udp->calls = 0;
  {
    const Counted counted;
    Run(node, load, frame, frames);
  }
  node.ExpectNoDrops();
  std::printf("%s %zu %zu %zu\n", load.name, frames * load.PacketsPerFrame(), node.tap.calls,
              node.udp->calls);
}

}  // namespace
}  // namespace overlayd::bench

int main(int argc, char** argv) {
  for (const overlayd::bench::PathLoad& load : overlayd::bench::kPathLoads) {
    if (argc < 2) {
      std::puts(load.name);
    } else if (std::strcmp(argv[1], load.name) == 0) {
      overlayd::bench::Measure(load);
    }
  }
}
