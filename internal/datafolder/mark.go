package datafolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/durablefile"
)

// ReadMark returns the last event of the log that was seen on disk, the zero Mark
// when none was. The mark is stored beside the log, not in it, so that a log that is
// gone, or lost its end, is recognized.
func (f Folder) ReadMark() (m eventstore.Mark, err error) {
	path := f.Path(markName)
	data, err := os.ReadFile(path) //nolint:gosec // in the operator's data folder
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, fmt.Errorf("read %s: %w", path, err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s is damaged (%w): check the disk, and move the file away to continue without the event that it remembers", path, err)
	}
	return m, nil
}

// SaveMark replaces the mark. It is on disk when SaveMark returns.
func (f Folder) SaveMark(m eventstore.Mark) error {
	data, err := json.Marshal(m)
	if err == nil {
		err = durablefile.Write(f.Path(markName), data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path(markName), err)
	}
	return nil
}
