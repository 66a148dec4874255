package durablefile

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrLocked is returned for a file that another process has locked.
var ErrLocked = errors.New("another process holds the lock")

// Lock opens or creates a file and locks it, without waiting. Closing the file
// releases the lock, and so does the end of the process.
func Lock(path string) (*os.File, error) { return lock(path, syscall.LOCK_EX) }

// LockShared is Lock for a lock that any number of processes may hold together.
func LockShared(path string) (*os.File, error) { return lock(path, syscall.LOCK_SH) }

func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // a file of the caller
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}
