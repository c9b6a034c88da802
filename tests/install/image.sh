# Sourced by tests/install/run: the OCI image, checked, and run as a root file system.

image() {
    local file root=$work/rootfs
    file=$(echo "$work"/one/*.oci.tar)
    if command -v skopeo >/dev/null; then
        expect "skopeo reads the image" skopeo inspect "oci-archive:$file:sampan:$version"
        grep -q '"up"\|sampan' "$work/said" || fail "the image says what it is"
    fi
    mkdir "$root"
    expect "each blob of the image is what its descriptor says" python3 tests/install/unpack.py "$file" "$root"
    [ "$(id -u)" -eq 0 ] || { printf 'left out  running the image: only root may change the root here\n'; return; }
    chown 65532:65532 "$root/var/lib/sampan"
    mkdir "$root/proc" "$root/dev" "$root/guest" && touch "$root/dev/null" "$root/dev/urandom"
    mount -t proc proc "$root/proc" && mounted+=("$root/proc")
    local device
    for device in null urandom; do mount --bind "/dev/$device" "$root/dev/$device" && mounted+=("$root/dev/$device"); done
    cp "$guest" "$root/guest/hello.wasm" && cp -r "$seen_manifest" "$root/guest/deploy"
    local seen_guest=/guest/hello.wasm seen_manifest=/guest/deploy
    # A command and no function, so that what is ended is the program itself.
    local in_image=(env HOME=/var/lib/sampan chroot --userspec=65532:65532 "$root" /usr/bin/sampan)
    serves "the image's program serves, as a user of its own, with what is in the image alone" /var/lib/sampan "${in_image[@]}"
}
