package callrecorder

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
)

// journal is a file of records, each behind its length and its checksum (CRC-32C). The first is its
// origin, the others are calls. What was appended outlives this process, and after a power cut may
// lack its end.
type journal struct {
	path string
	file *os.File
	size int64

	first  []byte // written before the next record if the file is empty: no call is in it without an origin
	buffer []byte // of the last record
}

const (
	frame     = 8       // bytes before a record
	maxRecord = 1 << 20 // bytes of a record; NATS takes no larger message by default
)

// contents is what can be read of the file of a journal.
type contents struct {
	origin *origin // nil if it can't be read
	calls  []*queued
	damage damage
	torn   int // bytes at the end of a record that was not written completely
}

// damage is what of a file is neither an origin nor a call.
type damage struct {
	places int
	at     int // the first place
	bytes  int // in all places
}

func (d *damage) add(at, bytes int) {
	if d.places == 0 {
		d.at = at
	}
	d.places++
	d.bytes += bytes
}

func checksum(record []byte) uint32 { return crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli)) }

// readJournal returns the contents of a file, which may be absent.
func readJournal(path string) (contents, error) {
	data, err := os.ReadFile(path) //nolint:gosec // in the operator's data folder
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return contents{}, err
	}
	return parseJournal(data), nil
}

// parseJournal reads on behind whatever is no record: damage costs no more than what it covers.
func parseJournal(data []byte) (c contents) {
	for at := 0; at < len(data); {
		if record := recordAt(data[at:]); record != nil {
			if !c.take(record) {
				c.damage.add(at, frame+len(record))
			}
			at += frame + len(record)
			continue
		}
		next := at + 1
		for next < len(data) && recordAt(data[next:]) == nil {
			next++
		}
		if next == len(data) && at > 0 && isBegun(data[at:]) { // a file that begins with it is no journal
			c.torn = next - at
		} else {
			c.damage.add(at, next-at)
		}
		at = next
	}
	return c
}

// recordAt returns the record that data begins with, nil if that is none. No text of a call contains
// one: its length begins with a zero byte.
func recordAt(data []byte) []byte {
	if len(data) < frame {
		return nil
	}
	length, sum := int64(binary.BigEndian.Uint32(data)), binary.BigEndian.Uint32(data[4:])
	if length == 0 || length > min(maxRecord, int64(len(data)-frame)) {
		return nil
	}
	if record := data[frame : frame+length]; checksum(record) == sum {
		return record
	}
	return nil
}

// isBegun reports whether data may be the beginning of a record whose end was not written.
func isBegun(data []byte) bool {
	if len(data) < frame {
		return true
	}
	length := int64(binary.BigEndian.Uint32(data))
	return length > int64(len(data)-frame) && length <= maxRecord
}

// take adds a record, and reports whether it is the origin of a journal or a call.
func (c *contents) take(record []byte) bool {
	if c.origin == nil && len(c.calls) == 0 {
		var first origin
		if json.Unmarshal(record, &first) == nil {
			c.origin = &first
			return true
		}
	}
	q := &queued{encoded: record, stored: make(chan struct{})}
	if q.record.UnmarshalBinary(record) != nil || q.record.ID() == "" {
		return false
	}
	c.calls = append(c.calls, q)
	return true
}

// startJournal replaces the file, if there is one, with a journal of records.
func startJournal(path string, records ...[]byte) (*journal, error) {
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // in the operator's data folder
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: file}
	for _, record := range records {
		err = errors.Join(err, j.append(record))
	}
	if err == nil { // else the old one stays, with all its records
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		_ = os.Remove(path + ".new") // it is of no use
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

func (j *journal) append(record []byte) error {
	j.buffer = j.buffer[:0]
	if j.size == 0 && j.first != nil {
		j.buffer = appendRecord(j.buffer, j.first)
	}
	j.buffer = appendRecord(j.buffer, record)
	n, err := j.file.WriteAt(j.buffer, j.size) // over what a failed write has left
	if err != nil {
		if n > 0 {
			err = errors.Join(err, j.file.Truncate(j.size))
		}
		return err
	}
	j.size += int64(n)
	return nil
}

func appendRecord(data, record []byte) []byte {
	data = binary.BigEndian.AppendUint32(data, uint32(len(record))) //nolint:gosec // a record has some hundred bytes
	data = binary.BigEndian.AppendUint32(data, checksum(record))
	return append(data, record...)
}

// reset empties the journal. Its next record comes behind first.
func (j *journal) reset(first []byte) error {
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	j.size, j.first = 0, first
	return nil
}

func (j *journal) close() error { return j.file.Close() }
