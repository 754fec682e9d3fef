#!/bin/sh
# docker-registry 2.8.2 (Debian 12): an upload cannot be resumed after the break that resuming is for.
#
# Behaviour: a connection breaks in the middle of a PATCH. The registry keeps the bytes that came, and the
# client asks how many they are, by GET of the upload's location, as the OCI distribution spec has it
# ("Pushing a blob in chunks": 204 and Range). The location has a signed copy of the offset before that
# chunk; the file is longer by now, so the registry answers 404 BLOB_UPLOAD_INVALID ("upload resumed at
# wrong offest" in its log). The client knows no other location: the chunks that were acknowledged are out
# of its reach, and it begins at 0. Before the break the same GET answers 204.
# Output seen: before the break 204 0-999; after it 404 None
# Fails when the upload can be continued. Needs apt-get with the sources of Debian 12, and python3.
set -eu
work=$(mktemp -d)
registry=
finish() {
  if [ -n "$registry" ]; then kill "$registry" && wait "$registry" || true; fi
  rm -rf "$work"
}
trap finish EXIT
cd "$work"
apt-get download -qq docker-registry=2.8.2+ds1-1 2>/dev/null
dpkg -x ./*.deb root
port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
cat >config.yml <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $work/data}}
http: {addr: 127.0.0.1:$port}
YAML
root/usr/bin/docker-registry serve config.yml >registry.log 2>&1 &
registry=$!

cat >resume.py <<'PY'
import http.client, socket, sys, time

port = int(sys.argv[1])

def ask(method, path, body=None):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
    connection.request(method, path, body, {'Content-Type': 'application/octet-stream'})
    answer = connection.getresponse()
    answer.read()
    location = (answer.getheader('Location') or '').split(f':{port}')[-1]
    return answer.status, answer.getheader('Range'), location

for attempt in range(100):
    try:
        status, _, location = ask('POST', '/v2/shop/app/blobs/uploads/')
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
status, _, location = ask('PATCH', location, b'x' * 1000)
status, range_before, location = ask('GET', location)
print('before the break', status, range_before)
assert (status, range_before) == (204, '0-999')

head = f'PATCH {location} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/octet-stream\r\n'
broken = socket.create_connection(('127.0.0.1', port))
broken.sendall(f'{head}Content-Length: 1000\r\n\r\n'.encode() + b'y' * 500)
time.sleep(1)
broken.close()
time.sleep(1)
status, range_after, _ = ask('GET', location)
print('after it', status, range_after)
sys.exit(status != 404)
PY
python3 resume.py "$port"
grep -q 'upload resumed at wrong off' registry.log
