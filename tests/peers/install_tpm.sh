#!/usr/bin/env bash
# Installs the TPM emulator and the tools that tests/tests/tpm.rs runs, from Debian's packages. Does nothing where they are.
set -euo pipefail
for tool in swtpm swtpm_setup swtpm_localca swtpm_cert tpm2_quote; do
  if ! command -v "$tool" >/dev/null; then
    apt-get update -qq
    exec apt-get install -y -qq --no-install-recommends swtpm swtpm-tools tpm2-tools libtss2-tcti-swtpm0
  fi
done
