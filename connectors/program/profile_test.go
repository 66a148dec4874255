package program

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAValueNeverBecomesASlotOrAnotherArgument(t *testing.T) {
	p := Profile{Arguments: []string{"--a={a}", "{b}"}, Slots: []Slot{{"a", ".*"}, {"b", ".*"}}}
	if got := p.command([]string{"{b}", "x y --c"}).Args; !slices.Equal(got, []string{"--a={b}", "x y --c"}) {
		t.Errorf("got %q", got)
	}
}

func TestProfilesAreReadFromYAMLAndJSON(t *testing.T) {
	want := Profile{
		Name: "files", Executable: "/usr/bin/node", Arguments: []string{"/srv/mcp/index.js", "--root={root}"},
		Slots: []Slot{{Name: "root", Pattern: "/srv/data/[a-z]+"}}, Environment: []string{"NODE_ENV=production"},
		Read: []string{"/srv/mcp"}, Write: []string{"/srv/data"}, Network: true,
		Limits: Limits{MemoryMB: 256, FileMB: 1, CPUSeconds: 2, WallSeconds: 3, OpenFiles: 64, Processes: 5},
	}
	for _, text := range []string{
		`
profiles:
  - name: files
    executable: /usr/bin/node
    arguments: [/srv/mcp/index.js, "--root={root}"]
    slots: [{name: root, pattern: "/srv/data/[a-z]+"}]
    environment: [NODE_ENV=production]
    read: [/srv/mcp]
    write: [/srv/data]
    network: true
    limits: {memory_mb: 256, file_mb: 1, cpu_seconds: 2, wall_seconds: 3, open_files: 64, processes: 5}
`,
		`{"profiles": [{"name": "files", "executable": "/usr/bin/node", "arguments": ["/srv/mcp/index.js", "--root={root}"],
		"slots": [{"name": "root", "pattern": "/srv/data/[a-z]+"}], "environment": ["NODE_ENV=production"], "read": ["/srv/mcp"], "write": ["/srv/data"],
		"network": true, "limits": {"memory_mb": 256, "file_mb": 1, "cpu_seconds": 2, "wall_seconds": 3, "open_files": 64, "processes": 5}}]}`,
	} {
		got, err := ReadProfiles([]byte(text))
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	for _, text := range []string{"", "profiles: []", "profiles: 1", "profiles: [{name: a, shell: true}]", "profiles: [{name: a, name: b}]", "more: 1"} {
		if got, err := ReadProfiles([]byte(text)); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func TestValidateReportsEveryProblemAtOnce(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", 0o755)
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		profile Profile
		problem string
	}{
		{Profile{Name: "Bad Name", Executable: good}, "lowercase"},
		{Profile{Name: "a", Executable: "node"}, "not an absolute path"},
		{Profile{Name: "b", Executable: dir + "/../x"}, "not an absolute path"},
		{Profile{Name: "c", Executable: filepath.Join(dir, "none")}, "no such file"},
		{Profile{Name: "d", Executable: dir}, "not an executable file"},
		{Profile{Name: "e", Executable: file("plain", 0o644)}, "not an executable file"},
		{Profile{Name: "f", Executable: file("loose", 0o757)}, "changed by anyone"},
		{Profile{Name: "g", Executable: good, Slots: []Slot{{Name: "x", Pattern: "a"}}}, "{x} is not used"},
		{Profile{Name: "h", Executable: good, Arguments: []string{"{y}"}}, "{y} in its arguments is not declared"},
		{Profile{Name: "i", Executable: good, Arguments: []string{"{z}"}, Slots: []Slot{{Name: "z", Pattern: "(a"}}}, "the pattern of {z}"},
		{Profile{Name: "j", Executable: good, Arguments: []string{"{z}"}, Slots: []Slot{{Name: "z", Pattern: "a)|(b"}}}, "the pattern of {z}"},
		{Profile{Name: "k", Executable: good, Arguments: []string{"{z}"}, Slots: []Slot{{Name: "z", Pattern: ""}}}, "{z} has no pattern"},
		{Profile{Name: "l", Executable: good, Arguments: []string{"{z}"}, Slots: []Slot{{Name: "z", Pattern: "a"}, {Name: "z", Pattern: "b"}}}, "{z} is declared twice"},
		{Profile{Name: "m", Executable: good, Slots: []Slot{{Name: "Z", Pattern: "b"}}}, `the slot "Z" must be named`},
		{Profile{Name: "n", Executable: good, Environment: []string{"TOKEN"}}, `"TOKEN" is not`},
		{Profile{Name: "o", Executable: good, Read: []string{"data"}}, "not an absolute path"},
		{Profile{Name: "p", Executable: good, Read: []string{"/"}}, "name the folders"},
		{Profile{Name: "q", Executable: good, Read: []string{dir}}, "what this service keeps"},
		{Profile{Name: "r", Executable: good, Write: []string{filepath.Join(data, "below")}}, "what this service keeps"},
		{Profile{Name: "s", Executable: good, Read: []string{filepath.Join(dir, "link")}}, "what this service keeps"},
		{Profile{Name: "t", Executable: good, Read: []string{filepath.Join(dir, "none")}}, "no such file"},
		{Profile{Name: "u", Executable: good, Limits: Limits{MemoryMB: 1}}, "limits.memory_mb"},
		{Profile{Name: "v", Executable: good, Limits: Limits{Processes: -1}}, "limits.processes"},
		{Profile{Name: "w", Executable: good, Arguments: []string{"a\x00b"}}, "zero byte"},
		{Profile{Name: "w", Executable: good}, `two profiles called "w"`},
	}
	var profiles []Profile
	for _, row := range rows {
		profiles = append(profiles, row.profile)
	}
	err := errors.Join(Validate(profiles, []string{data})...)
	if err == nil {
		t.Fatal("all of them pass")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(rows) {
		t.Errorf("%d problems are reported of %d: %s", len(lines), len(rows), err)
	}
	for _, row := range rows {
		if !strings.Contains(err.Error(), row.problem) {
			t.Errorf("it does not report that %s", row.problem)
		}
	}
	fine := []Profile{{Name: "fine", Executable: good, Arguments: []string{"{a}-{a}", "{B}", "{}"}, Slots: []Slot{{Name: "a", Pattern: "x|y"}}}}
	if problems := Validate(fine, []string{data}); len(problems) > 0 {
		t.Errorf("a good profile is refused: %v", problems)
	}
}
