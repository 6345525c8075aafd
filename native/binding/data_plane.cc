#include "native/binding/data_plane.h"

#include <sodium.h>

#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "native/binding/arguments.h"
#include "native/core/wire.h"

namespace overlayd::binding {
namespace {

using engine::Event;
using engine::EventKind;
using engine::TableEntry;

core::Suite SuiteOf(Napi::Env env, uint32_t suite) {
  if (suite != 1 && suite != 2 && suite != 4) {
    Refuse(env, "suite " + std::to_string(suite) + " is unknown");
  }
  return static_cast<core::Suite>(suite);
}

engine::DirectionKey KeyOf(const Napi::Object& object, const char* name) {
  const auto key = Field(object, name).As<Napi::Object>();
  return {FixedBytes<core::kAeadKeySize>(key, "key"), FixedBytes<core::kAeadIvSize>(key, "iv")};
}

// Four or sixteen bytes.
core::NeighbourAddress IpOf(const Napi::Object& object, const char* name) {
  const std::span<const uint8_t> bytes = Bytes(object, name);
  core::NeighbourAddress out;
  if (bytes.size() == 4) return core::NeighbourAddressOfIpv4(bytes.data());
  if (bytes.size() != out.size()) Refuse(object.Env(), std::string(name) + " is no IP address");
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

std::vector<uint32_t> PeersOf(const Napi::Object& entry) {
  const auto list = Field(entry, "peers").As<Napi::Array>();
  std::vector<uint32_t> peers;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    peers.push_back(list.Get(i).As<Napi::Number>().Uint32Value());
  }
  return peers;
}

TableEntry EntryOf(const Napi::Object& entry) {
  const std::string kind = Text(entry, "kind");
  if (kind == "sessionInstall") {
    return engine::SessionInstall{
        U32(entry, "session"),     U32(entry, "peer"),
        U32(entry, "remoteIndex"), SuiteOf(entry.Env(), U32(entry, "suite")),
        KeyOf(entry, "rx"),        KeyOf(entry, "tx")};
  }
  if (kind == "sessionRxKey") {
    return engine::SessionRxKey{U32(entry, "session"), U32(entry, "phase"), KeyOf(entry, "rx")};
  }
  if (kind == "sessionTxKey") {
    return engine::SessionTxKey{U32(entry, "session"), U32(entry, "phase"), KeyOf(entry, "tx")};
  }
  if (kind == "sessionRxRetire") {
    return engine::SessionRxRetire{U32(entry, "session"), U32(entry, "phase")};
  }
  if (kind == "sessionRemove") return engine::SessionRemove{U32(entry, "session")};
  if (kind == "peerSet") {
    return engine::PeerSet{U32(entry, "peer"), U32(entry, "session"), U32(entry, "path"),
                           core::LoadLe64(Bytes(entry, "id"), 0)};
  }
  if (kind == "peerRemove") return engine::PeerRemove{U32(entry, "peer")};
  if (kind == "pathSet") {
    return engine::PathSet{U32(entry, "path"), U32(entry, "peer"), U32(entry, "session"),
                           AddressOf(entry, "endpoint"), U32(entry, "datagramBytes")};
  }
  if (kind == "pathRemove") return engine::PathRemove{U32(entry, "path")};
  if (kind == "labelSet") {
    return engine::LabelSet{U32(entry, "label"), U32(entry, "peer"), U32(entry, "outLabel"),
                            U32(entry, "forward")};
  }
  if (kind == "labelRemove") return engine::LabelRemove{U32(entry, "label")};
  if (kind == "fdbSet") {
    return engine::FdbSet{U32(entry, "network"), MacOf(entry, "mac"), U32(entry, "peer")};
  }
  if (kind == "fdbRemove") return engine::FdbRemove{U32(entry, "network"), MacOf(entry, "mac")};
  if (kind == "groupSet") {
    return engine::GroupSet{U32(entry, "network"), MacOf(entry, "mac"), PeersOf(entry)};
  }
  if (kind == "membersSet") return engine::MembersSet{U32(entry, "network"), PeersOf(entry)};
  if (kind == "groupRemove") {
    return engine::GroupRemove{U32(entry, "network"), MacOf(entry, "mac")};
  }
  if (kind == "treeSet") {
    return engine::TreeSet{core::LoadLe64(Bytes(entry, "origin"), 0), PeersOf(entry)};
  }
  if (kind == "neighbourSet") {
    return engine::NeighbourSet{U32(entry, "network"), IpOf(entry, "address"), MacOf(entry, "mac"),
                                Boolean(entry, "isGuarded")};
  }
  if (kind == "neighbourRemove") {
    return engine::NeighbourRemove{U32(entry, "network"), IpOf(entry, "address")};
  }
  if (kind == "resumeSet") {
    return engine::ResumeSet{FixedBytes<core::kHintBytes>(entry, "hint"),
                             FixedBytes<core::kPairKeyBytes>(entry, "pairKey")};
  }
  if (kind == "resumeRemove") {
    return engine::ResumeRemove{FixedBytes<core::kHintBytes>(entry, "hint")};
  }
  Refuse(entry.Env(), "table entry kind " + kind + " is unknown");
}

// Keys do not stay behind in freed memory, also when a later entry is refused by a throw.
struct KeyWiper {
  std::vector<TableEntry>& entries;
  ~KeyWiper();
};

KeyWiper::~KeyWiper() {
  for (TableEntry& entry : entries) {
    if (auto* install = std::get_if<engine::SessionInstall>(&entry)) {
      sodium_memzero(&install->rx, sizeof install->rx);
      sodium_memzero(&install->tx, sizeof install->tx);
    } else if (auto* rx = std::get_if<engine::SessionRxKey>(&entry)) {
      sodium_memzero(&rx->rx, sizeof rx->rx);
    } else if (auto* tx = std::get_if<engine::SessionTxKey>(&entry)) {
      sodium_memzero(&tx->tx, sizeof tx->tx);
    } else if (auto* resume = std::get_if<engine::ResumeSet>(&entry)) {
      sodium_memzero(resume->pair_key.data(), resume->pair_key.size());
    }
  }
}

Napi::Value BytesToJs(Napi::Env env, const std::vector<uint8_t>& bytes) {
  auto out = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) std::memcpy(out.Data(), bytes.data(), bytes.size());
  return out;
}

Napi::Value MacToJs(Napi::Env env, core::Mac mac) {
  auto out = Napi::Uint8Array::New(env, 6);
  core::StoreMac(out.Data(), mac);
  return out;
}

const char* VerdictName(engine::MacVerdict verdict) {
  switch (verdict) {
    case engine::MacVerdict::kLocal:
      return "local";
    case engine::MacVerdict::kFlapping:
      return "flapping";
    case engine::MacVerdict::kSpoofed:
      return "spoofed";
    case engine::MacVerdict::kRefused:
      return "refused";
  }
  return "";
}

Napi::Object EventToJs(Napi::Env env, const Event& event) {
  auto out = Napi::Object::New(env);
  using Number = std::pair<const char*, uint32_t>;
  const auto of_kind = [&](const char* kind, std::initializer_list<Number> numbers) {
    out.Set("kind", kind);
    for (const auto& [name, value] : numbers) out.Set(name, Napi::Number::New(env, value));
  };
  const auto endpoint = [&](const char* name) { out.Set(name, AddressToJs(env, event.endpoint)); };
  switch (event.kind) {
    case EventKind::kHandshake:
      of_kind("handshake", {});
      endpoint("from");
      out.Set("bytes", BytesToJs(env, event.bytes));
      out.Set("hasCookie", Napi::Boolean::New(env, event.has_cookie));
      out.Set("resumed", Napi::Boolean::New(env, event.is_resumed));
      break;
    case EventKind::kOtherMesh:
      of_kind("otherMesh", {});
      endpoint("from");
      break;
    case EventKind::kControl:
      of_kind("control", {{"session", event.session}, {"type", event.value}});
      endpoint("from");
      out.Set("body", BytesToJs(env, event.bytes));
      break;
    case EventKind::kPhaseConfirmed:
      of_kind("phaseConfirmed", {{"session", event.session}, {"phase", event.phase}});
      endpoint("from");
      break;
    case EventKind::kEndpointSeen:
      of_kind("endpointSeen", {{"session", event.session}});
      endpoint("from");
      break;
    case EventKind::kPathAlive:
      of_kind("pathAlive", {{"path", event.path}, {"rttUs", event.rtt_us}});
      break;
    case EventKind::kPathDead:
      of_kind("pathDead", {{"path", event.path}});
      break;
    case EventKind::kProbeAnswered:
      of_kind("probeAnswered",
              {{"path", event.path}, {"datagramBytes", event.value}, {"rttUs", event.rtt_us}});
      break;
    case EventKind::kPathTooBig:
      of_kind("pathTooBig", {{"path", event.path}, {"datagramBytes", event.value}});
      break;
    case EventKind::kObserved:
      of_kind("observed", {{"path", event.path}});
      endpoint("endpoint");
      break;
    case EventKind::kSessionLimit:
      of_kind("sessionLimit", {{"session", event.session}});
      break;
    case EventKind::kLabelUnknown:
      of_kind("labelUnknown", {{"peer", event.peer}, {"label", event.value}});
      break;
    case EventKind::kPeerWanted:
      of_kind("peerWanted",
              {{"network", event.network}, {"peer", event.peer}, {"target", event.value}});
      break;
    case EventKind::kTcpOpened:
      of_kind("tcpOpened", {{"connection", event.value}});
      endpoint("endpoint");
      break;
    case EventKind::kMacClaim:
      of_kind("macClaim", {{"network", event.network}, {"peer", event.peer}});
      out.Set("mac", MacToJs(env, event.mac));
      out.Set("verdict", VerdictName(event.verdict));
      break;
    case EventKind::kMembership:
      of_kind("membership", {{"network", event.network}, {"missed", event.value}});
      out.Set("frame", BytesToJs(env, event.bytes));
      break;
    case EventKind::kTcpClosed:
      of_kind("tcpClosed", {{"connection", event.value}});
      break;
    case EventKind::kFault:
      of_kind("fault", {{"path", event.path}, {"network", event.network}});
      out.Set("code", event.code);
      out.Set("errno", Napi::Number::New(env, event.error));
      break;
    case EventKind::kOverflow:
      of_kind("overflow", {{"lost", event.value}});
      break;
  }
  return out;
}

std::vector<core::Mac> OwnMacsOf(const Napi::Object& options) {
  const auto list = Field(options, "ownMacs").As<Napi::Array>();
  std::vector<core::Mac> macs;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    macs.push_back(MacOf(list.Get(i).As<Napi::Object>(), "mac"));
  }
  return macs;
}

