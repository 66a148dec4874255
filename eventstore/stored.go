package eventstore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Stored is an event in its stored form and version.
type Stored struct {
	Position uint64
	header   nats.Header
	data     []byte
}

// AppendJSON appends the event as a CloudEvent in structured mode (CloudEvents 1.0, JSON
// format), on one line without a line end. Attributes outside of CloudEvents become
// extensions; sequence is the position.
func (m Stored) AppendJSON(to []byte) []byte {
	to = append(to, `{"specversion":"1.0"`...)
	for _, of := range [...]struct{ name, header string }{
		{"id", headerID},
		{"type", headerType},
		{"source", headerSource},
		{"subject", headerSubject},
		{"time", headerTime},
		{"dataschema", headerSchema},
		{"datacontenttype", headerContentType},
		{"actor", headerActor},
		{"requestid", headerRequestID},
		{"address", headerAddress},
		{"traceparent", headerTraceParent},
	} {
		if value := m.header.Get(of.header); value != "" {
			to = append(to, `,"`...)
			to = append(to, of.name...)
			to = append(to, `":`...)
			to = appendText(to, value)
		}
	}
	to = fmt.Appendf(to, `,"sequence":"%020d"`, m.Position) // padded, so that strings sort like numbers
	return append(m.appendData(to), '}')
}

// appendData appends the data as stored. Data that is not JSON, and so not from this
// program, is appended in base64.
func (m Stored) appendData(to []byte) []byte {
	if !json.Valid(m.data) {
		to = append(to, `,"data_base64":"`...)
		return append(base64.StdEncoding.AppendEncode(to, m.data), '"')
	}
	to = append(to, `,"data":`...)
	if bytes.IndexByte(m.data, '\n') < 0 && bytes.IndexByte(m.data, '\r') < 0 {
		return append(to, m.data...)
	}
	line := bytes.NewBuffer(to)
	_ = json.Compact(line, m.data) // it is valid, as checked above
	return line.Bytes()
}

// appendText appends text as a JSON string.
func appendText(to []byte, text string) []byte {
	for n := range len(text) {
		if c := text[n]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(text) // marshalling a string never fails
			return append(to, quoted...)
		}
	}
	to = append(to, '"')
	to = append(to, text...)
	return append(to, '"')
}
