// Verifies a log over HTTP with golang.org/x/mod/sumdb, which shares no line with imagelog: the signature of its
// checkpoint, that it contains the tree of an earlier one, and every entry. Prints what it verified.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

var prefix string

func get(path string) ([]byte, error) {
	response, err := http.Get(prefix + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

// C2SP tlog-tiles has the paths of sumdb without the height, which is always 8.
func pathOf(tile tlog.Tile) string {
	kind := strings.TrimPrefix(tile.Path(), "tile/8/")
	return "tile/" + strings.Replace(kind, "data/", "entries/", 1)
}

type tiles struct{}

func (tiles) Height() int                         { return tileHeight }
func (tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		bytes, err := get(pathOf(tile))
		if err != nil {
			return nil, err
		}
		found[i] = bytes
	}
	return found, nil
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func openTree(text []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(text, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 3 || lines[0] != verifier.Name() {
		log.Fatalf("not a checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)
	tree := tlog.Tree{N: size}
	if copy(tree.Hash[:], root) != tlog.HashSize {
		log.Fatalf("a root of %d bytes", len(root))
	}
	return tree
}

func entriesOf(tile tlog.Tile) [][]byte {
	tile.L = -1
	bytes, err := get(pathOf(tile))
	must(err)
	var entries [][]byte
	for len(bytes) > 0 {
		length := int(binary.BigEndian.Uint16(bytes)) + 2
		entries = append(entries, bytes[2:length])
		bytes = bytes[length:]
	}
	if len(entries) != tile.W {
		log.Fatalf("%s has %d entries", pathOf(tile), len(entries))
	}
	return entries
}

func main() {
	prefix = os.Args[1]
	key, err := get("key")
	must(err)
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	must(err)
	text, err := get("checkpoint")
	must(err)
	tree := openTree(text, verifier)
	reader := tlog.TileHashReader(tree, tiles{})
	entries := 0
	for _, tile := range tlog.NewTiles(tileHeight, 0, tree.N) {
		// Of an edge, NewTiles has the narrower tiles of smaller trees too.
		if tile.L != 0 || (tile.W < 256 && tile.N*256+int64(tile.W) != tree.N) {
			continue
		}
		for i, entry := range entriesOf(tile) {
			id := tile.N*256 + int64(i)
			proof, err := tlog.ProveRecord(tree.N, id, reader)
			must(err)
			must(tlog.CheckRecord(proof, tree.N, tree.Hash, id, tlog.RecordHash(entry)))
			entries++
		}
	}
	earlier := int64(0)
	if len(os.Args) > 2 {
		saved, err := os.ReadFile(os.Args[2])
		must(err)
		old := openTree(saved, verifier)
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		must(err)
		must(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
		earlier = old.N
	}
	fmt.Printf("%d entries, after %d\n", entries, earlier)
}
