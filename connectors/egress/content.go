package egress

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
)

// Content is the body of an answer as it can be read.
type Content struct {
	Text   []byte // in UTF-8 without a byte order mark; what is no text, as it came
	Media  string // its media type, in lower case and without parameters
	Binary bool   // it is no text
}

var (
	charsetParameter = regexp.MustCompile(`(?i);\s*charset\s*=\s*["']?([A-Za-z0-9_.:+-]+)`)
	xmlEncoding      = regexp.MustCompile(`^\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9_.:-]+)["']`)
)

// byteOrderMarks begin a text that is in such a charset, whatever its header has.
var byteOrderMarks = []struct{ mark, charset string }{
	{"\xEF\xBB\xBF", "utf-8"}, {"\xFE\xFF", "utf-16be"}, {"\xFF\xFE", "utf-16le"},
}

// read returns the content of a body: text is decoded by its byte order mark, the
// charset of its Content-Type or what it declares itself, and in their absence as UTF-8,
// or as Windows-1252 where it can't be UTF-8. JSON is text whatever the type. A text that
// decoding would hide from hides stays as it came. With cut the end of body is missing.
func read(body []byte, contentType string, cut bool, hides func(body, text []byte) bool) Content {
	media, _, _ := strings.Cut(contentType, ";")
	c := Content{Text: body, Media: strings.ToLower(strings.TrimSpace(media))}
	switch {
	case len(body) == 0:
		return c
	case isBinaryMedia(c.Media) && !isJSON(body):
		c.Binary = true
		return c
	}
	label := ""
	for _, bom := range byteOrderMarks {
		if rest, marked := bytes.CutPrefix(body, []byte(bom.mark)); marked {
			body, label = rest, bom.charset
			break
		}
	}
	if label == "" {
		label = declared(body, contentType, c.Media)
	}
	if label == "us-ascii" || label == "ascii" { // others are not in it, and mean UTF-8 or nothing
		label = ""
	}
	if set, name := charset.Lookup(label); set != nil && name != "utf-8" && name != "replacement" {
		if text, err := decode(set, body); err == nil && !looksBinary(text, c.Media) && !hides(body, text) {
			c.Text = text
			return c
		}
	}
	if c.Binary = looksBinary(body, c.Media); c.Binary {
		c.Media = orSniffed(c.Media, body)
		return c
	}
	c.Text = body
	if label == "" && !holdsUTF8(body, cut) {
		if set, _ := charset.Lookup("windows-1252"); isTextMedia(c.Media) || c.Media == "" {
			if text, err := decode(set, body); err == nil {
				c.Text = text
			}
		} else {
			c.Text, c.Binary = body, true
		}
	}
	return c
}

func decode(set encoding.Encoding, body []byte) ([]byte, error) {
	text, err := set.NewDecoder().Bytes(body)
	return bytes.TrimPrefix(text, []byte("\uFEFF")), err //nolint:wrapcheck // no caller shows it
}

// declared returns the label of the charset that a body is declared to be in, "" where
// there is none.
func declared(body []byte, contentType, media string) string {
	if found := charsetParameter.FindStringSubmatch(contentType); found != nil {
		return strings.ToLower(found[1])
	}
	switch {
	case !isTextMedia(media):
	case len(body) > 3 && body[0] != 0 && body[1] == 0 && body[3] == 0:
		return "utf-16le"
	case len(body) > 3 && body[0] == 0 && body[1] != 0 && body[2] == 0:
		return "utf-16be"
	case strings.HasSuffix(media, "xml"):
		if found := xmlEncoding.FindSubmatch(body[:min(len(body), 1024)]); found != nil {
			return strings.ToLower(string(found[1]))
		}
	case media == "text/html":
		if _, name, _ := charset.DetermineEncoding(body[:min(len(body), 1024)], ""); name != "windows-1252" { // which it takes for the default
			return name
		}
	}
	return ""
}

// holdsUTF8 reports whether a body is UTF-8, or was once: it has at least one
// character of UTF-8 that is not ASCII. The last one may be cut where the body is.
func holdsUTF8(body []byte, cut bool) bool {
	valid := true
	for rest := body; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			valid = valid && cut && !utf8.FullRune(rest)
		case size > 1:
			return true
		}
		rest = rest[size:]
	}
	return valid
}

// isTextMedia reports whether a media type is one of text.
func isTextMedia(media string) bool {
	kind, subtype, _ := strings.Cut(media, "/")
	if kind == "text" || strings.HasSuffix(subtype, "+json") || strings.HasSuffix(subtype, "+xml") || strings.HasSuffix(subtype, "+yaml") {
		return true
	}
	return kind == "application" && slices.Contains([]string{
		"json", "xml", "yaml", "x-yaml", "javascript", "x-javascript", "x-www-form-urlencoded", "x-ndjson", "ndjson", "jsonl", "json-seq",
		"csv", "graphql", "sql", "toml", "hl7-v2", "edi-x12", "edifact", "jwt", "problem",
	}, subtype)
}

// isBinaryMedia reports whether a media type is one of binary content, also where all its
// bytes could be text.
func isBinaryMedia(media string) bool {
	kind, subtype, _ := strings.Cut(media, "/")
	switch kind {
	case "image", "audio", "video", "font", "model":
		return !isTextMedia(media)
	case "application":
		return slices.Contains([]string{
			"pdf", "zip", "gzip", "x-gzip", "zstd", "x-tar", "x-7z-compressed", "x-bzip2", "java-archive", "wasm", "dicom",
			"msword", "cbor", "protobuf", "x-protobuf", "msgpack", "x-msgpack", "vnd.rar", "vnd.sqlite3", "x-sqlite3",
		}, subtype) || strings.HasPrefix(subtype, "vnd.openxmlformats-") || strings.HasPrefix(subtype, "vnd.ms-") || strings.HasSuffix(subtype, "+zip") || strings.HasSuffix(subtype, "+cbor")
	}
	return false
}

// isJSON reports whether a body is a JSON object or array.
func isJSON(body []byte) bool {
	trimmed := bytes.TrimSpace(body)
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(trimmed)
}

// looksBinary reports whether a body is no text by its bytes: it has control characters
// that no text has, or begins as a known format does and is not UTF-8. A text may begin so,
// such as BMI, and may have the separators of HL7 v2, EDI and MARC.
func looksBinary(body []byte, media string) bool {
	const separators = "\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f"
	controls := bytes.ContainsFunc(body, func(r rune) bool { return r < ' ' && !strings.ContainsRune(separators, r) })
	sniffed := http.DetectContentType(body)
	format := !strings.HasPrefix(sniffed, "text/") && sniffed != octetStream
	if isTextMedia(media) {
		return bytes.IndexByte(body, 0) >= 0 || format && controls
	}
	return controls || format && !utf8.Valid(body) || bytes.HasPrefix(body, []byte("%PDF-"))
}

const octetStream = "application/octet-stream"

// orSniffed returns a media type, or the one that a body looks like where it has none.
func orSniffed(media string, body []byte) string {
	sniffed, _, _ := strings.Cut(http.DetectContentType(body), ";")
	if media == "" || media == octetStream || isTextMedia(media) && sniffed != "text/plain" {
		return sniffed
	}
	return media
}
