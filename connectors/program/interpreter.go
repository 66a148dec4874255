package program

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/connectors/sandbox"
)

const (
	maxLinks = 16  // of symbolic links, and of interpreters of interpreters
	maxLine  = 512 // bytes of the line that names an interpreter
)

// Needs returns the files and folders that the executable of p can't start without, beside
// those that p lists and those of the system: the interpreter that its first line names, where
// links lead to, and the environment of Python or the packages of Node.js that it is part of. An
// error names what it needs and can't be found.
func (p Profile) Needs() ([]string, error) {
	n := needs{listed: append(sandbox.Readable(), p.Read...), path: "/usr/local/bin:/usr/bin:/bin"}
	n.listed = append(n.listed, p.Write...)
	for _, v := range p.Environment {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			n.path = path
		}
	}
	err := n.program(p.Executable, 0)
	for _, argument := range p.Arguments { // node /somewhere/index.js, python /somewhere/server.py
		if err == nil && filepath.IsAbs(argument) && !strings.ContainsAny(argument, "{}") {
			n.packages(argument)
		}
	}
	return n.found, err
}

// needs collects what a program needs.
type needs struct {
	listed []string // is readable already
	path   string   // where the interpreters that env starts are
	found  []string
}

func (n *needs) add(path string) {
	if _, err := os.Stat(path); err == nil && !slices.ContainsFunc(append(n.listed, n.found...), func(folder string) bool { return within(path, folder) }) {
		n.found = append(n.found, path)
	}
}

// program adds what the program at a path needs.
func (n *needs) program(path string, depth int) error {
	real := path
	for {
		if depth++; depth > maxLinks {
			return fmt.Errorf("%s: its links or interpreters don't end", path)
		}
		n.python(real)
		n.packages(real)
		target, err := os.Readlink(real)
		if err != nil {
			break // it is no link
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(real), target)
		}
		real = target
		n.add(real)
	}
	if resolved, err := filepath.EvalSymlinks(real); err == nil && resolved != real { // by links among its folders
		n.add(resolved)
		n.python(resolved)
		n.packages(resolved)
	}
	interpreter, err := n.interpreter(real)
	if err != nil || interpreter == "" {
		return err
	}
	n.add(interpreter)
	return n.program(interpreter, depth)
}

// interpreter returns what runs a script, "" for what is none.
func (n *needs) interpreter(script string) (string, error) {
	file, err := os.Open(script) //nolint:gosec // the operator names it
	if err != nil {
		return "", fmt.Errorf("%s can't be read: %w", script, err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewReader(io.LimitReader(file, 2*maxLine))
	first, _ := lines.ReadString('\n')
	rest, isScript := strings.CutPrefix(first, "#!")
	words := strings.Fields(rest)
	if !isScript || len(words) == 0 {
		return "", nil
	}
	second, _ := lines.ReadString('\n')
	if _, quoted, ok := strings.Cut(second, "'exec' "); ok && filepath.Base(words[0]) == "sh" { // as pip and uv write it where the path is long
		words = []string{strings.Trim(strings.SplitN(strings.TrimSpace(quoted), " ", 2)[0], `'"`)}
	}
	if filepath.Base(words[0]) != "env" {
		if _, err := os.Stat(words[0]); err != nil {
			return "", fmt.Errorf("%s names the interpreter %s, which is not there", script, words[0])
		}
		return words[0], nil
	}
	words = slices.DeleteFunc(words[1:], func(word string) bool { return strings.HasPrefix(word, "-") || strings.Contains(word, "=") })
	if len(words) == 0 {
		return "", nil
	}
	for _, folder := range filepath.SplitList(n.path) {
		at := filepath.Join(folder, words[0])
		if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return at, nil
		}
	}
	return "", fmt.Errorf("%s is run by %s, which is in no folder of its PATH (%s): name the folder of %s in the PATH of its environment", script, words[0], n.path, words[0])
}

// python adds what a Python, or a program of its environment, finds beside itself: nothing else
// of the folder that it is installed in.
func (n *needs) python(program string) {
	root := filepath.Dir(filepath.Dir(program))
	if _, err := os.Stat(filepath.Join(root, "pyvenv.cfg")); err == nil {
		for _, part := range []string{"pyvenv.cfg", "bin", "lib", "lib64"} {
			n.add(filepath.Join(root, part))
		}
		return
	}
	if !strings.HasPrefix(filepath.Base(program), "python") && !strings.HasPrefix(filepath.Base(program), "pypy") {
		return
	}
	for _, pattern := range []string{"lib/python3*", "lib/pypy3*", "lib/libpython3*", "lib64/python3*"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, one := range found {
			n.add(one)
		}
	}
}

// packages adds the folder of packages that a script of Node.js is in.
func (n *needs) packages(script string) {
	const folder = "/node_modules/"
	if root, _, ok := strings.Cut(script, folder); ok {
		n.add(root + strings.TrimSuffix(folder, "/"))
	}
}
