package transparency

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ReadHeader reads the header of an export, without verifying it.
func ReadHeader(export io.Reader) (Header, error) {
	first, err := newExportReader(export).next()
	if err != nil || first.Transparency == nil {
		return Header{}, noHeader(err)
	}
	return *first.Transparency, nil
}

// noHeader returns what is wrong with an export whose first line is no header; a nil error means
// that the line is another one.
func noHeader(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return errEmpty
	case err != nil:
		return fmt.Errorf("%w: %w", errNoHeader, err)
	}
	return errNoHeader
}

var (
	errEmpty    = errors.New("it is empty: it has no header, so it is not an export")
	errNoHeader = errors.New("the first line is not the header of an export; make it with `integrations audit export`")
)

// CopySegment writes the lines of a segment as they are, without the hashes that stand for the
// positions before it. Behind the segments before, VerifyPart reads it. It is an error when the
// segment has no header, or begins with another position.
func CopySegment(to io.Writer, segment io.Reader, from uint64) error {
	header, lines := true, newExportReader(segment).lines
	for lines.Scan() {
		if header {
			var l lineJSON
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil || l.Transparency == nil {
				return noHeader(err)
			}
			if parseSegment(strings.Split(l.Transparency.Checkpoint, "\n")).From != from {
				return errors.New("its name is that of another segment")
			}
			header = false
		}
		if bytes.HasPrefix(lines.Bytes(), []byte(`{"covered":`)) {
			var l lineJSON
			if json.Unmarshal(lines.Bytes(), &l) == nil && l.Covered != nil && l.Covered.To < from {
				continue
			}
		}
		if _, err := to.Write(append(lines.Bytes(), '\n')); err != nil { // over the line end that stands there
			return err
		}
	}
	if err := lines.Err(); err != nil || !header {
		return err
	}
	return errEmpty
}
