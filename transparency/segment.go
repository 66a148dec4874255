package transparency

import (
	"fmt"
	"regexp"
	"strings"
)

// A Segment is what the checkpoint of a segment of an archive has signed besides the tree: which
// messages the segment has. The tree alone is the same with the hash of a message in its place.
type Segment struct {
	From   uint64 // its first position; 0: this is no checkpoint of a segment
	Hashes string // the positions from there that it has no messages of, as Positions writes them
}

// segmentSyntax is the extension line of a checkpoint of a segment.
var segmentSyntax = regexp.MustCompile(`^segment ([1-9][0-9]{0,18}) hashes ([0-9,-]+|none)$`)

// line returns the extension line with its end, "" for no segment.
func (s Segment) line() string {
	if s.From == 0 {
		return ""
	}
	return fmt.Sprintf("segment %d hashes %s\n", s.From, s.Hashes)
}

// parseSegment finds a segment among the extension lines of a checkpoint.
func parseSegment(lines []string) (s Segment) {
	s.From, s.Hashes = extension(lines, segmentSyntax)
	return s
}

// Positions are ranges of positions, in order.
type Positions [][2]uint64

// Add adds a range behind the others.
func (p *Positions) Add(from, to uint64) {
	if n := len(*p); n > 0 && (*p)[n-1][1]+1 == from {
		(*p)[n-1][1] = to
		return
	}
	*p = append(*p, [2]uint64{from, to})
}

// String returns them as "3-7,9-9", or "none".
func (p Positions) String() string {
	if len(p) == 0 {
		return "none"
	}
	var text strings.Builder
	for n, r := range p {
		if n > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, "%d-%d", r[0], r[1])
	}
	return text.String()
}
