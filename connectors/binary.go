package connectors

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

const (
	maxUnpacked = 4 << 20 // bytes of what is packed that are searched for secrets
	maxPacked   = 200     // files of an archive that are searched
)

// describeBinary returns an answer that is no text as JSON: its media type, its size in
// bytes, and its content in base64 with secrets masked. The content is left out where a
// secret is in what it packs: it can't be masked there. So is the size, which shows
// whether something else in it repeats the secret. It reports whether all is shown.
func describeBinary(got egress.Answer, s scrub.Scrubber) (described map[string]any, whole bool) {
	size := strconv.Itoa(len(got.Body))
	if length := got.Header.Get("Content-Length"); got.Truncated && got.Header.Get("Content-Encoding") == "" && length != "" {
		if n, err := strconv.ParseUint(length, 10, 63); err == nil {
			size = strconv.FormatUint(n, 10)
		}
	}
	described = map[string]any{"media_type": s.Text(got.Media)}
	if packsSecret(got.Body, s) {
		described["left_out"] = "The content is not shown: it packs a secret of this integration."
		return described, false
	}
	described["size"] = json.Number(size)
	content := string(got.Body)
	if got.Truncated {
		content = s.Truncated(content)
	} else {
		content = s.Text(content)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(content))
	if s.Finds(encoded) { // what is base64 of the bytes may be a secret as it is
		described["left_out"] = "The content is not shown: its base64 is a secret of this integration."
		return described, false
	}
	described["base64"] = encoded
	return described, content == string(got.Body)
}

// perceptible returns a picture or a sound, as describeBinary describes it, as the content
// of a tool (MCP 2025-06-18, tool result), so that a model can see or hear it. It returns
// nil for anything else.
func perceptible(described map[string]any) *domain.ToolResult {
	media, _ := described["media_type"].(string)
	data, shown := described["base64"]
	kind, _, _ := strings.Cut(media, "/")
	if kind != "image" && kind != "audio" || !shown {
		return nil
	}
	return &domain.ToolResult{Content: []any{map[string]any{"type": kind, "data": data, "mimeType": media}}}
}

// packsSecret reports whether a secret is in what a gzip or ZIP file packs, as far as
// maxUnpacked.
func packsSecret(body []byte, s scrub.Scrubber) bool {
	left := int64(maxUnpacked)
	finds := func(r io.Reader) bool {
		unpacked, _ := io.ReadAll(io.LimitReader(r, left)) // what is damaged is searched as far as it can be read
		left -= int64(len(unpacked))
		return s.Finds(string(unpacked))
	}
	if r, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
		return finds(r)
	}
	archive, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return false
	}
	for n, file := range archive.File {
		if n >= maxPacked || left <= 0 {
			break
		}
		if s.Finds(file.Name) || s.Finds(file.Comment) {
			return true
		}
		r, err := file.Open()
		if err != nil {
			continue
		}
		found := finds(r)
		_ = r.Close()
		if found {
			return true
		}
	}
	return false
}
