#!/bin/sh
# docker 20.10.24 on podman 4.3.1 (Debian 12): images and inspect show different images for a name.
#
# Behaviour: over Docker's API podman takes a short name as docker.io/library, so that `docker
# import … app:prod` makes what `docker images` lists as app:prod. `docker load` of an archive that
# docker saved, whose name is app:prod, makes localhost/app:prod, and leaves app:prod where it was.
# From then on `docker images` shows app:prod with the imported id, and `docker inspect app:prod`
# gives the loaded image. dockerd moves app:prod.
# Output seen: Loaded image: localhost/app:prod; app:prod is imported in images, loaded in inspect
# Fails when both show the same image. Needs root, apt-get with the sources of Debian 12, python3,
# and the shared libraries of podman (libsubid4, libgpgme11, libdevmapper1.02.1).
set -eu
work=$(mktemp -d)
service=
finish() {
  if [ -n "$service" ]; then kill "$service" && wait "$service" || true; fi
  rm -rf "$work"
}
trap finish EXIT
cd "$work"
apt-get download -qq docker.io=20.10.24+dfsg1-1+deb12u1+b6 podman=4.3.1+ds1-8+deb12u1+b3 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
export PATH="$work/root/usr/bin:$PATH" HOME="$work" DOCKER_HOST="unix://$work/podman.sock"
mkdir -p .config/containers
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >.config/containers/policy.json
podman --root "$work/p" --runroot "$work/run" --tmpdir "$work/tmp" --storage-driver vfs \
  system service --time 0 "unix://$work/podman.sock" >podman.log 2>&1 &
service=$!
tries=0
until docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 60 ]; then cat podman.log; exit 1; fi
  sleep 1
done

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

layer = tar([('file', b'loaded')])
config = json.dumps({
    'architecture': 'amd64', 'os': 'linux', 'config': {}, 'history': [{'created_by': 'loaded'}],
    'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(layer).hexdigest()]},
}).encode()
manifest = [{'Config': 'config.json', 'RepoTags': ['app:prod'], 'Layers': ['layer.tar']}]
with open('loaded.tar', 'wb') as file:
    file.write(tar([('config.json', config), ('layer.tar', layer), ('manifest.json', json.dumps(manifest).encode())]))
with open('files.tar', 'wb') as file:
    file.write(tar([('file', b'imported')]))
print('sha256:' + hashlib.sha256(config).hexdigest())
PY
loaded=$(python3 make.py)
docker import files.tar app:prod >/dev/null
docker load --input loaded.tar >load.txt
cat load.txt && echo
grep -q 'localhost/app:prod' load.txt
docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' >images.txt
grep -q "^app:prod sha256:" images.txt
! grep -q "^app:prod $loaded" images.txt
[ "$(docker inspect --format '{{.Id}}' app:prod)" = "$loaded" ]
echo 'app:prod is imported in images, loaded in inspect'
