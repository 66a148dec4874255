//go:build race

package main

// compiled returns the flags of compiled packages that are there already, after a build
// under the race detector.
func compiled() []string { return []string{"-race"} }
