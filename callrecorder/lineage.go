package callrecorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// load queues the calls of the journal at path, unless it is of another log: then it is set aside.
// It also queues those of journals that were set aside while the log was away, and returns their
// files.
func (r *Recorder) load(path string) (back []string, err error) {
	records, damaged, err := readJournal(path)
	if err != nil {
		return nil, fmt.Errorf("read the journal of calls: %w", err)
	}
	if of := logOf(records, damaged); !r.events.Lineage().Has(of) {
		aside, err := setAside(path, of)
		if err != nil {
			return nil, err
		}
		r.log.Error("the journal of calls is of another log; it was set aside, and its calls are not recorded here", slog.String("log", of),
			slog.String("file", aside), slog.Int("calls", len(records)-1), slog.Int("damaged", damaged))
		records, damaged = nil, 0
	}
	if r.since, err = r.add(records, damaged); err != nil {
		return nil, err
	}
	if back, err = r.broughtBack(path); err != nil {
		return nil, err
	}
	for _, file := range back {
		records, damaged, err := readJournal(file)
		if err != nil {
			return nil, fmt.Errorf("read the journal of calls: %w", err)
		}
		r.log.Info("the log of a journal of calls that was set aside is back; its calls are recorded, unless they are", slog.String("file", file))
		if _, err := r.add(records, damaged); err != nil {
			return nil, err
		}
		r.since = origin{Log: r.since.Log} // the whole log is looked at
	}
	return back, nil
}

// add queues the calls of a journal, and returns its origin.
func (r *Recorder) add(records [][]byte, damaged int) (since origin, err error) {
	if damaged > 0 {
		r.log.Error("calls of an earlier run are lost: their records are damaged", slog.Int("calls", damaged))
	}
	for n, data := range records {
		if n == 0 && json.Unmarshal(data, &since) == nil { // else it is damaged, and the whole log is looked at
			continue
		}
		q := &queued{encoded: data, stored: make(chan struct{})}
		if err := q.record.UnmarshalBinary(data); err != nil {
			return since, fmt.Errorf("read the journal of calls: %w", err)
		}
		r.queue = append(r.queue, q)
	}
	return since, nil
}

// logOf returns the identity of the log that the calls of a journal are of; empty when the journal
// has no calls, or is from before its log had an identity, or its first record is damaged.
func logOf(records [][]byte, damaged int) string {
	var since origin
	if len(records) == 0 || len(records) == 1 && damaged == 0 || json.Unmarshal(records[0], &since) != nil {
		return ""
	}
	return since.Log
}

// asideName begins the names of journals of a log that were set aside.
func asideName(path, log string) string { return path + ".of-" + url.PathEscape(log) }

// setAside gives a file a name that no file has, which it returns.
func setAside(path, log string) (string, error) {
	aside := asideName(path, log)
	for n := 2; ; n++ {
		err := os.Link(path, aside) // which replaces nothing
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("set the journal of another log aside: %w", err)
		}
		aside = fmt.Sprintf("%s-%d", asideName(path, log), n)
	}
	if err := os.Remove(path); err != nil {
		return "", fmt.Errorf("set the journal of another log aside: %w", err)
	}
	return aside, nil
}

// broughtBack returns the journals of this log that were set aside, as while it was away for one
// start of the service.
func (r *Recorder) broughtBack(path string) (files []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("look for journals of calls: %w", err)
	}
	for _, epoch := range r.events.Lineage().Epochs {
		name := filepath.Base(asideName(path, epoch.ID))
		for _, entry := range entries {
			if entry.Name() == name || strings.HasPrefix(entry.Name(), name+"-") {
				files = append(files, filepath.Join(filepath.Dir(path), entry.Name()))
			}
		}
	}
	return files, nil
}
