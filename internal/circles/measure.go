package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// pkg is what was measured of a package.
type pkg struct {
	Path   string   `json:"path"` // without that of the module
	Files  int      `json:"files"`
	Lines  int      `json:"lines"`
	Arrows int      `json:"arrows"` // from one file to another
	Circle []string `json:"circle"` // the files of the largest circle; one file where there is none
}

// listed is what go list prints of a package.
type listed struct {
	Dir, ImportPath, Export string
	GoFiles                 []string
	DepOnly                 bool
	Module                  *struct{ Path string }
}

// measure returns the packages that patterns name in dir, in the order of go list.
func measure(dir string, patterns ...string) ([]pkg, error) {
	// The compiled packages tell the type checker what is imported.
	args := slices.Concat([]string{"list", "-export", "-deps", "-json=Dir,ImportPath,Export,GoFiles,DepOnly,Module"}, compiled(), patterns)
	command := exec.Command("go", args...) //nolint:gosec,noctx // a tool for developers: it runs what they name, and ends with them
	command.Dir, command.Stderr = dir, os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	exports := map[string]string{}
	var named []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly {
			named = append(named, l)
		}
	}
	files := token.NewFileSet()
	imports := importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var all []pkg
	for _, l := range named {
		p, err := l.measure(files, imports)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.ImportPath, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func (l listed) measure(files *token.FileSet, imports types.Importer) (pkg, error) {
	p := pkg{Path: l.ImportPath, Files: len(l.GoFiles)}
	if l.Module != nil {
		p.Path = strings.TrimPrefix(l.ImportPath, l.Module.Path+"/")
	}
	var parsed []*ast.File
	for _, name := range l.GoFiles {
		file, err := parser.ParseFile(files, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return pkg{}, err
		}
		parsed = append(parsed, file)
		p.Lines += files.Position(file.FileEnd).Line - 1
	}
	uses := types.Info{Uses: map[*ast.Ident]types.Object{}}
	checked, err := (&types.Config{Importer: imports}).Check(l.ImportPath, files, parsed, &uses)
	if err != nil {
		return pkg{}, err
	}
	arrows := map[string][]string{}
	for _, name := range l.GoFiles {
		arrows[name] = nil
	}
	for use, object := range uses.Uses {
		if object.Pkg() != checked {
			continue
		}
		from, to := filepath.Base(files.Position(use.Pos()).Filename), filepath.Base(files.Position(object.Pos()).Filename)
		if from != to && !slices.Contains(arrows[from], to) {
			arrows[from] = append(arrows[from], to)
			p.Arrows++
		}
	}
	p.Circle = largestCircle(arrows)
	return p, nil
}
