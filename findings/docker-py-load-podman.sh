#!/bin/sh
# python3-docker 5.0.3 on podman 4.3.1 (Debian 12): a load of two names fails after it was done.
#
# Behaviour: dockerd tells a loaded name a line. Over Docker's API podman tells all of them in one
# line, separated by commas: `Loaded image: localhost/one:1,localhost/two:1`. `images.load` of the
# SDK takes the rest of the line for one name, asks for an image of that name, and raises the
# answer, 500. Both images are there: who repeats the load because it failed gets the same again.
# Output seen: APIError 500; there: localhost/one:1 localhost/two:1
# Fails when the load returns. Needs root, apt-get with the sources of Debian 12, python3, and the
# shared libraries of podman (libsubid4, libgpgme11, libdevmapper1.02.1).
set -eu
work=$(mktemp -d)
service=
finish() {
  if [ -n "$service" ]; then kill "$service" && wait "$service" || true; fi
  rm -rf "$work"
}
trap finish EXIT
cd "$work"
apt-get download -qq podman=4.3.1+ds1-8+deb12u1+b3 python3-docker=5.0.3-1 python3-requests python3-urllib3 \
  python3-websocket python3-six python3-idna python3-certifi python3-chardet python3-charset-normalizer 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
export PATH="$work/root/usr/bin:$PATH" HOME="$work" PYTHONPATH="$work/root/usr/lib/python3/dist-packages"
mkdir -p .config/containers
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >.config/containers/policy.json
podman --root "$work/p" --runroot "$work/run" --tmpdir "$work/tmp" --storage-driver vfs \
  system service --time 0 "unix://$work/podman.sock" >podman.log 2>&1 &
service=$!
tries=0
until [ -S podman.sock ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 60 ]; then cat podman.log; exit 1; fi
  sleep 1
done

cat >load.py <<'PY'
import docker, hashlib, io, json, os, tarfile

def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as archive:
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()

files, manifest = [], []
for name in ('one', 'two'):
    layer = tar([('file', name.encode())])
    config = json.dumps({
        'architecture': 'amd64', 'os': 'linux', 'config': {}, 'history': [{'created_by': name}],
        'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(layer).hexdigest()]},
    }).encode()
    files += [(name + '.json', config), (name + '.tar', layer)]
    manifest.append({'Config': name + '.json', 'RepoTags': [name + ':1'], 'Layers': [name + '.tar']})
archive = tar([*files, ('manifest.json', json.dumps(manifest).encode())])

client = docker.DockerClient(f'unix://{os.getcwd()}/podman.sock')
try:
    client.images.load(archive)
    raise SystemExit('the load returned')
except docker.errors.APIError as error:
    there = sorted(tag for image in client.images.list() for tag in image.tags)
    print('APIError', str(error.response.status_code) + '; there:', *there)
assert there == ['localhost/one:1', 'localhost/two:1'], there
PY
python3 load.py
