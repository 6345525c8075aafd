#include "native/core/aead.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <array>
#include <cstring>
#include <memory>

#include "native/test/packets.h"

namespace overlayd::core {
namespace {

using test::Bytes;
using test::FromHex;

constexpr Suite kSuites[] = {Suite::kChaCha20Poly1305, Suite::kAes256Gcm, Suite::kXSalsa20Poly1305};

/// Both providers of a suite where the machine has both, each once.
std::vector<const Aead*> Providers(Suite suite) {
  std::vector<const Aead*> out;
  for (const auto choice : {ProviderChoice::kLibsodiumOnly, ProviderChoice::kFastest}) {
    const Aead* aead = FindAead(suite, choice);
    if (aead != nullptr && (out.empty() || out[0] != aead)) out.push_back(aead);
  }
  return out;
}

struct Sealed {
  Bytes header;
  uint64_t counter;
  Bytes cipher;
};

Bytes HeaderOf(uint8_t phase, uint32_t index, uint64_t counter) {
  Bytes out(kDataHeaderSize);
  WriteDataHeader(out.data(), {phase, index, counter});
  return out;
}

Bytes Seal(const Aead& aead, const Bytes& secret, const Bytes& iv, const Bytes& header,
           uint64_t counter, const Bytes& plain) {
  const auto key = std::make_unique<AeadKey>();
  AeadScratch scratch;
  aead.expand(key.get(), secret.data(), iv.data());
  Bytes out(plain.size() + kTagSize);
  aead.seal(*key, scratch, header.data(), counter, plain.data(), plain.size(), out.data());
  return out;
}

bool Open(const Aead& aead, const Bytes& secret, const Bytes& iv, const Bytes& header,
          uint64_t counter, Bytes& data) {
  const auto key = std::make_unique<AeadKey>();
  AeadScratch scratch;
  aead.expand(key.get(), secret.data(), iv.data());
  const bool is_authentic =
      aead.open(*key, scratch, header.data(), counter, data.data(), data.size() - kTagSize);
  if (is_authentic) data.resize(data.size() - kTagSize);
  return is_authentic;
}

/// The iv that gives `nonce` (12 bytes) for this counter.
Bytes IvFor(Bytes nonce, uint64_t counter) {
  for (int i = 0; i < 8; ++i)
    nonce[4 + static_cast<size_t>(i)] ^= static_cast<uint8_t>(counter >> (8 * i));
  nonce.resize(kAeadIvSize);
  return nonce;
}

// RFC 8439 §2.8.2: its ciphertext and one-time key. The tag is over our 16-byte header instead of
// the vector's 12 bytes, made with Poly1305 from the published one-time key.
TEST(Aead, ChaCha20Poly1305OfRfc8439) {
  const std::string text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it.";
  const Bytes plain(text.begin(), text.end());
  const Bytes key = FromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const Bytes nonce = FromHex("070000004041424344454647");
  const Bytes cipher = FromHex(
      "d31a8d34648e60db7b86afbc53ef7ec2 a4aded51296e08fea9e2b5a736ee62d6"
      "3dbea45e8ca9671282fafb69da92728b 1a71de0a9e060b2905d6a5b67ecd3b36"
      "92ddbd7f2d778b8c9803aee328091b58 fab324e4fad675945585808b4831d7bc"
      "3ff4def08e4b7a9de576d26586cec64b 6116");
  const Bytes one_time_key =
      FromHex("7bac2b252db447af09b67a55a4e955840ae1d6731075d9eb2a9375783ed553ff");
  const auto tag_for = [&](const Bytes& aad) {
    Bytes mac = aad;
    mac.resize((mac.size() + 15) / 16 * 16);
    mac.insert(mac.end(), cipher.begin(), cipher.end());
    mac.resize((mac.size() + 15) / 16 * 16);
    for (const uint64_t size : {aad.size(), cipher.size()}) {
      for (int i = 0; i < 8; ++i) mac.push_back(static_cast<uint8_t>(size >> (8 * i)));
    }
    Bytes tag(kTagSize);
    crypto_onetimeauth_poly1305(tag.data(), mac.data(), mac.size(), one_time_key.data());
    return tag;
  };
  ASSERT_EQ(tag_for(FromHex("50515253c0c1c2c3c4c5c6c7")),
            FromHex("1ae10b594f09e26a7e902ecbd0600691"));
  for (const Aead* aead : Providers(Suite::kChaCha20Poly1305)) {
    for (const uint64_t counter : {uint64_t{0}, uint64_t{0x1122334455667788}}) {
      const Bytes header = HeaderOf(3, 0x01020304, counter);
      Bytes expected = cipher;
      const Bytes tag = tag_for(header);
      expected.insert(expected.end(), tag.begin(), tag.end());
      EXPECT_EQ(Seal(*aead, key, IvFor(nonce, counter), header, counter, plain), expected)
          << aead->provider;
    }
  }
}

/// GHASH by the definition (NIST SP 800-38D §6.3, 6.4), bit by bit.
Bytes NaiveGhash(const Bytes& h, const Bytes& blocks) {
  Bytes y(16);
  for (size_t at = 0; at < blocks.size(); at += 16) {
    for (size_t i = 0; i < 16; ++i) y[i] ^= blocks[at + i];
    Bytes z(16);
    Bytes v = h;
    for (int bit = 0; bit < 128; ++bit) {
      if ((y[static_cast<size_t>(bit / 8)] >> (7 - bit % 8) & 1) != 0) {
        for (size_t i = 0; i < 16; ++i) z[i] ^= v[i];
      }
      const bool carries = (v[15] & 1) != 0;
      for (size_t i = 16; i-- > 0;) {
        v[i] = static_cast<uint8_t>(v[i] >> 1 | (i > 0 ? v[i - 1] << 7 : 0));
      }
      if (carries) v[0] ^= 0xe1;
    }
    y = z;
  }
  return y;
}

// McGrew & Viega, "The Galois/Counter Mode of Operation", test case 16 (also in NIST's GCM
// proposal), with its published intermediate values H and E(K, Y0), so that the tag over our header
// can be made by the definition.
TEST(Aead, Aes256GcmTestCase16) {
  const Bytes key = FromHex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const Bytes nonce = FromHex("cafebabefacedbaddecaf888");
  const Bytes plain = FromHex(
      "d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b39");
  const Bytes cipher = FromHex(
      "522dc1f099567d07f47f37a32a84427d 643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838 c5f61e6393ba7a0abcc9f662");
  const Bytes h = FromHex("acbef20579b4b8ebce889bac8732dad7");
  const Bytes first_block = FromHex("fd2caa16a5832e76aa132c1453eeda7e");
  const auto tag_for = [&](const Bytes& aad) {
    Bytes blocks = aad;
    blocks.resize((blocks.size() + 15) / 16 * 16);
    blocks.insert(blocks.end(), cipher.begin(), cipher.end());
    blocks.resize((blocks.size() + 15) / 16 * 16);
    for (const uint64_t size : {aad.size() * 8, cipher.size() * 8}) {
      for (int i = 7; i >= 0; --i) blocks.push_back(static_cast<uint8_t>(size >> (8 * i)));
    }
    Bytes tag = NaiveGhash(h, blocks);
    for (size_t i = 0; i < 16; ++i) tag[i] ^= first_block[i];
    return tag;
  };
  ASSERT_EQ(tag_for(FromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2")),
            FromHex("76fc6ece0f4e1768cddf8853bb2d551b"));
  for (const Aead* aead : Providers(Suite::kAes256Gcm)) {
    for (const uint64_t counter : {uint64_t{0}, uint64_t{0x1122334455667788}}) {
      const Bytes header = HeaderOf(7, 0xfffefdfc, counter);
      Bytes expected = cipher;
      const Bytes tag = tag_for(header);
      expected.insert(expected.end(), tag.begin(), tag.end());
      EXPECT_EQ(Seal(*aead, key, IvFor(nonce, counter), header, counter, plain), expected)
          << aead->provider;
    }
  }
}

// NaCl, tests/secretbox.c. Our nonce is iv XOR (header, zeros).
TEST(Aead, XSalsa20Poly1305OfNacl) {
  const Bytes key = FromHex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389");
  Bytes iv = FromHex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37");
  const Bytes plain = FromHex(
      "be075fc53c81f2d5cf141316ebeb0c7b 5228c52a4c62cbd44b66849b64244ffc"
      "e5ecbaaf33bd751a1ac728d45e6c6129 6cdc3c01233561f41db66cce314adb31"
      "0e3be8250c46f06dceea3a7fa1348057 e2f6556ad6b1318a024a838f21af1fde"
      "048977eb48f59ffd4924ca1c60902e52 f0a089bc76897040e082f93776384864"
      "5e0705");
  const Bytes expected = FromHex(
      "8e993b9f48681273c29650ba32fc76ce 48332ea7164d96a4476fb8c531a1186a"
      "c0dfc17c98dce87b4da7f011ec48c972 71d2c20f9b928fe2270d6fb863d51738"
      "b48eeee314a7cc8ab932164548e526ae 90224368517acfeabd6bb3732bc0e9da"
      "99832b61ca01b6de56244a9e88d5f9b3 7973f622a43d14a6599b1f654cb45a74"
      "e355a5"
      "f3ffc7703f9400e52a7dfb4b3d3305d9");
  const Bytes header = HeaderOf(1, 99, 12345);
  for (size_t i = 0; i < header.size(); ++i) iv[i] ^= header[i];
  for (const Aead* aead : Providers(Suite::kXSalsa20Poly1305)) {
    EXPECT_EQ(Seal(*aead, key, iv, header, 12345, plain), expected);
  }
}

TEST(Aead, ProvidersOfASuiteUnderstandEachOtherAtEverySize) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (const Suite suite : kSuites) {
    const std::vector<const Aead*> providers = Providers(suite);
    for (size_t size = 0; size <= 1600; ++size) {
      const Bytes secret = test::RandomBytes(rng, kAeadKeySize);
      const Bytes iv = test::RandomBytes(rng, kAeadIvSize);
      const uint64_t counter = rng();
      const Bytes header =
          HeaderOf(static_cast<uint8_t>(rng()), static_cast<uint32_t>(rng()), counter);
      const Bytes plain = test::RandomBytes(rng, size);
      const Bytes first = Seal(*providers[0], secret, iv, header, counter, plain);
      for (const Aead* sealing : providers) {
        const Bytes sealed = Seal(*sealing, secret, iv, header, counter, plain);
        ASSERT_EQ(sealed, first) << sealing->provider << " " << size;
        for (const Aead* opening : providers) {
          Bytes data = sealed;
          ASSERT_TRUE(Open(*opening, secret, iv, header, counter, data)) << size;
          ASSERT_EQ(data, plain);
        }
      }
    }
  }
}

TEST(Aead, LargeDatagramsToo) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (const Suite suite : kSuites) {
    const std::vector<const Aead*> providers = Providers(suite);
    const Bytes secret = test::RandomBytes(rng, kAeadKeySize);
    const Bytes iv = test::RandomBytes(rng, kAeadIvSize);
    const Bytes header = HeaderOf(0, 1, 2);
    const Bytes plain = test::RandomBytes(rng, 65475);
    Bytes data = Seal(*providers.front(), secret, iv, header, 2, plain);
    ASSERT_EQ(data, Seal(*providers.back(), secret, iv, header, 2, plain));
    ASSERT_TRUE(Open(*providers.back(), secret, iv, header, 2, data));
    EXPECT_EQ(data, plain);
  }
}

TEST(Aead, SealsInPlace) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (const Suite suite : kSuites) {
    for (const Aead* aead : Providers(suite)) {
      const Bytes secret = test::RandomBytes(rng, kAeadKeySize);
      const Bytes iv = test::RandomBytes(rng, kAeadIvSize);
      const Bytes header = HeaderOf(0, 1, 2);
      const Bytes plain = test::RandomBytes(rng, 777);
      const auto key = std::make_unique<AeadKey>();
      AeadScratch scratch;
      aead->expand(key.get(), secret.data(), iv.data());
      Bytes data = plain;
      data.resize(data.size() + kTagSize);
      aead->seal(*key, scratch, header.data(), 2, data.data(), plain.size(), data.data());
      EXPECT_EQ(data, Seal(*aead, secret, iv, header, 2, plain)) << aead->provider;
    }
  }
}

