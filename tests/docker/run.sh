#!/usr/bin/env bash
# Makes the image for the tests that run in a container, and runs them.
#
#   run.sh image   only makes the image
#   run.sh test    makes it and runs the tests
#
# The module is built in the image from source where a registry has the images for it, and by this
# machine's cargo where not; SESSION_STORE_DOCKER_BUILD=source or =host decides it. Where no
# registry has debian:bookworm, a base image is made with debootstrap, once.
#
# Without an engine that answers: fails if CI is true, is skipped with a word otherwise.
set -euo pipefail
cd "$(dirname "$0")/../.."

release=bookworm
image=${SESSION_STORE_DOCKER_IMAGE:-session_store-test:latest}
made_base=session_store-base:$release
runtime_packages=apache2-bin,ca-certificates
context=target/docker/context

say() { printf 'docker: %s\n' "$*"; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

engine_answers() {
    command -v docker >/dev/null && timeout 20 docker version >/dev/null 2>&1
}

# have IMAGE: it is here, or a registry has it.
have() {
    docker image inspect "$1" >/dev/null 2>&1 || timeout 300 docker pull --quiet "$1" 2>/dev/null
}

# The mirror this machine itself uses, if it is one of this Debian release.
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' \
        2>/dev/null | awk -v release=$release '$2 == release && $3 == "main" { print $1; exit }'
}

make_base() {
    local from
    command -v debootstrap >/dev/null || tests/deps.sh docker
    from=$(mirror)
    [ -n "$from" ] || { say "apt knows no source of $release to make a base image from"; exit 1; }
    root=$(mktemp -d)
    trap 'as_root rm -rf "$root" "$root.log"' EXIT
    say "no registry has debian:$release: making $made_base with debootstrap (about a minute)"
    as_root debootstrap --variant=minbase --include=$runtime_packages $release "$root" "$from" \
        >"$root.log" 2>&1 || { tail -n 30 "$root.log" >&2; exit 1; }
    as_root tar -C "$root" --exclude='./var/cache/apt/archives/*.deb' \
        --exclude='./var/lib/apt/lists/*' --numeric-owner -c . | docker import - $made_base >/dev/null
}

find_base() {
    base=debian:$release
    have $base >/dev/null && return
    base=$made_base
    docker image inspect $made_base >/dev/null 2>&1 || make_base
}

# The image the module is built in; the base itself if that is done outside.
find_builder() {
    case ${SESSION_STORE_DOCKER_BUILD:-} in
        source) builder=${SESSION_STORE_DOCKER_BUILDER:-rust:1-$release} ;;
        host) builder=$base ;;
        '')
            builder=rust:1-$release
            have $builder >/dev/null || builder=$base
            ;;
        *)
            say 'SESSION_STORE_DOCKER_BUILD is source or host' >&2
            exit 2
            ;;
    esac
}

# The module as this machine builds it.
host_module() {
    local here
    here=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
    [ "$here" = $release ] \
        || say "this machine is $here: what it builds may not load on $release" >&2
    if [ -z "${SESSION_STORE_MODULE:-}" ]; then
        cargo build --release --locked || return
        SESSION_STORE_MODULE=target/release/libmod_session_store.so
    fi
    mkdir -p $context/prebuilt && cp "$SESSION_STORE_MODULE" $context/prebuilt/libmod_session_store.so
}

# Engines without buildx have only the classic builder; the Dockerfile suits both.
build_image() {
    local buildkit=0
    ! docker buildx version >/dev/null 2>&1 || buildkit=1
    rm -rf $context
    mkdir -p $context
    if [ "$builder" = "$base" ]; then
        say "image $image on $base, with the module this machine builds"
        host_module || return
    else
        say "image $image on $base, with the module built in $builder"
        tar -c --exclude=./target --exclude=./.git . | tar -x -C $context || return
    fi
    DOCKER_BUILDKIT=$buildkit docker build --quiet --force-rm --tag "$image" \
        --file tests/docker/Dockerfile --build-arg BASE="$base" --build-arg BUILDER="$builder" $context >/dev/null
}

make_image() {
    find_base
    find_builder
    if ! build_image; then
        # In the container crates may be out of reach that this machine has already.
        [ "$builder" != "$base" ] && [ -z "${SESSION_STORE_DOCKER_BUILD:-}" ] || exit 1
        say 'that build failed; trying with the module this machine builds'
        builder=$base
        build_image || exit 1
    fi
    # What the new image replaces; a stage that built from source is kept, for its packages.
    docker image prune --force --filter label=session_store=test >/dev/null
    [ "$builder" != "$base" ] \
        || docker image prune --force --filter label=session_store=build >/dev/null
}

if ! engine_answers; then
    if [ "${CI:-}" = true ]; then
        say 'no engine answers, and CI requires the tests in a container' >&2
        exit 1
    fi
    say 'SKIPPED: no engine answers, so the tests in a container did not run'
    exit 0
fi

case ${1:-} in
    image) make_image ;;
    test)
        make_image
        say "tests in containers of $image"
        SESSION_STORE_DOCKER_IMAGE=$image cargo test --test main -- --ignored ::container
        ;;
    *) say 'usage: run.sh image|test' >&2; exit 2 ;;
esac
