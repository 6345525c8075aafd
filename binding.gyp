{
  "variables": {
    "has_ipsec_mb%": "<!(test \"${OVERLAYD_NO_IPSEC_MB:-0}\" != 1 && test -f /usr/include/intel-ipsec-mb.h && test \"$(uname -m)\" = x86_64 && echo 1 || echo 0)"
  },
  "targets": [
    {
      "target_name": "overlayd",
      "sources": [
        "<!@(find native/core native/io native/os native/engine native/binding -name '*.cc')"
      ],
      "include_dirs": [".", "<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags_cc": ["-std=c++20", "-O2", "-Wall", "-Wextra", "-fno-strict-aliasing", "-fstack-protector-strong"],
      "cflags_cc!": ["-fno-exceptions", "-O3", "-std=gnu++17"],
      "libraries": ["-lsodium"],
      "ldflags": ["-Wl,-z,relro,-z,now"],
      "conditions": [
        ["has_ipsec_mb==1", { "libraries": ["-lIPSec_MB"] }, { "defines": ["OVERLAYD_NO_IPSEC_MB"] }]
      ]
    }
  ]
}
