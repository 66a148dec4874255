package program

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/sandbox"
)

// Validate returns everything that is wrong with profiles, none of whose paths may lead
// to private ones.
func Validate(profiles []Profile, private []string) []error {
	if len(profiles) == 0 {
		return nil
	}
	problems := exposed(private)
	named := map[string]bool{}
	for _, p := range profiles {
		problems = append(problems, p.validate(private)...)
		if named[p.Name] {
			problems = append(problems, fmt.Errorf("there are two profiles called %q", p.Name))
		}
		named[p.Name] = true
	}
	return problems
}

var (
	profileName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,127}$`)
	slotName    = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	slotUse     = regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`)
	variable    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=[^\x00]*$`)
)

// validate returns everything that is wrong with a profile, none of whose paths
// may lead to private ones.
func (p Profile) validate(private []string) []error {
	var problems []error
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("the profile %q: "+format, append([]any{p.Name}, args...)...))
	}
	if !profileName.MatchString(p.Name) {
		wrong("its name must be lowercase letters, digits, hyphens and underscores, at most 128")
	}
	if err := isProgram(p.Executable); err != nil {
		wrong("executable: %w", err)
	} else if more, err := p.Needs(); err != nil {
		wrong("executable: %w", err)
	} else {
		for _, path := range more {
			if err := isPath(path, private); err != nil {
				wrong("its executable can't start without %s: %w", path, err)
			}
		}
	}
	for n, slot := range p.Slots {
		_, err := regexp.Compile(slot.Pattern)
		switch {
		case !slotName.MatchString(slot.Name):
			wrong("the slot %q must be named with lowercase letters, digits and underscores", slot.Name)
		case slot.Pattern == "":
			wrong("the slot {%s} has no pattern", slot.Name)
		case err != nil:
			wrong("the pattern of {%s}: %w", slot.Name, err)
		case slices.IndexFunc(p.Slots, func(other Slot) bool { return other.Name == slot.Name }) != n:
			wrong("the slot {%s} is declared twice", slot.Name)
		case !slices.ContainsFunc(p.Arguments, func(a string) bool { return strings.Contains(a, "{"+slot.Name+"}") }):
			wrong("the slot {%s} is not used in its arguments", slot.Name)
		}
	}
	for _, argument := range p.Arguments {
		if strings.ContainsRune(argument, 0) {
			wrong("the argument %q has a zero byte", argument)
		}
		for _, use := range slotUse.FindAllStringSubmatch(argument, -1) {
			if !slices.ContainsFunc(p.Slots, func(slot Slot) bool { return slot.Name == use[1] }) {
				wrong("{%s} in its arguments is not declared as a slot", use[1])
			}
		}
	}
	for _, v := range p.Environment {
		if !variable.MatchString(v) {
			name, _, _ := strings.Cut(v, "=")
			wrong("the environment must be NAME=value each, and %q is not", name)
		}
	}
	for _, path := range slices.Concat(p.Read, p.Write) {
		if err := isPath(path, private); err != nil {
			wrong("%w", err)
		}
	}
	l := p.Limits
	for _, limit := range []struct {
		name       string
		value, low int
	}{{"memory_mb", l.MemoryMB, 16}, {"file_mb", l.FileMB, 1}, {"cpu_seconds", l.CPUSeconds, 1}, {"wall_seconds", l.WallSeconds, 1}, {"open_files", l.OpenFiles, 16}, {"processes", l.Processes, 1}} {
		if limit.value != 0 && (limit.value < limit.low || limit.value > 1<<20) {
			wrong("limits.%s must be from %d to %d", limit.name, limit.low, 1<<20)
		}
	}
	return problems
}

// isProgram returns an error unless path is a program that only the operator can have
// put there.
func isProgram(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return fmt.Errorf("%q is not an absolute path", path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err //nolint:wrapcheck // it names the path
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not an executable file", path)
	case info.Mode()&0o002 != 0:
		return fmt.Errorf("%s can be changed by anyone", path)
	}
	if folder, err := os.Stat(filepath.Dir(path)); err != nil || folder.Mode()&0o002 != 0 && folder.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("%s can be replaced by anyone", path)
	}
	return nil
}

// isPath returns an error unless path may be opened to a program.
func isPath(path string, private []string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return fmt.Errorf("%q is not an absolute path", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err //nolint:wrapcheck // it names the path
	}
	if real == "/" || real == "/proc" || strings.HasPrefix(real, "/proc/") {
		return fmt.Errorf("%s must not be opened to a program; name the folders that it needs", path)
	}
	for _, folder := range private {
		if folder, err = filepath.Abs(folder); err != nil || folder == "" {
			continue
		}
		if resolved, err := filepath.EvalSymlinks(folder); err == nil {
			folder = resolved
		}
		if within(real, folder) || within(folder, real) {
			return fmt.Errorf("%s leads to what this service keeps in %s", path, folder)
		}
	}
	return nil
}

// exposed returns a problem for each path that every program could read, because it is
// where the system keeps its own programs and files.
func exposed(private []string) []error {
	var problems []error
	for _, path := range private {
		if path == "" {
			continue
		}
		real, err := filepath.Abs(path)
		if err == nil {
			if resolved, err := filepath.EvalSymlinks(real); err == nil {
				real = resolved
			}
		}
		for _, readable := range sandbox.Readable() {
			if resolved, err := filepath.EvalSymlinks(readable); err == nil {
				readable = resolved
			}
			if within(real, readable) || within(readable, real) {
				problems = append(problems, fmt.Errorf("%s lies in %s, which every program of a profile may read: keep it elsewhere", path, readable))
				break
			}
		}
	}
	return problems
}

// within reports whether path is folder or below it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/")
}
