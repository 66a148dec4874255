package simulation

import "time"

// Shrink drops steps for as long as the rest violates the same invariant, until no step can
// be dropped or time is up. It returns the last report with a violation. Try makes a run.
func Shrink(r Report, until time.Time, try func([]Step) Report) Report {
	for chunk := len(r.Steps) / 2; chunk > 0; chunk /= 2 {
		for from := 0; from < len(r.Steps); {
			if time.Now().After(until) {
				return r
			}
			rest := append(append([]Step{}, r.Steps[:from]...), r.Steps[min(from+chunk, len(r.Steps)):]...)
			if smaller := try(rest); smaller.Kind() == r.Kind() {
				r = smaller
			} else {
				from += chunk
			}
		}
	}
	return r
}