TEST(Aead, EveryFlippedBitIsForged) {
  std::mt19937_64 rng(test::TestSeed());
  OVERLAYD_TRACE_SEED();
  for (const Suite suite : kSuites) {
    for (const Aead* aead : Providers(suite)) {
      const Bytes secret = test::RandomBytes(rng, kAeadKeySize);
      const Bytes iv = test::RandomBytes(rng, kAeadIvSize);
      const uint64_t counter = 0x0102030405060708;
      const Bytes header = HeaderOf(5, 77, counter);
      const Bytes sealed = Seal(*aead, secret, iv, header, counter, test::RandomBytes(rng, 37));
      for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
        Bytes data = sealed;
        data[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
        EXPECT_FALSE(Open(*aead, secret, iv, header, counter, data)) << aead->provider << bit;
      }
      for (size_t bit = 0; bit < kDataHeaderSize * 8; ++bit) {
        Bytes bad = header;
        bad[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
        Bytes data = sealed;
        EXPECT_FALSE(Open(*aead, secret, iv, bad, LoadLe64(bad.data() + 8), data))
            << aead->provider << " header bit " << bit;
      }
      Bytes other = secret;
      other[31] ^= 1;
      Bytes data = sealed;
      EXPECT_FALSE(Open(*aead, other, iv, header, counter, data));
    }
  }
}

TEST(Aead, FindsOnlyWhatIsAskedFor) {
  for (const Suite suite : kSuites) {
    for (const Aead* aead : Providers(suite)) EXPECT_EQ(aead->suite, suite);
    const Aead* portable = FindAead(suite, ProviderChoice::kLibsodiumOnly);
    if (portable != nullptr) {
      EXPECT_STREQ(portable->provider, "libsodium");
    }
  }
  EXPECT_EQ(FindAead(static_cast<Suite>(3), ProviderChoice::kFastest), nullptr);
  EXPECT_EQ(FindAead(static_cast<Suite>(7), ProviderChoice::kLibsodiumOnly), nullptr);
}

}  // namespace
}  // namespace overlayd::core
