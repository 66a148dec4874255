package transparency

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// An Entry is a stored message, as it is.
type Entry struct {
	Subject  string
	Position uint64    // its sequence in the stream
	Time     time.Time // when it was stored, with nanoseconds
	Headers  map[string][]string
	Data     []byte
}

// The first bytes of an entry and of the place of a message that was gone before it was
// hashed. They separate both from each other and from later forms.
const (
	entryForm   = "integrations/entry/v1\n"
	missingForm = "integrations/missing/v1\n"
)

// Encode returns the canonical form of an entry, of which the leaf is the hash: the line
// "integrations/entry/v1"; the subject; the position; the time in nanoseconds since 1970; the
// number of headers, and each name with a value, sorted by name, values in their order; the
// data. Numbers have 8 bytes, big endian; before each text stands its length.
func (e Entry) Encode() []byte {
	size := len(entryForm) + 5*8 + len(e.Subject) + len(e.Data)
	values := 0
	for name, all := range e.Headers {
		for _, value := range all {
			size += 2*8 + len(name) + len(value)
			values++
		}
	}
	to := append(make([]byte, 0, size), entryForm...)
	to = appendField(to, e.Subject)
	to = binary.BigEndian.AppendUint64(to, e.Position)
	to = binary.BigEndian.AppendUint64(to, uint64(e.Time.UnixNano()))
	to = binary.BigEndian.AppendUint64(to, uint64(values))
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		for _, value := range e.Headers[name] {
			to = appendField(appendField(to, name), value)
		}
	}
	return appendField(to, e.Data)
}

func appendField[T string | []byte](to []byte, field T) []byte {
	to = binary.BigEndian.AppendUint64(to, uint64(len(field)))
	return append(to, field...)
}

// Leaf returns the hash of an entry in the tree (RFC 6962, 2.1).
func (e Entry) Leaf() Hash { return tlog.RecordHash(e.Encode()) }

// MissingLeaf returns the leaf at the position of a message that was gone before it was hashed.
func MissingLeaf(position uint64) Hash {
	return tlog.RecordHash(binary.BigEndian.AppendUint64([]byte(missingForm), position))
}

// entryJSON is an entry on a line of an export. Texts that are not UTF-8 are in base64.
type entryJSON struct {
	Position   uint64      `json:"position"`
	Subject    string      `json:"subject"`
	Time       time.Time   `json:"time"`
	Headers    [][2]string `json:"headers"`
	Data       *string     `json:"data,omitempty"`
	DataBase64 []byte      `json:"data_base64,omitempty"`
}

// MarshalJSON writes the entry as one JSON object from which UnmarshalJSON, or any other
// reader of JSON, gets the same bytes.
func (e Entry) MarshalJSON() ([]byte, error) {
	form, err := e.json()
	if err != nil {
		return nil, err
	}
	return json.Marshal(form)
}

// json returns the entry as it is written.
func (e Entry) json() (*entryJSON, error) {
	form := entryJSON{Position: e.Position, Subject: e.Subject, Time: e.Time.UTC(), Headers: [][2]string{}}
	valid := utf8.ValidString(e.Subject)
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		for _, value := range e.Headers[name] {
			valid = valid && utf8.ValidString(name) && utf8.ValidString(value)
			form.Headers = append(form.Headers, [2]string{name, value})
		}
	}
	if !valid {
		return nil, fmt.Errorf("entry %d: a header is not UTF-8", e.Position)
	}
	if utf8.Valid(e.Data) {
		text := string(e.Data)
		form.Data = &text
	} else {
		form.DataBase64 = e.Data
	}
	return &form, nil
}

// UnmarshalJSON reads what MarshalJSON wrote. Another member is an error: it would not be
// part of the hash.
func (e *Entry) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	var form entryJSON
	if err := decoder.Decode(&form); err != nil {
		return err
	}
	read, err := form.entry()
	*e = read
	return err
}

// entry returns the entry that was written so.
func (f entryJSON) entry() (Entry, error) {
	if (f.Data == nil) == (f.DataBase64 == nil) {
		return Entry{}, errors.New("an entry has either data or data_base64")
	}
	e := Entry{Subject: f.Subject, Position: f.Position, Time: f.Time, Headers: map[string][]string{}, Data: f.DataBase64}
	if f.Data != nil {
		e.Data = []byte(*f.Data)
	}
	for _, h := range f.Headers {
		e.Headers[h[0]] = append(e.Headers[h[0]], h[1])
	}
	return e, nil
}

// Workspace returns the workspace of the entry: the second part of its subject.
func (e Entry) Workspace() string {
	parts := strings.SplitN(e.Subject, ".", 3)
	if len(parts) < 3 {
		return ""
	}
	return parts[1]
}

// parseHash reads the base64 of a hash.
func parseHash(text string) (h Hash, err error) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(data) != len(h) {
		return h, errors.New("a hash is 32 bytes in base64")
	}
	return Hash(data), nil
}