Napi::Object FailureToJs(Napi::Env env, const engine::OpenFailure& failure) {
  auto out = Napi::Object::New(env);
  out.Set("code", failure.code);
  out.Set("step", failure.step);
  out.Set("errno", Napi::Number::New(env, failure.error));
  out.Set("reason", failure.error != 0 ? std::strerror(failure.error) : "");
  out.Set("what", failure.what);
  return out;
}

Napi::Value BigInt(Napi::Env env, uint64_t value) { return Napi::BigInt::New(env, value); }

}  // namespace

void DataPlane::Define(Napi::Env env, Napi::Object exports) {
  exports.Set("DataPlane", DefineClass(env, "DataPlane",
                                       {
                                           InstanceMethod<&DataPlane::Open>("open"),
                                           InstanceMethod<&DataPlane::ReopenTap>("reopenTap"),
                                           InstanceMethod<&DataPlane::OpenNetwork>("openNetwork"),
                                           InstanceMethod<&DataPlane::CloseNetwork>("closeNetwork"),
                                           InstanceMethod<&DataPlane::Apply>("apply"),
                                           InstanceMethod<&DataPlane::Send>("send"),
                                           InstanceMethod<&DataPlane::OnReadable>("onReadable"),
                                           InstanceMethod<&DataPlane::Drain>("drain"),
                                           InstanceMethod<&DataPlane::ReadCounters>("readCounters"),
                                           InstanceMethod<&DataPlane::DumpFdb>("dumpFdb"),
                                           InstanceMethod<&DataPlane::Close>("close"),
                                       }));
}

