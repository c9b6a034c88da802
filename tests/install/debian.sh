# Sourced by tests/install/run: the Debian package, installed into a new Debian that runs systemd.

debian() {
    local deb path
    deb=$(echo "$work"/one/*.deb)
    dpkg-deb -c "$deb" >"$work/contents"
    local has="usr/bin/sampan etc/sampan/sampan.toml system/sampan.service system/sampan-worker.service system/sampan-gateway.service"
    if writes completion; then has="$has bash-completion/completions/sampan zsh/vendor-completions/_sampan sampan.fish"; fi
    if writes man; then has="$has usr/share/man/man1/sampan.1.gz"; fi
    for path in $has; do
        grep -qF "$path" "$work/contents" || fail "the Debian package has $path"
    done
    ok "the Debian package has the program, units, a configuration, and what the program writes of itself"
    if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
        printf 'left out  installing the Debian package: that needs root and debootstrap\n'
        return
    fi
    boot_debian "$work/debian"
    into /sampan.deb <"$deb"
    into /hello.wasm <"$guest"
    cat "$seen_manifest"/*.yaml | into /hello.yaml

    expect "dpkg installs it" inside dpkg -i /sampan.deb
    expect "it has a user of its own" inside getent passwd sampan
    expect "systemd has started the service of this machine" until_so inside systemctl is-active sampan.service
    refuse "and not those that join another" inside systemctl is-enabled sampan-worker.service sampan-gateway.service
    expect "an image is built for it" as_sampan sampan build /hello.wasm -t hello:dev
    expect "it is asked as its user" until_so as_sampan sampan get nodes
    expect "it takes manifests" as_sampan sampan apply -f /hello.yaml
    expect "it serves, with the configuration of the package" until_so inside_curl 8080
    inside journalctl --no-pager -u sampan >"$work/journal"
    refuse "its sandbox has no gap" grep -n "gap\|WARN\|ERROR" "$work/journal"

    # A worker and a gateway beside it, over the network, with ports that only root has without the capability.
    expect "it lets others join" as_sampan sampan token create --uses 2 --out /var/lib/sampan/token
    configure 's|^# sessions = .*|sessions = "127.0.0.1:7444"|' 's|^# join = .*|join = "127.0.0.1:7444"|' \
        's|^# token-file = "\([^"]*\)".*|token-file = "/etc/sampan/token"|' 's|^# listen = .*|listen = "127.0.0.1:7500"|' \
        's|^# http = .*|http = "127.0.0.1:80"|'
    expect "its token is where the configuration says" inside sh -c \
        'install -o sampan -m 600 /var/lib/sampan/token /etc/sampan/token && systemctl restart sampan'
    expect "a worker and a gateway start" inside systemctl start sampan-worker sampan-gateway
    expect "the gateway serves at a port below 1024" until_so inside_curl 80
    expect "and the worker is a node" until_so as_sampan sh -c 'test "$(sampan get nodes | grep -c " Ready ")" = 2'

    configure 's/^workers = .*/wrokers = 1/'
    inside systemctl restart sampan || true
    expect "an unknown key of the configuration is refused" until_so inside systemctl is-failed sampan
    inside journalctl --no-pager -u sampan >"$work/journal"
    expect "with its line" grep -q '/etc/sampan/sampan.toml:[0-9]*: unknown key `wrokers`: did you mean `workers`?' "$work/journal"
    expect "the package is removed" inside dpkg -r sampan
    expect "which leaves data and configuration" inside test -d /var/lib/sampan -a -f /etc/sampan/sampan.toml
    expect "and purged" inside dpkg -P sampan
    refuse "which takes them" inside sh -c 'test -e /var/lib/sampan || test -e /var/lib/sampan-worker || test -e /etc/sampan/sampan.toml'
    end_debian
}

# What its services said, when something there fails.
told_by_debian() {
    if [ -n "${debian:-}" ]; then inside journalctl --no-pager -o cat -u 'sampan*' | tail -60 >&2 || true; fi
}

# unshare passes no other signal on, and its end is that of all in there.
end_debian() { if [ -n "${debian:-}" ]; then kill -9 "$debian"; wait "$debian" 2>/dev/null || true; debian=; fi; }

inside() { nsenter -t "$init" -m -p -u -i -n chroot "$work/debian" "$@"; }
into() { inside sh -c "cat >$1"; }
as_sampan() {
    inside setpriv --reuid sampan --regid sampan --clear-groups \
        env HOME=/var/lib/sampan SAMPAN_DATA_DIR=/var/lib/sampan "$@"
}
inside_curl() { nsenter -t "$init" -n curl -sf -m 5 -H 'Host: hello.default.localhost' "http://127.0.0.1:$1/"; }
configure() { local one; for one in "$@"; do inside sed -i "$one" /etc/sampan/sampan.toml; done; }

# Boots a Debian in namespaces of its own, and its network too. What debootstrap makes is kept, and written to above it.
boot_debian() {
    local kept=${SAMPAN_BUILD_CACHE:-$PWD/target/build-cache}/debian suite=bookworm
    if ! [ -e "$kept/complete" ]; then
        rm -rf "$kept"
        mkdir -p "$kept"
        printf 'making a Debian (%s) with debootstrap: a minute or two\n' "$suite"
        debootstrap --variant=minbase --include=systemd,systemd-sysv,adduser,ca-certificates "$suite" "$kept/root" \
            >"$kept/log" 2>&1 || { tail -20 "$kept/log" >&2; fail "debootstrap makes a Debian"; }
        touch "$kept/complete"
    fi
    unshare --mount --pid --uts --ipc --net --fork --kill-child tests/install/boot "$kept/root" "$1" >"$work/boot" 2>&1 &
    debian=$!
    init() { init=$(pgrep -P "$debian") && [ "$(cat "/proc/$init/comm")" = systemd ]; }
    until_so init || { cat "$work/boot" >&2; fail "a Debian boots"; }
    init
    until_so inside systemctl is-system-running --wait || inside systemctl --failed --no-pager || true
    ok "a new Debian runs systemd"
}
