//go:build !race

package main

// compiled returns the flags of compiled packages that are there already.
func compiled() []string { return nil }