DataPlane::DataPlane(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<DataPlane>(info), env_(info.Env()) {}

// Also when the collector takes an object that was never closed, or the environment ends.
DataPlane::~DataPlane() { Shut(); }

/*
 * The order is what keeps this from touching freed memory: threads first, since they wake through the thread-safe
 * function; then that function; then the hook, which would otherwise meet an object that was collected.
 */
void DataPlane::Shut() {
  if (engine_) engine_->Close();
  engine_.reset();
  if (!std::exchange(has_wake_, false)) return;
  wake_.Release();
  napi_remove_env_cleanup_hook(env_, &DataPlane::OnEnvironmentEnd, this);
}

// A wake-up may still be delivered while the environment ends: JavaScript cannot be called then, and need not be. What
// the callback itself throws is left pending, and Node makes it an uncaught exception.
void DataPlane::CallBack(Napi::Env env, Napi::Function callback, std::nullptr_t*, std::nullptr_t*) {
  napi_value undefined;
  if (napi_env(env) == nullptr || callback.IsEmpty()) return;
  if (napi_get_undefined(env, &undefined) != napi_ok) return;
  napi_call_function(env, undefined, callback, 0, nullptr, nullptr);
}

void DataPlane::OnEnvironmentEnd(void* self) { static_cast<DataPlane*>(self)->Shut(); }

engine::Engine& DataPlane::Opened(Napi::Env env) {
  if (!engine_) Refuse(env, "the data plane is not open");
  return *engine_;
}

void DataPlane::OnReadable(const Napi::CallbackInfo& info) {
  if (has_wake_) Refuse(info.Env(), "onReadable was called before");
  wake_ = Wake::New(info.Env(), info[0].As<Napi::Function>(), "overlayd events",
                    /*maxQueueSize=*/0, /*initialThreadCount=*/1);
  wake_.Unref(info.Env());
  // Threads must be gone before the environment is, also when JavaScript forgot to close. Hooks run last in, first out,
  // and the thread-safe function has one that frees it: ours comes after it, so that it runs before.
  napi_add_env_cleanup_hook(env_, &DataPlane::OnEnvironmentEnd, this);
  has_wake_ = true;
}

Napi::Value DataPlane::Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_) Refuse(env, "the data plane is open");
  if (!has_wake_) Refuse(env, "onReadable comes before open");
  const auto options = info[0].As<Napi::Object>();
  engine::EngineConfig config;
  config.tap_name = Text(options, "tapName");
  config.mtu_bytes = U32(options, "mtuBytes");
  const uint32_t port = U32(options, "port");
  if (port > UINT16_MAX) Refuse(env, "port is not a u16");
  config.port = static_cast<uint16_t>(port);
  const auto bind = Field(options, "bind").As<Napi::Array>();
  for (uint32_t i = 0; i < bind.Length(); ++i) {
    config.bind.push_back(bind.Get(i).As<Napi::String>().Utf8Value());
  }
  config.mesh_id = FixedBytes<16>(options, "meshId");
  const auto suites = Field(options, "suites").As<Napi::Array>();
  for (uint32_t i = 0; i < suites.Length(); ++i) {
    config.suites.push_back(SuiteOf(env, suites.Get(i).As<Napi::Number>().Uint32Value()));
  }
  config.own_macs = OwnMacsOf(options);
  // Optional: a data plane without an overlay to guard has none.
  const Napi::Value prefixes = options.Get("overlayPrefixes");
  for (uint32_t i = 0; prefixes.IsArray() && i < prefixes.As<Napi::Array>().Length(); ++i) {
    const auto prefix = prefixes.As<Napi::Array>().Get(i).As<Napi::Object>();
    config.overlay_prefixes.push_back(
        core::PrefixOf(EndpointOf(prefix, "base"), U32(prefix, "bits")));
  }
  config.queue_pairs = U32(options, "queuePairs");
  if (Text(options, "provider") == "libsodium") {
    config.providers = core::ProviderChoice::kLibsodiumOnly;
  }
  const auto without = Field(options, "without").As<Napi::Array>();
  for (uint32_t i = 0; i < without.Length(); ++i) {
    const std::string offload = without.Get(i).As<Napi::String>().Utf8Value();
    if (offload == "gso") config.may_use_gso = false;
    if (offload == "gro") config.may_use_gro = false;
    if (offload == "uso") config.may_use_uso = false;
    if (offload == "vnet_hdr") config.may_use_vnet_hdr = false;
  }

  auto opening = std::make_unique<engine::Engine>([this] { wake_.NonBlockingCall(); });
  engine::EngineInfo opened;
  engine::OpenFailure failure;
  auto out = Napi::Object::New(env);
  if (!opening->Open(config, &opened, &failure)) return FailureToJs(env, failure);
  engine_ = std::move(opening);

  out.Set("localPort", Napi::Number::New(env, opened.port));
  auto addresses = Napi::Array::New(env);
  for (const core::SourceAddress& address : opened.local_addresses) {
    addresses.Set(addresses.Length(), AddressToJs(env, address));
  }
  out.Set("localAddresses", addresses);
  auto suite_list = Napi::Array::New(env);
  for (const auto& suite : opened.suites) {
    auto row = Napi::Object::New(env);
    row.Set("suite", Napi::Number::New(env, static_cast<int>(suite.suite)));
    row.Set("provider", suite.provider);
    row.Set("nsPerPacket", Napi::Number::New(env, suite.ns_per_packet));
    suite_list.Set(suite_list.Length(), row);
  }
  out.Set("suites", suite_list);
  auto offloads = Napi::Array::New(env);
  for (const std::string& offload : opened.offloads) offloads.Set(offloads.Length(), offload);
  out.Set("offloads", offloads);
  out.Set("queuePairs", Napi::Number::New(env, static_cast<double>(opened.queue_pairs)));
  return out;
}

