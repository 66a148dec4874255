package main

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
	usualMemory   = 4 << 30 // where nothing says how much there is
	ofItsCgroup   = 90      // per cent that the collector keeps to; the rest is for what is not its own
	noLimitFromGo = math.MaxInt64
)

// limitMemory has the garbage collector keep to what the service may use, and
// returns how much that is: GOMEMLIMIT where it is set, else most of what the
// cgroup has.
func limitMemory(log *slog.Logger) int64 {
	if set := debug.SetMemoryLimit(-1); set != noLimitFromGo {
		return set
	}
	limit, found := cgroupMemory(cgroups, "/proc/self/cgroup")
	if !found {
		return usualMemory
	}
	limit = limit / 100 * ofItsCgroup
	debug.SetMemoryLimit(limit)
	log.Info("memory", slog.Int64("limit_mib", limit>>20))
	return limit
}

// cgroupMemory returns the least limit of the cgroup that this process is in and
// of those around it, in version 2 or 1. A container may see its own as the root.
func cgroupMemory(root, membership string) (limit int64, found bool) {
	limit = math.MaxInt64
	read := func(file string) {
		text, err := os.ReadFile(file) //nolint:gosec // below the root of cgroups
		if err != nil {
			return
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && n > 0 && n < 1<<60 && n < limit { // version 1 has no limit as a number near 2^63
			limit, found = n, true
		}
	}
	lines, err := os.ReadFile(membership) //nolint:gosec // of this process
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
