// Package program starts the programs that the operator's profiles describe.
//
// Its promise: what a caller gives fills the slots of a profile and nothing else, each
// program runs in a sandbox, and the number of programs is bounded, in all and for each
// workspace.
package program

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed677028b5/integrations/connectors/sandbox"
	"github.com/seed677028b5/integrations/domain"
)

// Profile is a program that integrations may have started, as the operator describes
// it.
type Profile struct {
	Name        string   `yaml:"name"`
	Executable  string   `yaml:"executable"`  // an absolute path
	Arguments   []string `yaml:"arguments"`   // exactly these, {slot} filled
	Slots       []Slot   `yaml:"slots"`       // in the order of mcp_args
	Environment []string `yaml:"environment"` // NAME=value each, and all there is
	Read        []string `yaml:"read"`        // paths that it may read, beside the system's programs and libraries
	Write       []string `yaml:"write"`       // paths that it may change
	Network     bool     `yaml:"network"`     // may it reach the network?
	Limits      Limits   `yaml:"limits"`
}

// Slot is a place in the arguments of a profile.
type Slot struct {
	Name    string `yaml:"name"`
	Pattern string `yaml:"pattern"` // a regular expression (RE2) that the whole value matches
}

// Limits bound what one process may use. 0 is the default.
type Limits struct {
	MemoryMB    int `yaml:"memory_mb"`    // Default: 512
	FileMB      int `yaml:"file_mb"`      // a file that it writes. Default: 64
	CPUSeconds  int `yaml:"cpu_seconds"`  // Default: 60
	WallSeconds int `yaml:"wall_seconds"` // Default: 150
	OpenFiles   int `yaml:"open_files"`   // Default: 256
	Processes   int `yaml:"processes"`    // Default: 16
}

// ReadProfiles reads a document of profiles, in YAML or JSON. They are
// checked by Validate.
func ReadProfiles(text []byte) ([]Profile, error) {
	var document struct {
		Profiles []Profile `yaml:"profiles"`
	}
	if err := yaml.Load(text, &document, yaml.WithKnownFields()); err != nil {
		return nil, fmt.Errorf("read the profiles: %w", err)
	}
	if len(document.Profiles) == 0 {
		return nil, errors.New("read the profiles: there are none")
	}
	return document.Profiles, nil
}

// ArgumentSlots returns the slots with their compiled patterns. The profile was
// validated.
func (p Profile) ArgumentSlots() []domain.Slot {
	slots := make([]domain.Slot, len(p.Slots))
	for n, slot := range p.Slots {
		slots[n] = domain.Slot{Name: slot.Name, Pattern: regexp.MustCompile(`\A(?:` + slot.Pattern + `)\z`)}
	}
	return slots
}

// command returns what is started for values of the slots, which were checked.
func (p Profile) command(values []string) sandbox.Command {
	var pairs []string
	for n, slot := range p.Slots {
		pairs = append(pairs, "{"+slot.Name+"}", values[n])
	}
	fill, args := strings.NewReplacer(pairs...), make([]string, len(p.Arguments))
	for n, argument := range p.Arguments {
		args[n] = fill.Replace(argument) // in one pass, so that no value is taken for a slot
	}
	or := func(value, fallback int) int64 {
		if value == 0 {
			return int64(fallback)
		}
		return int64(value)
	}
	return sandbox.Command{
		Executable: p.Executable, Args: args, Env: p.Environment, Read: p.Read, Write: p.Write, Network: p.Network,
		Limits: sandbox.Limits{
			Memory: or(p.Limits.MemoryMB, 512) << 20, FileSize: or(p.Limits.FileMB, 64) << 20,
			CPU:       time.Duration(or(p.Limits.CPUSeconds, 60)) * time.Second,
			Wall:      time.Duration(or(p.Limits.WallSeconds, 150)) * time.Second,
			OpenFiles: or(p.Limits.OpenFiles, 256), Processes: or(p.Limits.Processes, 16),
		},
	}
}

// secrets returns the values of the environment that nothing may show: all but those of
// well-known names that hold none.
func (p Profile) secrets() []string {
	plain := []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "NODE_ENV", "NODE_OPTIONS", "PYTHONPATH"}
	var secrets []string
	for _, v := range p.Environment {
		if name, value, _ := strings.Cut(v, "="); !slices.Contains(plain, name) {
			secrets = append(secrets, value)
		}
	}
	return secrets
}