// Null on success; else as from Open.
Napi::Value DataPlane::ReopenTap(const Napi::CallbackInfo& info) {
  engine::OpenFailure failure;
  if (Opened(info.Env()).ReopenTap(&failure)) return info.Env().Null();
  return FailureToJs(info.Env(), failure);
}

// Null on success; else as from Open.
Napi::Value DataPlane::OpenNetwork(const Napi::CallbackInfo& info) {
  const auto options = info[0].As<Napi::Object>();
  engine::OpenFailure failure;
  const engine::NetworkConfig config{U32(options, "network"), Text(options, "tapName"),
                                     OwnMacsOf(options)};
  if (Opened(info.Env()).OpenNetwork(config, &failure)) return info.Env().Null();
  return FailureToJs(info.Env(), failure);
}

void DataPlane::CloseNetwork(const Napi::CallbackInfo& info) {
  Opened(info.Env()).CloseNetwork(info[0].As<Napi::Number>().Uint32Value());
}

// Null on success; else {index, reason}.
Napi::Value DataPlane::Apply(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto batch = info[0].As<Napi::Array>();
  std::vector<TableEntry> entries;
  const KeyWiper wiper{entries};
  entries.reserve(batch.Length());
  const auto refusal = [env](size_t index, const std::string& why) {
    auto out = Napi::Object::New(env);
    out.Set("index", Napi::Number::New(env, static_cast<double>(index)));
    out.Set("reason", why);
    return out;
  };
  for (uint32_t i = 0; i < batch.Length(); ++i) {
    try {
      entries.push_back(EntryOf(batch.Get(i).As<Napi::Object>()));
    } catch (const Napi::Error& error) {
      return refusal(i, error.Message());
    }
  }
  size_t refused = 0;
  const std::string why = Opened(env).Apply(entries, &refused);
  return why.empty() ? env.Null() : refusal(refused, why);
}

