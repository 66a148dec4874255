package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// limit is how many files of a package may depend on each other in a circle.
const limit = 6

func TestNoPackageIsALargeCircleOfFiles(t *testing.T) {
	packages, err := measure("../..", "./...")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packages {
		if len(p.Circle) > limit {
			t.Errorf("%s: %d files depend on each other in a circle, and %d may: %s", p.Path, len(p.Circle), limit, strings.Join(p.Circle, " "))
		}
	}
}

func TestTheLargestCircleIsFound(t *testing.T) {
	for _, row := range []struct {
		arrows map[string][]string
		want   []string
	}{
		{map[string][]string{"a": {"b"}, "b": nil}, []string{"a"}},
		{map[string][]string{"a": {"b"}, "b": {"a"}, "c": {"d"}, "d": {"e"}, "e": {"c"}}, []string{"c", "d", "e"}},
		{map[string][]string{"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"b"}, "f": {"a"}}, []string{"a", "b", "c", "d", "e"}},
	} {
		got := largestCircle(row.arrows)
		if len(row.want) == 1 {
			if len(got) != 1 {
				t.Errorf("%v: got %q, want no circle", row.arrows, got)
			}
			continue
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%v: got %q, want %q", row.arrows, got, row.want)
		}
	}
}

func TestATableIsPrintedForPeopleAndJSONForPrograms(t *testing.T) {
	for _, row := range []struct{ args, want string }{
		{".", "internal/circles"}, {"--json .", `"path": "internal/circles"`},
	} {
		var out bytes.Buffer
		if err := run(strings.Fields(row.args), &out); err != nil || !strings.Contains(out.String(), row.want) {
			t.Errorf("%s: got %s (%v)", row.args, &out, err)
		}
	}
}
