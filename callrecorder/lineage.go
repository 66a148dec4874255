package callrecorder

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// load queues the calls of the journal at path, unless it is of another log or can't be told to be of
// this one: then it is set aside. It also queues those of journals of this log that were set aside, as
// while it was away for one start of the service, and returns their files.
func (r *Recorder) load(path string) (old []string, err error) {
	c, err := readJournal(path)
	if err != nil {
		return nil, fmt.Errorf("read the journal of calls: %w", err)
	}
	seen := map[string]bool{}
	switch {
	case len(c.calls) == 0 && c.damage.places == 0: // nothing can be recorded in the wrong log
	case r.isOfThisLog(c):
		err = r.add(c, path, path, seen)
	default:
		err = r.setAside(c, path)
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("look for journals of calls: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), filepath.Base(asideName(path, ""))) {
			continue
		}
		file := filepath.Join(filepath.Dir(path), entry.Name())
		c, err := readAside(file, entry)
		if err != nil || !r.isOfThisLog(c) {
			r.log.Warn("a file that is named like a journal of calls that was set aside has none of this log; it stays, and nothing of it is recorded",
				slog.String("file", file), slog.String("log", c.log()), slog.Int("calls", len(c.calls)), slog.Any("err", err))
			continue
		}
		r.log.Info("the log of a journal of calls that was set aside is back; its calls are recorded, unless they are", slog.String("file", file))
		if err := r.add(c, path, file, seen); err != nil {
			return nil, err
		}
		old = append(old, file)
	}
	return old, nil
}

// readAside returns the contents of a file that is named like a journal that was set aside.
func readAside(file string, entry fs.DirEntry) (contents, error) {
	if !entry.Type().IsRegular() {
		return contents{}, errors.New("it is not a regular file")
	}
	return readJournal(file)
}

// isOfThisLog reports whether a journal names this log, by its identity or one that it had.
func (r *Recorder) isOfThisLog(c contents) bool {
	return c.log() != "" && r.events.Lineage().Has(c.log())
}

// log returns the identity of the log that the calls of a journal are of, empty when it is unknown.
func (c contents) log() string {
	if c.origin == nil {
		return ""
	}
	return c.origin.Log
}

// add queues the calls of a file of this log, but those whose ids are seen already: a kill can leave a
// call in two files. If the file is damaged, it is kept.
func (r *Recorder) add(c contents, path, file string, seen map[string]bool) error {
	if c.torn > 0 {
		r.log.Info("the last record of a journal of calls was not written completely", slog.String("file", file), slog.Int("bytes", c.torn))
	}
	if c.damage.places > 0 {
		kept, err := keep(file, damagedName(path))
		if err != nil {
			return fmt.Errorf("keep the damaged journal of calls: %w", err)
		}
		r.log.Error("calls of an earlier run may be lost: their records are damaged; the damaged file is kept", slog.String("file", kept),
			slog.Int("calls", len(c.calls)), c.damage.attr())
	}
	since := origin{Log: r.events.Lineage().ID()}
	if c.origin.Log == since.Log { // else the positions are those of another log, and the whole log is looked at
		since.After = c.origin.After
	}
	if len(r.queue) > 0 {
		since.After = min(since.After, r.since.After)
	}
	r.since = since
	for _, q := range c.calls {
		if id := q.record.ID(); !seen[id] {
			seen[id] = true
			r.queue = append(r.queue, q)
		}
	}
	return nil
}

// setAside renames a journal that is not known to be of this log.
func (r *Recorder) setAside(c contents, path string) error {
	name := asideName(path, c.log())
	if c.log() == "" {
		name = damagedName(path)
	}
	aside, err := keep(path, name)
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("set a journal of calls aside: %w", err)
	}
	log := r.log.With(slog.String("log", c.log()), slog.String("file", aside), slog.Int("calls", len(c.calls)), c.damage.attr())
	if c.log() == "" {
		log.Error("the log of the journal of calls can't be read; it was set aside, and its calls are not recorded")
	} else {
		log.Error("the journal of calls is of another log; it was set aside, and its calls are not recorded here")
	}
	return nil
}

// attr describes damage.
func (d damage) attr() slog.Attr {
	return slog.Group("damage", slog.Int("places", d.places), slog.Int("at", d.at), slog.Int("bytes", d.bytes))
}

// asideName begins the names of journals of a log that were set aside.
func asideName(path, log string) string { return path + ".of-" + url.PathEscape(log) }

// damagedName begins the names of damaged journals. They are kept for an operator who looks for lost
// calls in them, and not read again.
func damagedName(path string) string { return path + ".damaged" }

// A Damaged is a journal that was kept because it is damaged.
type Damaged struct {
	Path  string    `json:"path"`
	At    time.Time `json:"at"` // when it was last written
	Bytes int64     `json:"bytes"`
}

// FindDamaged returns the damaged journals that are kept beside the one at a path.
func FindDamaged(path string) ([]Damaged, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for damaged journals of calls: %w", err)
	}
	var all []Damaged
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() && isDamagedName(entry.Name(), filepath.Base(damagedName(path))) {
			all = append(all, Damaged{filepath.Join(filepath.Dir(path), entry.Name()), info.ModTime().UTC(), info.Size()})
		}
	}
	return all, nil
}

// isDamagedName reports whether a name is one that keep makes of another.
func isDamagedName(name, first string) bool {
	more, ok := strings.CutPrefix(name, first)
	if !ok || more == "" {
		return ok
	}
	n, err := strconv.Atoi(strings.TrimPrefix(more, "-"))
	return err == nil && n >= 2 && strings.HasPrefix(more, "-")
}

// keep gives a file a second name that no other file has, and returns it. If a kill has left the file
// with such a name, that is the one.
func keep(file, name string) (string, error) {
	kept := name
	for n := 2; ; n++ {
		err := os.Link(file, kept) // which replaces nothing
		if err == nil || isSame(file, kept) {
			return kept, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		kept = fmt.Sprintf("%s-%d", name, n)
	}
}

// isSame reports whether two names are of one file.
func isSame(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}
