package transparency

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// line is one line of an export. Exactly one member is set.
type line struct {
	Transparency *Header
	Covered      *Covered
	Entry        *Entry
	Leaf         *Hash // of the entry

	computed Hash // the leaf of the entry, as it was read
}

// lineJSON is a line as it is written.
type lineJSON struct {
	Transparency *Header    `json:"transparency,omitempty"`
	Covered      *Covered   `json:"covered,omitempty"`
	Entry        *entryJSON `json:"entry,omitempty"`
	Leaf         *Hash      `json:"leaf,omitempty"`
}

// encode writes the line in its one form.
func (l line) encode(to io.Writer) error {
	form := lineJSON{Transparency: l.Transparency, Covered: l.Covered, Leaf: l.Leaf}
	if l.Entry != nil {
		var err error
		if form.Entry, err = l.Entry.json(); err != nil {
			return err
		}
	}
	return json.NewEncoder(to).Encode(form)
}

// maxLine bounds a line of an export: a message of 8 MiB, escaped.
const maxLine = 64 << 20

// How many lines of an export are read and written ahead, to be decoded and encoded in parallel.
const (
	maxAhead      = 512
	maxAheadBytes = 1 << 20 // of them; one line may exceed it
	maxParallel   = 4
)

// inParallel calls do with each number below count, in at most maxParallel goroutines.
func inParallel(count int, do func(n int)) {
	if count == 1 {
		do(0)
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(count, runtime.GOMAXPROCS(0), maxParallel) {
		all.Go(func() {
			for n := int(next.Add(1)) - 1; n < count; n = int(next.Add(1)) - 1 {
				do(n)
			}
		})
	}
	all.Wait()
}

// exportReader reads an export line by line. Each line must have the form in which it is
// written, so that no byte of it can be another one.
type exportReader struct {
	lines *bufio.Scanner
	ahead []decoded // that were read, and not returned yet
	begun bool      // the first line was read, after which a reader may stop
	ended error     // behind them
}

// decoded is a line that was read.
type decoded struct {
	line

	err error
}

func newExportReader(from io.Reader) *exportReader {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	return &exportReader{lines: lines}
}

// next returns the next line, io.EOF at the end.
func (r *exportReader) next() (line, error) {
	if len(r.ahead) == 0 && r.ended == nil {
		r.read()
	}
	if len(r.ahead) == 0 {
		return line{}, r.ended
	}
	first := r.ahead[0]
	r.ahead = r.ahead[1:]
	return first.line, first.err
}

// read reads some lines ahead.
func (r *exportReader) read() {
	var texts [][]byte
	for size, most := 0, maxAhead; len(texts) < most && size < maxAheadBytes; {
		if !r.begun {
			r.begun, most = true, 1
		}
		if !r.lines.Scan() {
			if r.ended = r.lines.Err(); r.ended == nil {
				r.ended = io.EOF
			}
			break
		}
		texts = append(texts, bytes.Clone(r.lines.Bytes()))
		size += len(r.lines.Bytes())
	}
	r.ahead = make([]decoded, len(texts))
	inParallel(len(texts), func(n int) { r.ahead[n].line, r.ahead[n].err = decode(texts[n]) })
}

// decode decodes a line, and hashes its entry. What the line has besides its members, or has twice,
// is not in what they are encoded to.
func decode(text []byte) (l line, err error) {
	var form lineJSON
	if err := json.Unmarshal(text, &form); err != nil {
		return line{}, err
	}
	l = line{Transparency: form.Transparency, Covered: form.Covered, Leaf: form.Leaf}
	if form.Entry != nil {
		e, err := form.Entry.entry()
		if err != nil {
			return line{}, err
		}
		l.Entry, l.computed = &e, e.Leaf()
	}
	var again bytes.Buffer
	again.Grow(len(text) + 1)
	if err := l.encode(&again); err != nil {
		return line{}, err
	}
	if !bytes.Equal(bytes.TrimSuffix(again.Bytes(), []byte("\n")), text) {
		return line{}, errors.New("it is not in the form in which it was written")
	}
	return l, nil
}