void DataPlane::Send(const Napi::CallbackInfo& info) {
  const auto batch = info[0].As<Napi::Array>();
  engine::Engine& engine = Opened(info.Env());
  for (uint32_t i = 0; i < batch.Length(); ++i) {
    const auto item = batch.Get(i).As<Napi::Object>();
    const std::string kind = Text(item, "kind");
    if (kind == "datagram") {
      engine.SendDatagram(AddressOf(item, "to"), Bytes(item, "bytes"));
    } else if (kind == "control") {
      engine.SendControl(U32(item, "session"), U32(item, "path"),
                         static_cast<uint8_t>(U32(item, "type")), Bytes(item, "body"));
    } else if (kind == "keepalive") {
      engine.SendKeepalive(U32(item, "session"), AddressOf(item, "to"));
    } else if (kind == "probe") {
      engine.SendProbe(U32(item, "path"), U32(item, "datagramBytes"));
    } else if (kind == "tapFrame") {
      engine.WriteTap(U32(item, "network"), Bytes(item, "frame"));
    } else if (kind == "kick") {
      engine.KickPath(U32(item, "path"));
    } else if (kind == "returnToken") {
      engine.ReturnToken(AddressOf(item, "from"));
    } else if (kind == "tcpConnect") {
      engine.ConnectTcp(U32(item, "connection"), AddressOf(item, "to"));
    } else if (kind == "tcpClose") {
      engine.CloseTcp(U32(item, "connection"));
    } else {
      Refuse(info.Env(), "send item kind " + kind + " is unknown");
    }
  }
}

Napi::Value DataPlane::Drain(const Napi::CallbackInfo& info) {
  auto out = Napi::Array::New(info.Env());
  if (!engine_) return out;
  uint32_t at = 0;
  for (const Event& event : engine_->Drain()) {
    const Napi::HandleScope scope(info.Env());
    out.Set(at++, EventToJs(info.Env(), event));
  }
  return out;
}

