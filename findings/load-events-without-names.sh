#!/bin/sh
# docker.io 20.10.24 and podman 4.3.1 (Debian 12): no event says that a load moved a name.
#
# Behaviour: an archive that moves app:prod to another image is loaded. docker emits one event, `load`,
# whose name is the id of the image: neither the name that moved nor the image that had it. Its `untag`
# has the id for a name as well. podman emits `loadfromarchive` with the path of the archive, and neither
# id nor name. Both emit `tag` with the name for a tag. So the events cannot tell what a
# name pointed at, although each is documented as a record of what happens to images.
# Output seen: docker: load without app:prod, untag without app:old; podman: load without app:prod or id
# Fails when an event of a load or untag has the name. Needs root, apt-get with the sources of Debian 12,
# python3, and the shared libraries of podman (libsubid4, libgpgme11, libdevmapper1.02.1).
set -eu
work=$(mktemp -d)
daemon=
finish() {
  if [ -n "$daemon" ]; then kill "$daemon" && wait "$daemon" || true; fi
  rm -rf "$work"
}
trap finish EXIT
cd "$work"
apt-get download -qq docker.io=20.10.24+dfsg1-1+deb12u1+b6 containerd=1.6.20~ds1-1+deb12u3 \
  runc=1.1.5+ds1-1+deb12u1 podman=4.3.1+ds1-8+deb12u1+b3 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
export PATH="$work/root/usr/sbin:$work/root/usr/bin:$PATH" HOME="$work"

cat >make.py <<'PY'
import hashlib, io, json, tarfile

def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as archive:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()

for number in ('one', 'two'):
    layer = tar([('file', number.encode())])
    config = json.dumps({
        'architecture': 'amd64', 'os': 'linux', 'config': {}, 'history': [{'created_by': number}],
        'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(layer).hexdigest()]},
    }).encode()
    manifest = [{'Config': 'config.json', 'RepoTags': ['app:prod'], 'Layers': ['layer.tar']}]
    with open(number + '.tar', 'wb') as file:
        file.write(tar([('config.json', config), ('layer.tar', layer), ('manifest.json', json.dumps(manifest).encode())]))
PY
python3 make.py

export DOCKER_HOST="unix://$work/docker.sock"
dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs --data-root "$work/data" \
  --exec-root "$work/exec" --pidfile "$work/docker.pid" --host "$DOCKER_HOST" >dockerd.log 2>&1 &
daemon=$!
tries=0
until docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 60 ]; then cat dockerd.log; exit 1; fi
  sleep 1
done
since=$(date +%s)
docker load --quiet --input one.tar >/dev/null
docker load --quiet --input two.tar >/dev/null
docker tag app:prod app:old
docker rmi app:old >/dev/null
sleep 1
docker events --since "$since" --until "$(date +%s)" --format '{{.Action}} {{.Actor.Attributes.name}}' >docker.txt
cat docker.txt
[ "$(grep -c '^load sha256:' docker.txt)" -eq 2 ]
grep -q '^tag app:old$' docker.txt
grep -q '^untag sha256:' docker.txt
! grep -E '^(load|untag) app' docker.txt

mkdir -p .config/containers
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >.config/containers/policy.json
printf '[engine]\nevents_logger="file"\n' >containers.conf
export CONTAINERS_CONF="$work/containers.conf"
podman() { command podman --root "$work/p" --runroot "$work/run" --tmpdir "$work/tmp" --storage-driver vfs "$@"; }
podman load --quiet --input one.tar >/dev/null
podman load --quiet --input two.tar >/dev/null
podman tag app:prod app:old
podman events --stream=false --since 10m --format '{{.Status}} {{.Name}} {{.ID}}' >podman.txt
cat podman.txt
[ "$(grep -c '^loadfromarchive .*\.tar *$' podman.txt)" -eq 2 ]
grep -q '^tag app:old ' podman.txt
! grep 'prod' podman.txt
echo 'docker: load without app:prod, untag without app:old; podman: load without app:prod or id'
