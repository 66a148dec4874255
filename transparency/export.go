package transparency

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A Header is the first line of an export.
type Header struct {
	Log        Log    `json:"log"`
	Checkpoint string `json:"checkpoint"` // of all positions of the export
	PublicKey  string `json:"public_key"` // that has signed it
}

// A Covered is a line in place of positions whose messages the export does not have, because
// they are of other workspaces or gone: the root of a perfect subtree.
type Covered struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	Hash Hash   `json:"hash"`
}

// line is one line of an export. Exactly one member is set.
type line struct {
	Transparency *Header  `json:"transparency,omitempty"`
	Covered      *Covered `json:"covered,omitempty"`
	Entry        *Entry   `json:"entry,omitempty"`
	Leaf         *Hash    `json:"leaf,omitempty"` // of the entry
}

// An ExportWriter writes an export: NDJSON, with one line for each position in order, or for
// several whose messages it does not have.
type ExportWriter struct {
	to      *json.Encoder
	checked Range
}

// NewExportWriter returns a writer that has written the header.
func NewExportWriter(to io.Writer, h Header) (*ExportWriter, error) {
	w := &ExportWriter{to: lineEncoder(to)}
	return w, w.write(line{Transparency: &h})
}

// lineEncoder writes lines in their one form.
func lineEncoder(to io.Writer) *json.Encoder {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	return e
}

func (w *ExportWriter) write(l line) error {
	if err := w.to.Encode(l); err != nil {
		return fmt.Errorf("write an export: %w", err)
	}
	return nil
}

// Entry writes a message.
func (w *ExportWriter) Entry(e Entry) error {
	leaf := e.Leaf()
	if err := w.checked.Add(leaf, 1); err != nil {
		return err
	}
	return w.write(line{Entry: &e, Leaf: &leaf})
}

// Covered writes what stands for positions without a message.
func (w *ExportWriter) Covered(c Covered) error {
	if err := w.checked.Add(c.Hash, c.To-c.From+1); err != nil {
		return err
	}
	return w.write(line{Covered: &c})
}

// Root returns the hash of the tree of everything written so far, and its size.
func (w *ExportWriter) Root() (Hash, uint64) { return w.checked.Root(), w.checked.Size() }

// Subtrees calls yield with the perfect subtrees that cover the positions from to to, both
// included. None crosses the end of a tree whose size is in splits, which are sorted.
func Subtrees(from, to uint64, splits []uint64, yield func(from, to uint64) error) error {
	for from <= to {
		index := from - 1
		width := index & -index // the largest that may begin here
		if index == 0 {
			width = 1 << 62
		}
		for width > to-index || crosses(index, width, splits) {
			width /= 2
		}
		if err := yield(from, index+width); err != nil {
			return err
		}
		from = index + width + 1
	}
	return nil
}

func crosses(index, width uint64, splits []uint64) bool {
	n, _ := slices.BinarySearch(splits, index+1) // the first size beyond index
	return n < len(splits) && splits[n] < index+width
}

// maxLine bounds a line of an export: a message of 8 MiB, escaped.
const maxLine = 64 << 20

// exportReader reads an export line by line. Each line must have the form in which it is
// written, so that no byte of it can be another one.
type exportReader struct {
	lines *bufio.Scanner
	again bytes.Buffer
}

func newExportReader(from io.Reader) *exportReader {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	return &exportReader{lines: lines}
}

// next returns the next line, io.EOF at the end.
func (r *exportReader) next() (line, error) {
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil {
			return line{}, err
		}
		return line{}, io.EOF
	}
	text := r.lines.Bytes()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var l line
	if err := decoder.Decode(&l); err != nil {
		return line{}, err
	}
	r.again.Reset()
	if err := lineEncoder(&r.again).Encode(l); err != nil {
		return line{}, err
	}
	if !bytes.Equal(bytes.TrimSuffix(r.again.Bytes(), []byte("\n")), text) {
		return line{}, errors.New("it is not in the form in which it was written")
	}
	return l, nil
}
