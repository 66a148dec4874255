package main

import (
	"fmt"
	"runtime/debug"
)

// release is the version of the program, the newest one in CHANGELOG.md.
const release = "0.1.0"

// versionCommand prints the version.
type versionCommand struct{}

func (versionCommand) Run(s console) error {
	_, err := fmt.Fprintln(s.out, "integrations", version())
	return err
}

// version returns the release, the revision that the program was built from, where it
// is known, and the version of Go.
func version() string {
	text := release
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return text
	}
	modified := ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			text += " " + setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = " modified"
		}
	}
	return text + modified + " " + info.GoVersion
}
