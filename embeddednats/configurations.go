package embeddednats

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/minio/highwayhash"

	"github.com/seed677028b5/integrations/internal/durablefile"
)

// completeConfigurations completes what a server wrote that was killed while it changed the configuration of a
// stream: it replaces the file with the configuration first, then the one with its checksum. The next
// server takes a stream for absent whose files don't agree, and with it all messages that it has.
//
// A checksum that is as new as the configuration, or newer, is not of that: then one of the two is damaged.
func completeConfigurations(dir string, log *slog.Logger) error {
	all, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "meta.inf"))
	if err != nil {
		return err
	}
	for _, file := range all {
		completed, err := completeConfiguration(file)
		if err != nil {
			return fmt.Errorf("complete the configuration of a stream: %w", err)
		}
		if completed {
			log.Warn("the server was killed while it changed a stream: its configuration is complete again", slog.String("file", file))
		}
	}
	return nil
}

func completeConfiguration(file string) (completed bool, err error) {
	sumFile, name := filepath.Join(filepath.Dir(file), "meta.sum"), filepath.Base(filepath.Dir(file))
	before, err := os.ReadFile(sumFile) //nolint:gosec // in the operator's data folder
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // the stream was being created
	}
	if err != nil {
		return false, err
	}
	config, err := os.ReadFile(file) //nolint:gosec // as above
	if err != nil {
		return false, err
	}
	key := sha256.Sum256([]byte(name))
	digest, err := highwayhash.New64(key[:])
	if err != nil {
		return false, err
	}
	_, _ = digest.Write(config) // writing to a hash never fails
	sum := hex.EncodeToString(digest.Sum(nil))
	var is struct {
		Name string `json:"name"`
	}
	if sum == string(before) || json.Unmarshal(config, &is) != nil || is.Name != name {
		return false, nil
	}
	configured, err := os.Stat(file)
	if err != nil {
		return false, err
	}
	summed, err := os.Stat(sumFile)
	if err != nil || !summed.ModTime().Before(configured.ModTime()) {
		return false, err
	}
	return true, durablefile.Write(sumFile, []byte(sum), 0o600)
}
