// Package archive keeps copies of logs outside of the service, in segments.
//
// Its one promise: what it returns was signed when it was written, and has no gap and no change
// since. A segment is a compressed export of package transparency, which can be verified alone; its
// name is its first position, so of two writers one wins.
package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/seed677028b5/integrations/transparency"
)

// Archive is the archive of a log.
type Archive struct {
	Objects Objects
	Log     transparency.Log
}

// Objects keeps the segments. It replaces none.
type Objects interface {
	Names(ctx context.Context, folder string) ([]string, error)
	Put(ctx context.Context, name string, data []byte) error
	Get(ctx context.Context, name string) ([]byte, error)
}

// Suffix is that of the names of segments.
const Suffix = ".ndjson.zst"

// ErrEmpty means that there is no archive of a log.
var ErrEmpty = errors.New("there is no archive of this log here")

func (a Archive) name(from uint64) string {
	return fmt.Sprintf("%s/%020d%s", a.Log, from, Suffix)
}

// starts returns the first positions of the segments, in order.
func (a Archive) starts(ctx context.Context) ([]uint64, error) {
	names, err := a.Objects.Names(ctx, string(a.Log))
	if err != nil {
		return nil, fmt.Errorf("list the archive: %w", err)
	}
	var all []uint64
	for _, name := range names {
		object := strings.TrimSuffix(name, "/")
		from, err := strconv.ParseUint(strings.TrimSuffix(path.Base(object), Suffix), 10, 63)
		switch {
		case err != nil || a.name(from) != object: // it is a file of somebody else
		case object == name:
			all = append(all, from)
		case !slices.Contains(names, object): // a bucket can have both
			return nil, fmt.Errorf("%s is a folder, in the place of a segment of the archive", object)
		}
	}
	slices.Sort(all)
	if len(all) > 0 && all[0] != 1 {
		return nil, fmt.Errorf("the archive begins with position %d: its first segment %s", all[0], a.absent(ctx, 1))
	}
	return all, nil
}

// absent returns the name of a segment that is not listed, and why: a folder can be in its place.
func (a Archive) absent(ctx context.Context, from uint64) string {
	_, err := a.Objects.Get(ctx, a.name(from))
	if err == nil {
		return a.name(from) + " is missing from the list of files"
	}
	return fmt.Sprintf("%s is missing: %v", a.name(from), err)
}

// A Segment is a verified part of the archive.
type Segment struct {
	From, To   uint64
	Entries    []transparency.Entry // those that the log had when it was archived
	Checkpoint transparency.Checkpoint
}

// The limits of a segment, which is kept in memory.
const (
	maxPositions = 16384
	maxBytes     = 32 << 20     // of messages; one more may exceed it
	maxRead      = 2 * maxBytes // of messages that are read: earlier builds did not count headers
)

