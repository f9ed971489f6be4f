#!/bin/sh
# Installs the Debian packages that are missing: deps.sh build | test. When all are there it touches nothing.
# `test` also brings the node packages named by tests/package-lock.json.
set -eu
cd "$(dirname "$0")/.."

missing() {
    for package; do
        state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || state=absent
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

# A tool may have come from elsewhere than Debian: its package is asked for only when the command is not there.
missing_command() {
    command -v "$1" > /dev/null || missing "$2"
}

# npm fetches what the page is made with; a build without the page (WEB=0) needs none.
wanted_build() {
    missing build-essential pkg-config libmicrohttpd-dev libjansson-dev libsqlite3-dev libseccomp-dev liblz4-dev
    [ "${WEB:-1}" = 0 ] || wanted_npm
}

wanted_npm() {
    missing_command node nodejs
    command -v npm > /dev/null || missing npm ca-certificates
}

wanted_test() {
    missing libcmocka-dev clang libclang-rt-dev
    missing_command clang-tidy clang-tidy
    missing_command cppcheck cppcheck
    missing_command curl curl
    missing_command openssl openssl
    missing_command python3 python3
    missing_command chromium chromium
    wanted_npm
}

install() {
    echo "forkful: installing $*"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
        if ! command -v sudo > /dev/null; then
            echo "forkful: these Debian packages are missing; this is not root and there is no sudo. Please run:" >&2
            echo "    apt-get install $*" >&2
            exit 1
        fi
    fi
    $as_root apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" < /dev/null
}

if ! command -v dpkg-query > /dev/null; then
    echo "forkful: not a Debian system: install gcc, make, pkg-config, libmicrohttpd, gnutls, jansson, sqlite3, libseccomp and lz4 yourself" >&2
    exit 0
fi
packages=$("wanted_$1")
# shellcheck disable=SC2086  # a list of names without spaces
[ -z "$packages" ] || install $packages

if [ "$1" = test ] && [ -f tests/package-lock.json ] &&
    ! cmp -s tests/package-lock.json tests/node_modules/.installed-lock; then
    (cd tests && npm ci --no-audit --no-fund --loglevel=error < /dev/null)
    cp tests/package-lock.json tests/node_modules/.installed-lock
fi
