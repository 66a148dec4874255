package console

import "strings"

// An offerGroup is the operations that a page shows together: those of one part of the paths.
type offerGroup struct {
	Name string // "": they are not grouped
	Rows []offer
}

// minGrouped is how many operations are shown without groups.
const minGrouped = 12

// groupsOf groups operations, which are sorted by path, by the first segment of their paths that
// differs.
func groupsOf(rows []offer) []offerGroup {
	if len(rows) < minGrouped {
		return []offerGroup{{Rows: rows}}
	}
	segments := func(o offer) []string { return strings.Split(strings.Trim(o.Path, "/"), "/") }
	shared := segments(rows[0])
	for _, o := range rows {
		own := segments(o)
		n := 0
		for n < len(shared) && n < len(own) && shared[n] == own[n] {
			n++
		}
		shared = shared[:n]
	}
	var all []offerGroup
	for _, o := range rows {
		own := segments(o)
		name := "/" + strings.Join(own[:min(len(shared)+1, len(own))], "/")
		if n := len(all) - 1; n < 0 || all[n].Name != name {
			all = append(all, offerGroup{Name: name})
		}
		last := &all[len(all)-1]
		last.Rows = append(last.Rows, o)
	}
	if len(all) == 1 || len(all) == len(rows) { // there is nothing to keep together
		return []offerGroup{{Rows: rows}}
	}
	return all
}
