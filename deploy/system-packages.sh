#!/bin/sh
# Debian packages by purpose: `setup` (to create the virtual environment), `test` (real mail programs and servers that
# the tests drive), `bench` (the peers our figures stand beside). As root on Debian it installs what is missing;
# otherwise it says what is missing, and the tests that need it are skipped with that reason.
set -eu
case "${1:-}" in
  setup) wanted="python3-venv" ;;
  test) wanted="swaks libnet-ssleay-perl curl socat dovecot-imapd clamav-daemon thunderbird xvfb xdotool libnss3-tools isync offlineimap3 neomutt msmtp postfix postgresql strace openssl iproute2 faketime testssl.sh libgnutls-dane0 poppler-utils e2fsprogs default-jre-headless libpdfbox2-java libjaxb-api-java libcommons-io-java" ;;
  bench) wanted="postfix dovecot-imapd dovecot-lmtpd libmilter-dev libssl-dev gcc libc6-dev python3-dev openssl" ;;
  *) echo "usage: system-packages.sh setup|test|bench" >&2; exit 2 ;;
esac
[ "$1" = setup ] && "${PYTHON:-python3}" -c 'import venv, ensurepip' 2>/dev/null && exit 0
command -v dpkg-query >/dev/null 2>&1 || { echo "not a Debian system: install by hand what you want tested: $wanted" >&2; exit 0; }
missing=""
for package in $wanted; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then
  echo "installing:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "missing packages (some tests will be skipped):$missing" >&2
  echo "install them with: sudo apt-get install$missing" >&2
fi
