{
  "variables": {
    "has_ipsec_mb%": "<!(test \"${OVERLAYD_NO_IPSEC_MB:-0}\" != 1 && test -f /usr/include/intel-ipsec-mb.h && test \"$(uname -m)\" = x86_64 && echo 1 || echo 0)"
  },
  "target_defaults": {
    "include_dirs": ["."],
    "cflags_cc": ["-std=c++20", "-O2", "-Wall", "-Wextra", "-fno-strict-aliasing", "-fstack-protector-strong"],
    "cflags_cc!": ["-fno-exceptions", "-O3", "-std=gnu++17"]
  },
  "targets": [
    {
      # The only source that asks for libipsec-mb: with and without it, everything else is compiled by the same commands.
      "target_name": "aead",
      "type": "static_library",
      "sources": ["native/core/aead.cc"],
      "conditions": [
        ["has_ipsec_mb==0", { "defines": ["OVERLAYD_NO_IPSEC_MB"] }]
      ]
    },
    {
      "target_name": "overlayd",
      "dependencies": ["aead"],
      "sources": [
        "<!@(find native/core native/io native/os native/engine native/binding -name '*.cc' ! -path native/core/aead.cc)"
      ],
      "include_dirs": ["node_modules/node-addon-api"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "libraries": ["-lsodium"],
      "ldflags": ["-Wl,-z,relro,-z,now"],
      "conditions": [
        ["has_ipsec_mb==1", { "libraries": ["-lIPSec_MB"] }]
      ]
    }
  ]
}
