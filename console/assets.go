package console

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// readAssets returns the assets by their names in the source.
func readAssets() (map[string]asset, error) {
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		return nil, err
	}
	all := map[string]asset{}
	for _, e := range entries {
		content, err := files.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, err
		}
		hash := sha256.Sum256(content)
		kind := path.Ext(e.Name())
		all[e.Name()] = asset{strings.TrimSuffix(e.Name(), kind) + "." + hex.EncodeToString(hash[:6]) + kind, content}
	}
	return all, nil
}

// assetTypes are fixed: a machine's own table must not decide what a script is.
var assetTypes = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".svg": "image/svg+xml"}

func (c *Console) serveAsset(w http.ResponseWriter, r *http.Request) {
	for _, a := range c.assets {
		if a.name == r.PathValue("file") {
			w.Header().Set("Content-Type", assetTypes[path.Ext(a.name)])
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			_, _ = w.Write(a.content) // a reader who has gone needs no answer
			return
		}
	}
	http.NotFound(w, r)
}
