#!/usr/bin/env bash
# Makes this checkout ready: uv, Java 17, Maven, redis-server, OpenMP, a C compiler, the environment, the jars.
# `setup.sh bench` adds the packages that the benchmarks stand beside, `setup.sh test` Chromium.
# Each step is skipped when it is done already, so calling it twice costs a second.
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/.tools
uv_version=0.13.8

say() { printf '%s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
step() { # step NAME COMMAND...: runs it, says how long it took, shows its output only on failure
  local name=$1 begun=$SECONDS log=$tools/setup.log
  shift
  say "  $name …"
  "$@" >"$log" 2>&1 </dev/null || { tail -n 15 "$log" >&2; fail "$name failed; the lines above say why, then type \`make setup\` again."; }
  say "  $name: $((SECONDS - begun)) s"
}

find_python() {
  for candidate in python3.11 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
      command -v "$candidate"
      return
    fi
  done
}

# The same search as infra/stack/prerequisites.py: JAVA_HOME, PATH, then where packages put it.
find_java() {
  local on_path home
  on_path=$(command -v java || true)
  for home in "${JAVA_HOME:-}" "${on_path:+$(dirname "$(dirname "$(readlink -f "$on_path")")")}" \
    /usr/lib/jvm/*17* /opt/homebrew/opt/*17* /usr/local/opt/*17*; do
    if [ -x "$home/bin/java" ] && grep -q '^JAVA_VERSION="17' "$home/release" 2>/dev/null &&
      grep -q 'jdk\.incubator\.vector' "$home/release"; then
      printf '%s\n' "$home"
      return
    fi
  done
}

# LightGBM's wheel expects the system's OpenMP runtime.
has_openmp() {
  local ldconfig
  ldconfig=$(command -v ldconfig || echo /sbin/ldconfig)
  [ ! -x "$ldconfig" ] || "$ldconfig" -p | grep -q 'libgomp\.so\.1'
}

# Serving compiles its kernels where it runs (feature_store/kernels.py); without, it is slower.
has_compiler() { command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null; }

missing_packages() {
  [ -n "$(find_java)" ] || printf 'openjdk-17-jdk-headless '
  command -v mvn >/dev/null || printf 'maven '
  command -v redis-server >/dev/null || printf 'redis-server '
  has_openmp || printf 'libgomp1 '
  has_compiler || printf 'gcc libc6-dev '
}

root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
may_install() { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }

install_packages() {
  # Java's package fails where manual pages were cut away, as on minimal images.
  root mkdir -p /usr/share/man/man1
  root apt-get update
  # Redis' package would start a server of its own on the default port: not wanted, so not done.
  local policy=/usr/sbin/policy-rc.d status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | root tee "$policy" >/dev/null
    root chmod +x "$policy"
    trap 'root rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" || status=$?
  return $status
}

install_uv() {
  "$python" -m venv "$tools/uv"
  "$tools/uv/bin/pip" install --quiet "uv==$uv_version"
}

mkdir -p "$tools"
python=$(find_python)
[ -n "$python" ] || fail 'Python 3.11 was not found: install it (on Debian 12: `apt-get install -y python3 python3-venv`).'

missing=$(missing_packages)
if [ -n "$missing" ]; then
  # shellcheck disable=SC2086
  if may_install; then
    step "installing $missing" install_packages $missing
    [ -z "$(missing_packages)" ] || fail "still missing after the installation: $(missing_packages)"
  elif command -v apt-get >/dev/null; then
    fail "missing: $missing- type \`sudo apt-get update && sudo apt-get install -y $missing\`, then \`make setup\`."
  elif command -v brew >/dev/null; then
    fail "missing: $missing- type \`brew install openjdk@17 maven redis libomp\`, then \`make setup\`."
  else
    fail "missing: $missing- install a full Java 17, Maven, redis-server, the OpenMP runtime and a C compiler, then \`make setup\`."
  fi
fi
# The storefront's tests want a browser; without one they are skipped, except by CI, where they fail.
has_browser() { command -v chromium >/dev/null || command -v google-chrome >/dev/null; }
if [ "${1:-}" = test ] && ! has_browser; then
  say '  installing chromium …'
  ! may_install || (install_packages chromium) >"$tools/setup.log" 2>&1 </dev/null || true
  has_browser || say '  no Chromium: the storefront is not tested; `sudo apt-get install -y chromium` adds it.'
fi
JAVA_HOME=$(find_java)
export JAVA_HOME

uv=$(uv --version >/dev/null 2>&1 && command -v uv || true)
if [ -z "$uv" ]; then
  uv=$tools/uv/bin/uv
  [ -x "$uv" ] || step "bootstrapping uv $uv_version" install_uv
fi

synced() { # synced NAME STAMP OPTIONS...: brings the environment to the lock, once for each lock
  local name=$1 stamp=.venv/$2 lock
  shift 2
  lock=$(cat pyproject.toml uv.lock | cksum)
  if [ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$lock" ]; then
    step "installing $name" "$uv" sync --locked --all-extras "$@"
    printf '%s\n' "$lock" >"$stamp"
  fi
}

synced 'the Python environment' .millrace-synced --python "$python"
[ "${1:-}" != bench ] || synced 'what the benchmarks stand beside' .millrace-bench-synced --group bench

.venv/bin/python -m infra.stack.jars
say "ready: \`make demo\` shows it all, \`.venv/bin/millrace --help\` lists what there is."
