package callrecorder

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// journal is a file of records, each behind its length and its checksum (CRC-32C). What was
// appended outlives this process, and after a power cut may lack its end.
type journal struct {
	path string
	file *os.File
	size int64

	buffer []byte // of the last record
}

const frame = 8 // bytes before a record

func checksum(record []byte) uint32 { return crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli)) }

// readJournal returns the records of a file, up to the first that is incomplete, and the number
// of those that are damaged.
func readJournal(path string) (records [][]byte, damaged int, err error) {
	data, err := os.ReadFile(path) //nolint:gosec // in the operator's data folder
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	for len(data) >= frame {
		length, sum := int64(binary.BigEndian.Uint32(data)), binary.BigEndian.Uint32(data[4:])
		if length > int64(len(data)-frame) {
			break
		}
		if record := data[frame : frame+length]; checksum(record) == sum {
			records = append(records, record)
		} else {
			damaged++
		}
		data = data[frame+length:]
	}
	return records, damaged, nil
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
	data := binary.BigEndian.AppendUint32(j.buffer[:0], uint32(len(record))) //nolint:gosec // a record has some hundred bytes
	data = binary.BigEndian.AppendUint32(data, checksum(record))
	j.buffer = append(data, record...)
	n, err := j.file.Write(j.buffer)
	if err != nil && n > 0 { // so that what follows can be read
		err = errors.Join(err, j.file.Truncate(j.size))
		_, failed := j.file.Seek(j.size, 0)
		return errors.Join(err, failed)
	}
	j.size += int64(n)
	return err
}

// reset empties the journal but for one record.
func (j *journal) reset(first []byte) error {
	err := j.file.Truncate(0)
	if err != nil {
		return err
	}
	j.size = 0
	if _, err = j.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return j.append(first)
}

func (j *journal) close() error { return j.file.Close() }
