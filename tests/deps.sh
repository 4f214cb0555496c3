#!/usr/bin/env bash
# Installs what this project needs and this machine lacks, by apt-get, and says what and why.
#
#   deps.sh [build] [demo] [test] [bench] [docker]     build if nothing is named
#
# Only httpd's program and modules are installed, not the package that runs it as a service, and what
# comes as a service is neither started nor enabled: nothing listens anywhere afterwards.
set -euo pipefail

missing=()

# need PACKAGE WHY: unless it is installed.
need() {
    local status
    status=$(dpkg-query --show --showformat='${Status}' "$1" 2>/dev/null || true)
    if [ "$status" != 'install ok installed' ]; then
        missing+=("$1")
        printf '  %-18s %s\n' "$1" "$2"
    fi
}

# need_command COMMAND PACKAGE WHY: unless something brings the command already.
need_command() {
    command -v "$1" >/dev/null || need "$2" "$3"
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

need_for() {
    case $1 in
        build)
            need_command cc gcc 'links the library, compiles the C shim'
            need libc6-dev 'headers of the C library'
            need apache2-bin 'httpd and its modules'
            need apache2-dev 'headers of httpd and APR, apxs'
            need libclang-dev 'bindgen reads the headers with it'
            ;;
        demo)
            need libapache2-mod-php 'the page in PHP'
            need_command python3 python3 'the server in Python'
            need_command perl perl-base 'the CGI script'
            ;;
        test)
            need_command memcached memcached 'sessions in an object cache on the network'
            need_command openssl openssl 'makes a certificate for the tests over TLS'
            need_command redis-server redis-server 'the tests start Redis servers of their own'
            need libapache2-mod-php 'real PHP: the example of the README'
            need php-fpm 'PHP behind FastCGI'
            need libapache2-mod-wsgi-py3 'Python by WSGI'
            need libapache2-mod-python 'mod_python: the session class for it'
            need libapache2-mod-perl2 'mod_perl: notes from Perl'
            need_command python3 python3 'an application by CGI and as a server of its own'
            ;;
        bench)
            need_command wrk wrk 'makes the load'
            need_command redis-server redis-server 'the row of sessions in Redis'
            need libaprutil1-dbd-sqlite3 'the row of mod_session_dbd'
            ;;
        docker)
            need_command debootstrap debootstrap 'makes a base image where no registry answers'
            need debian-archive-keyring 'checks what debootstrap fetches'
            ;;
        *)
            echo "deps: $1 is none of build, demo, test, bench, docker" >&2
            exit 2
            ;;
    esac
}

# Packages start their services when they are installed, unless this file says no.
without_services() {
    local policy=/usr/sbin/policy-rc.d status=0
    if [ -e $policy ]; then
        as_root "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    as_root "$@" || status=$?
    as_root rm -f $policy
    return $status
}

if ! command -v apt-get >/dev/null; then
    echo 'deps: no apt-get here, nothing is installed; needed are httpd 2.4 with apxs, libclang, cc' >&2
    exit 0
fi
if ! command -v cargo >/dev/null; then
    echo 'deps: cargo is missing; https://rustup.rs installs it' >&2
    exit 1
fi

[ $# -gt 0 ] || set -- build
for purpose in "$@"; do need_for "$purpose"; done
[ ${#missing[@]} -gt 0 ] || exit 0

echo 'deps: the packages above are missing and are installed now'
apt=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get --yes --quiet=2)
as_root "${apt[@]}" update
without_services "${apt[@]}" install --no-install-recommends "${missing[@]}"
# Nor at the next start of the machine.
case " ${missing[*]} " in *' php-fpm '*)
    for unit in /etc/systemd/system/multi-user.target.wants/php*-fpm.service; do
        [ ! -e "$unit" ] || as_root systemctl --quiet disable "${unit##*/}"
    done
    ;;
esac
