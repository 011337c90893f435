# Builds debian:trixie-slim without a registry: sourced by images.
# shellcheck shell=bash

base=docker.io/library/debian:trixie-slim

# make_base: builds the image under its usual name, so that the shipped Dockerfiles build unchanged.
make_base() {
  local folder=$store/base
  ! buildah inspect --type image "$base" >/dev/null 2>&1 || return 0
  packages debootstrap debian-archive-keyring
  say "making $base with debootstrap"
  rm -rf "$folder"
  debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg trixie "$folder" \
    >"$store/debootstrap.log" 2>&1 || die "debootstrap failed: $(tail -n 3 "$store/debootstrap.log")"
  slim "$folder"
  local container
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$folder" / >/dev/null
  buildah config --cmd bash "$container"
  buildah commit --quiet --rm "$container" "$base" >/dev/null
  rm -rf "$folder"
}

# As in the published image: no manuals and no translations, also of packages that are installed later.
slim() {
  cat >"$1/etc/dpkg/dpkg.cfg.d/docker" <<'EOF'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
EOF
  rm -rf "$1"/usr/share/{groff,info,locale,man}/* "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin \
    "$1"/var/cache/apt/archives/*.deb
  find "$1/usr/share/doc" -type f ! -name copyright -delete
  find "$1/usr/share/doc" -type d -empty -delete
}
