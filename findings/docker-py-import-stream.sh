#!/bin/sh
# python3-docker 5.0.3, docker.io 20.10.24 (Debian 12): import_image_from_stream takes no open file.
#
# Behaviour: the method sets `Transfer-Encoding: chunked` itself. For an iterator requests sends
# chunks; for an open file, whose size it knows, it sends the bytes as they are, under the same
# header. dockerd reads the first line of the tar as the size of a chunk and answers 500. A file
# opened for reading, which is what the name asks for, never works; a generator over it does. (7.1.0
# with dockerd 26.1.5: the same.)
# Output seen: iterator: sha256 id; open file: 500 invalid byte in chunk length
# Fails when the open file is imported. Needs root, apt-get with the sources of Debian 12, and
# python3.
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
  runc=1.1.5+ds1-1+deb12u1 python3-docker=5.0.3-1 python3-requests python3-urllib3 python3-websocket \
  python3-six python3-idna python3-certifi python3-chardet python3-charset-normalizer 2>/dev/null
for package in ./*.deb; do dpkg -x "$package" root; done
export PATH="$work/root/usr/sbin:$work/root/usr/bin:$PATH" HOME="$work"
export PYTHONPATH="$work/root/usr/lib/python3/dist-packages"

dockerd --iptables=false --ip6tables=false --bridge=none --storage-driver=vfs --data-root "$work/data" \
  --exec-root "$work/exec" --pidfile "$work/docker.pid" --host "unix://$work/docker.sock" >dockerd.log 2>&1 &
daemon=$!
tries=0
until docker --host "unix://$work/docker.sock" version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 60 ]; then cat dockerd.log; exit 1; fi
  sleep 1
done
echo hello >hello
tar cf files.tar hello
cat >import.py <<'PY'
import docker, json, os

client = docker.APIClient(f'unix://{os.getcwd()}/docker.sock')
with open('files.tar', 'rb') as file:
    answer = client.import_image_from_stream(iter([file.read()]), repository='chunks')
status = json.loads(answer)['status']
assert status.startswith('sha256:'), answer
try:
    with open('files.tar', 'rb') as file:
        client.import_image_from_stream(file, repository='file')
    raise SystemExit('an open file was imported')
except docker.errors.APIError as error:
    assert error.response.status_code == 500, error
    print('iterator: sha256 id; open file: 500', error.explanation)
PY
python3 import.py >out.txt
cat out.txt
grep -q 'invalid byte in chunk length' out.txt