Napi::Value DataPlane::ReadCounters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  engine::Engine& engine = Opened(env);
  auto out = Napi::Object::New(env);
  auto totals = Napi::Object::New(env);
  for (size_t i = 0; i < core::kCounterCount; ++i) {
    totals.Set(core::kCounterNames[i], BigInt(env, engine.Total(static_cast<core::Counter>(i))));
  }
  auto drops = Napi::Object::New(env);
  for (size_t i = 1; i < core::kDropReasonCount; ++i) {
    drops.Set(core::kDropReasonNames[i],
              BigInt(env, engine.Dropped(static_cast<core::DropReason>(i))));
  }
  out.Set("totals", totals);
  out.Set("drops", drops);
  const uint64_t now_us = engine::BootTimeUs();
  auto paths = Napi::Array::New(env);
  for (const auto& row : engine.store().Paths()) {
    engine::PathState& state = engine.plane().paths[row.state];
    auto path = Napi::Object::New(env);
    path.Set("path", Napi::Number::New(env, row.id));
    {
      const std::lock_guard guard(state.mutex);
      path.Set("isAlive", Napi::Boolean::New(env, state.clock.IsAlive()));
      path.Set("srttUs", Napi::Number::New(env, state.clock.SrttUs()));
      path.Set("rttvarUs", Napi::Number::New(env, state.clock.RttvarUs()));
      path.Set("lastFrameMs",
               Napi::Number::New(env, static_cast<double>(state.last_frame_ms.load())));
      path.Set("lossPermille", Napi::Number::New(env, state.clock.LossPermille(now_us)));
    }
    path.Set("txDatagrams", BigInt(env, state.tx_datagrams.load()));
    path.Set("txBytes", BigInt(env, state.tx_bytes.load()));
    path.Set("rxDatagrams", BigInt(env, state.rx_datagrams.load()));
    path.Set("rxBytes", BigInt(env, state.rx_bytes.load()));
    paths.Set(paths.Length(), path);
  }
  out.Set("paths", paths);
  auto sessions = Napi::Array::New(env);
  for (const auto& row : engine.store().Sessions()) {
    const core::Session& session = engine.plane().sessions.at(row.slot);
    auto entry = Napi::Object::New(env);
    entry.Set("session", Napi::Number::New(env, row.index));
    entry.Set("txPackets", BigInt(env, session.tx_packets.load()));
    entry.Set("txBytes", BigInt(env, session.tx_bytes.load()));
    entry.Set("rxPackets", BigInt(env, session.rx_packets.load()));
    entry.Set("rxBytes", BigInt(env, session.rx_bytes.load()));
    entry.Set("forged", BigInt(env, session.forged.load()));
    entry.Set("replayed", BigInt(env, session.replayed.load()));
    entry.Set("tapRefused", BigInt(env, session.tap_refused.load()));
    entry.Set("lastRxMs", Napi::Number::New(env, static_cast<double>(session.last_rx_ms.load())));
    sessions.Set(sessions.Length(), entry);
  }
  out.Set("sessions", sessions);
  auto labels = Napi::Array::New(env);
  for (const auto& row : engine.store().Labels()) {
    const engine::LabelState& state = engine.plane().labels[row.state];
    auto entry = Napi::Object::New(env);
    entry.Set("label", Napi::Number::New(env, row.label));
    entry.Set("datagrams", BigInt(env, state.datagrams.load()));
    entry.Set("bytes", BigInt(env, state.bytes.load()));
    labels.Set(labels.Length(), entry);
  }
  out.Set("labels", labels);
  return out;
}

Napi::Value DataPlane::DumpFdb(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  engine::Engine& engine = Opened(env);
  auto out = Napi::Array::New(env);
  const auto add = [&](uint32_t network, core::Mac mac, uint32_t peer, bool is_declared,
                       uint32_t age_s) {
    auto row = Napi::Object::New(env);
    row.Set("network", Napi::Number::New(env, network));
    row.Set("mac", MacToJs(env, mac));
    row.Set("peer", Napi::Number::New(env, peer));
    row.Set("isDeclared", Napi::Boolean::New(env, is_declared));
    row.Set("ageSeconds", Napi::Number::New(env, age_s));
    out.Set(out.Length(), row);
  };
  for (const auto& row : engine.store().DeclaredFdb()) add(row.network, row.mac, row.peer, true, 0);
  const auto now_s = static_cast<uint32_t>(engine::BootTimeMs() / 1000);
  engine.plane().fdb.Dump(now_s, [&](const core::Fdb::Entry& entry) {
    add(entry.network, entry.mac, entry.peer, false, entry.age_s);
  });
  return out;
}

void DataPlane::Close(const Napi::CallbackInfo&) { Shut(); }

}  // namespace overlayd::binding