// sizeOf returns how many bytes a message has, its headers included.
func sizeOf(e transparency.Entry) int {
	size := len(e.Subject) + len(e.Data)
	for name, values := range e.Headers {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return size
}

// read returns a segment that is signed with a key and continues the one with another note, "" when
// that is not known.
func (a Archive) read(ctx context.Context, from uint64, key []byte, before string) (Segment, error) {
	s := Segment{From: from}
	data, err := a.Objects.Get(ctx, a.name(from))
	if err != nil {
		return s, fmt.Errorf("read the archive: %w", err)
	}
	header, err := headerOf(data)
	if err != nil {
		return s, a.damaged(from, err)
	}
	if s.Checkpoint, err = transparency.ParseCheckpoint(header.Checkpoint, key); err != nil {
		return s, a.damaged(from, err)
	}
	if s.To = s.Checkpoint.Size; header.Log != a.Log || s.Checkpoint.Segment.From != from || s.To < from || s.To-from >= maxPositions {
		return s, a.damaged(from, errors.New("its name is that of another segment, or it is none of this log"))
	}
	export, err := open(data)
	if err != nil {
		return s, a.damaged(from, err)
	}
	defer export.Close()
	size := 0 // anybody can write entries behind a signed header, which is compared with them at the end only
	report, err := transparency.VerifyPart(export, key, []byte(before), func(e transparency.Entry) error {
		switch {
		case e.Position < from || e.Position > s.To:
			return fmt.Errorf("it has a message of another segment, at position %d", e.Position)
		case size >= maxRead:
			return fmt.Errorf("its messages up to position %d have more than %d MiB, which no segment has", e.Position-1, maxRead>>20)
		}
		size += sizeOf(e)
		s.Entries = append(s.Entries, e)
		return nil
	})
	if err == nil && !report.OK() {
		err = errors.New(report.Findings[0].Detail)
	}
	if err == nil && report.Size != s.To {
		err = errors.New("another segment follows in it")
	}
	if err != nil {
		return s, a.damaged(from, err)
	}
	return s, nil
}

func (a Archive) damaged(from uint64, err error) error {
	return fmt.Errorf("segment %s of the archive: %w", a.name(from), err)
}

// Segments yields the segments that have positions after one, in order. All are signed with a key,
// and each continues the one before it. An error ends the sequence. While a segment is used, the
// next one is read.
func (a Archive) Segments(ctx context.Context, key []byte, after uint64) iter.Seq2[Segment, error] {
	return func(yield func(Segment, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		type read struct {
			Segment

			err error
		}
		ahead := make(chan read)
		go func() {
			defer close(ahead)
			for s, err := range a.segments(ctx, key, after) {
				select {
				case ahead <- read{s, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() { // nothing is read any more when the caller goes on
			cancel()
			for range ahead { // until it is closed
			}
		}()
		for s := range ahead {
			if !yield(s.Segment, s.err) || s.err != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Segment{}, err)
		}
	}
}

// segments is Segments, read as they are used.
func (a Archive) segments(ctx context.Context, key []byte, after uint64) iter.Seq2[Segment, error] {
	return func(yield func(Segment, error) bool) {
		starts, err := a.starts(ctx)
		if err == nil && len(starts) == 0 {
			err = fmt.Errorf("%s: %w", a.Log, ErrEmpty)
		}
		if err != nil {
			yield(Segment{}, err)
			return
		}
		first, found := slices.BinarySearch(starts, after+1)
		if !found {
			first--
		}
		var before Segment
		for n, from := range starts[first:] {
			var s Segment
			switch {
			case n > 0 && from > before.To+1:
				err = fmt.Errorf("the archive lacks the positions %d to %d: segment %s", before.To+1, from-1, a.absent(ctx, before.To+1))
			case n > 0 && from <= before.To:
				err = a.damaged(from, fmt.Errorf("the one before it ends with position %d", before.To))
			default:
				s, err = a.read(ctx, from, key, before.Checkpoint.Note)
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Segment{}, err)
				return
			}
			if s.To > after && !yield(s, nil) {
				return
			}
			before = s
		}
	}
}

// End returns the last segment.
func (a Archive) End(ctx context.Context, key []byte) (Segment, error) {
	starts, err := a.starts(ctx)
	if err == nil && len(starts) == 0 {
		err = fmt.Errorf("%s: %w", a.Log, ErrEmpty)
	}
	if err != nil {
		return Segment{}, err
	}
	return a.read(ctx, starts[len(starts)-1], key, "")
}

// Export writes the segments one after the other, for VerifyPart. It verifies nothing itself.
func (a Archive) Export(ctx context.Context, to io.Writer) error {
	starts, err := a.starts(ctx)
	if err == nil && len(starts) == 0 {
		err = fmt.Errorf("%s: %w", a.Log, ErrEmpty)
	}
	if err != nil {
		return err
	}
	for _, from := range starts {
		data, err := a.Objects.Get(ctx, a.name(from))
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		export, err := open(data)
		if err == nil {
			err = transparency.CopySegment(to, export, from)
			export.Close()
		}
		if err != nil {
			return a.damaged(from, err)
		}
	}
	return ctx.Err()
}

// Decompress returns what a segment has, as an export.
func Decompress(segment io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(segment, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}

// maxWindow bounds the memory of a decoder.
const maxWindow = 8 << 20

func open(data []byte) (*zstd.Decoder, error) { return Decompress(bytes.NewReader(data)) }

func headerOf(data []byte) (transparency.Header, error) {
	export, err := open(data)
	if err != nil {
		return transparency.Header{}, err
	}
	defer export.Close()
	return transparency.ReadHeader(export)
}
