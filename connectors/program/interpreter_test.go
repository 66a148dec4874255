package program_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/program"
)

// tree writes files below a new folder, executable ones, and links where the text begins with ->.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range files {
		at := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		if len(text) > 2 && text[:2] == "->" {
			require.NoError(t, os.Symlink(text[2:], at))
			continue
		}
		require.NoError(t, os.WriteFile(at, []byte(text), 0o755))
	}
	return root
}

func TestWhatTheInterpreterOfAProgramNeedsIsFound(t *testing.T) {
	root := tree(t, map[string]string{
		"python/bin/python3.11":                   "\x7fELF",
		"python/bin/python3":                      "->python3.11",
		"python/lib/python3.11/os.py":             "",
		"python/lib/libpython3.11.so":             "",
		"python/secrets/key":                      "",
		"venv/pyvenv.cfg":                         "home = x",
		"venv/bin/python3":                        "->../../python/bin/python3",
		"venv/lib/python3.11/site-packages/a.py":  "",
		"tools/node_modules/.bin/server":          "->../server/dist/index.js",
		"tools/node_modules/server/dist/index.js": "#!/usr/bin/env node\n",
		"node/bin/node":                           "\x7fELF",
		"plain/server":                            "\x7fELF",
	})
	at := func(name string) string { return filepath.Join(root, name) }
	for name, text := range map[string]string{
		"venv/bin/server":   "#!" + at("venv/bin/python3") + "\n",
		"venv/bin/deep":     "#!/bin/sh\n'''exec' '" + at("venv/bin/python3") + "' \"$0\" \"$@\"\n' '''\n",
		"venv/bin/orphaned": "#!/nowhere/python3\n",
		"plain/by-env":      "#!/usr/bin/env -S python3 -u\n",
	} {
		require.NoError(t, os.WriteFile(at(name), []byte(text), 0o755))
	}
	python := []string{"python/bin/python3", "python/lib/python3.11", "python/lib/libpython3.11.so", "python/bin/python3.11"}
	venv := append([]string{"venv/pyvenv.cfg", "venv/bin", "venv/lib"}, python...)
	for _, row := range []struct {
		name    string
		profile program.Profile
		want    []string
		problem string
	}{
		{"a script of a virtual environment", program.Profile{Executable: at("venv/bin/server")}, venv, ""},
		{"one whose path was too long for pip", program.Profile{Executable: at("venv/bin/deep")}, venv, ""},
		{"the Python of one", program.Profile{Executable: at("venv/bin/python3")}, venv, ""},
		{"what is listed is not added", program.Profile{Executable: at("venv/bin/server"), Read: []string{at("venv"), at("python")}}, nil, ""},
		{"a package of npm", program.Profile{Executable: at("tools/node_modules/.bin/server"), Environment: []string{"PATH=" + at("node/bin")}}, []string{"tools/node_modules", "node/bin/node"}, ""},
		{"a script that node runs", program.Profile{Executable: at("node/bin/node"), Arguments: []string{at("tools/node_modules/server/dist/index.js")}}, []string{"tools/node_modules"}, ""},
		{"a script by its environment", program.Profile{Executable: at("plain/by-env"), Environment: []string{"PATH=" + at("python/bin")}}, python, ""},
		{"a program", program.Profile{Executable: at("plain/server")}, nil, ""},
		{"an interpreter that is gone", program.Profile{Executable: at("venv/bin/orphaned")}, nil, "names the interpreter /nowhere/python3, which is not there"},
		{"one in no folder of the PATH", program.Profile{Executable: at("plain/by-env"), Environment: []string{"PATH=/nowhere"}}, nil, "name the folder of python3 in the PATH"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := row.profile.Needs()
			if row.problem != "" {
				require.ErrorContains(t, err, row.problem)
				return
			}
			require.NoError(t, err)
			want := []string{}
			for _, name := range row.want {
				want = append(want, at(name))
			}
			require.ElementsMatch(t, want, got)
		})
	}
}

func TestAnInterpreterInAPrivateFolderIsRefused(t *testing.T) {
	root := tree(t, map[string]string{"data/python/bin/python3": "\x7fELF"})
	server := filepath.Join(root, "server")
	require.NoError(t, os.WriteFile(server, []byte("#!"+filepath.Join(root, "data/python/bin/python3")+"\n"), 0o755))
	problems := program.Validate([]program.Profile{{Name: "own", Executable: server}}, []string{filepath.Join(root, "data")})
	require.Len(t, problems, 1)
	require.ErrorContains(t, problems[0], "its executable can't start without "+filepath.Join(root, "data/python/bin/python3"))
}
