package transparency

import (
	"fmt"
	"regexp"
	"strconv"
)

// A Removal is what a checkpoint has signed besides the tree: that messages were removed from the
// log, all of which are in an archive up to the size of the checkpoint.
type Removal struct {
	Count uint64 // 0: this is no checkpoint of a removal
	Hash  string // of their positions: SHA-256 in hex
}

// removalSyntax is the extension line of a checkpoint of a removal.
var removalSyntax = regexp.MustCompile(`^removed ([1-9][0-9]{0,18}) positions ([0-9a-f]{64})$`)

// line returns the extension line with its end, "" for no removal.
func (r Removal) line() string {
	if r.Count == 0 {
		return ""
	}
	return fmt.Sprintf("removed %d positions %s\n", r.Count, r.Hash)
}

// parseRemoval finds a removal among the extension lines of a checkpoint.
func parseRemoval(lines []string) (r Removal) {
	r.Count, r.Hash = extension(lines, removalSyntax)
	return r
}

// extension returns the number and the text of the last extension line of a syntax, 0 and "" when there is none.
func extension(lines []string, syntax *regexp.Regexp) (number uint64, text string) {
	for _, line := range lines {
		if m := syntax.FindStringSubmatch(line); m != nil {
			number, _ = strconv.ParseUint(m[1], 10, 64) // 19 digits fit
			text = m[2]
		}
	}
	return number, text
}
