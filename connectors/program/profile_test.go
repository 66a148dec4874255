package program

import (
	"slices"
	"testing"
)

func TestAValueNeverBecomesASlotOrAnotherArgument(t *testing.T) {
	p := Profile{Arguments: []string{"--a={a}", "{b}"}, Slots: []Slot{{"a", ".*"}, {"b", ".*"}}}
	if got := p.command([]string{"{b}", "x y --c"}).Args; !slices.Equal(got, []string{"--a={b}", "x y --c"}) {
		t.Errorf("got %q", got)
	}
}
