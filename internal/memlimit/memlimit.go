// Package memlimit sets the memory limit of the garbage collector from that of the
// cgroup, so that a container is not killed for memory that could be collected. It
// returns what a busy time needed to the operating system.
package memlimit

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	cgroups       = "/sys/fs/cgroup"
	defaultLimit  = 4 << 30 // without GOMEMLIMIT and without a cgroup limit
	cgroupPercent = 90      // the rest is for memory that Go does not manage
	unlimited     = math.MaxInt64
)

// Set sets the limit and returns it in bytes: GOMEMLIMIT where it is set, else 90 %
// of the limit of the cgroup. Without either it sets none and returns 4 GiB.
func Set(log *slog.Logger) int64 {
	if set := debug.SetMemoryLimit(-1); set != unlimited {
		return set
	}
	limit, found := Cgroup(cgroups, "/proc/self/cgroup")
	if !found {
		return defaultLimit
	}
	limit = limit / 100 * cgroupPercent
	debug.SetMemoryLimit(limit)
	log.Info("memory", slog.Int64("limit_mib", limit>>20))
	return limit
}

// Cgroup returns the lowest memory limit, in bytes, of the cgroup of this process and
// of its parents, in cgroup v2 or v1. Root is where cgroups are mounted and
// membership the file that names those of the process. A container may see its own
// cgroup as the root.
func Cgroup(root, membership string) (limit int64, found bool) {
	limit = math.MaxInt64
	read := func(file string) {
		text, err := os.ReadFile(file) //nolint:gosec // below the root of cgroups
		if err != nil {
			return
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && n > 0 && n < 1<<60 && n < limit { // cgroup v1 writes no limit as a number near 2^63
			limit, found = n, true
		}
	}
	lines, err := os.ReadFile(membership) //nolint:gosec // names no user input
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(lines)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		folder, file := "", "memory.max"
		if parts[0] != "0" {
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
			folder, file = "memory", "memory.limit_in_bytes"
		}
		for at := filepath.Clean("/" + parts[2]); ; at = filepath.Dir(at) {
			read(filepath.Join(root, folder, at, file))
			if at == "/" {
				break
			}
		}
	}
	return limit, found
}
