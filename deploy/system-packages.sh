#!/bin/sh
# Debian packages by purpose: `setup` (to create the virtual environment), `test` (real mail programs and servers that
# the tests drive), `bench` (the peers our figures stand beside). As root on Debian it installs what is missing;
# otherwise it says what is missing. Without them nothing can be set up or compared, and it ends with 1; tests only skip
# what needs them, with that reason.
set -eu
case "${1:-}" in
  setup) wanted="python3-venv" ;;
  test) wanted="swaks libnet-ssleay-perl curl socat dovecot-imapd clamav-daemon thunderbird xvfb xdotool libnss3-tools isync offlineimap3 neomutt msmtp fetchmail interimap libmail-imapclient-perl libio-socket-ssl-perl libauthen-sasl-perl postfix postgresql ldap-utils strace openssl iproute2 faketime testssl.sh libgnutls-dane0 poppler-utils e2fsprogs default-jdk-headless libmail-java libpdfbox2-java libjaxb-api-java libcommons-io-java chromium chromium-driver zbar-tools prometheus" ;;
  bench) wanted="postfix dovecot-imapd dovecot-lmtpd libmilter-dev libssl-dev gcc libc6-dev python3-dev openssl slapd ldap-utils" ;;
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
  echo "installing, which may take minutes:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # A machine that has just started often holds apt's lock for its own updates: they are waited for.
  # Of what apt complains about only the end is shown: without network it names each of the hundreds of files.
  # shellcheck disable=SC2086
  said=$(apt-get update -qq 2>&1 >/dev/null &&
    apt-get install -y -qq -o DPkg::Lock::Timeout=600 --no-install-recommends $missing 2>&1 >/dev/null) && exit 0
  echo "$said" | tail -n 3 >&2
  echo "these packages could not be installed:$missing" >&2
else
  echo "missing packages:$missing" >&2
  echo "install them with: sudo apt-get install$missing" >&2
fi
[ "$1" = test ] || exit 1
echo "the tests that need them will be skipped, each with that reason" >&2
