package transparency

import (
	"bytes"
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

// An ExportWriter writes an export: NDJSON, with one line for each position in order, or for
// several whose messages it does not have.
type ExportWriter struct {
	to      io.Writer
	checked Range
}

// NewExportWriter returns a writer that has written the header.
func NewExportWriter(to io.Writer, h Header) (*ExportWriter, error) {
	w := &ExportWriter{to: to}
	return w, w.write(line{Transparency: &h})
}

func (w *ExportWriter) write(l line) error {
	if err := l.encode(w.to); err != nil {
		return fmt.Errorf("write an export: %w", err)
	}
	return nil
}

// Entry writes a message.
func (w *ExportWriter) Entry(e Entry) error { return w.Entries([]Entry{e}) }

// Entries writes messages whose positions follow each other. They are hashed and encoded in
// parallel, a bounded number at once.
func (w *ExportWriter) Entries(all []Entry) error {
	for some := range slices.Chunk(all, maxAhead) {
		leaves, texts := make([]Hash, len(some)), make([]bytes.Buffer, len(some))
		failed := make([]error, len(some))
		inParallel(len(some), func(n int) {
			leaves[n] = some[n].Leaf()
			failed[n] = line{Entry: &some[n], Leaf: &leaves[n]}.encode(&texts[n])
		})
		for n := range some {
			err := failed[n]
			if err == nil {
				err = w.checked.Add(leaves[n], 1)
			}
			if err == nil {
				_, err = w.to.Write(texts[n].Bytes())
			}
			if err != nil {
				return fmt.Errorf("write an export: %w", err)
			}
		}
	}
	return nil
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
