package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math/bits"
	"slices"
)

// A Removal records which events an operator removed from the log with Prune, because an archive
// has them. Everything else that is missing is lost.
type Removal struct {
	Count uint64 `json:"count"` // how many events may be gone
	Set   string `json:"set"`   // names their positions, in entries of the same bucket
	Note  string `json:"note"`  // signed for them
}

// removedPositions is the set of a Removal, once it was read.
type removedPositions struct {
	set       string
	positions *Positions
}

// Positions is a set of positions of a log. The zero value is empty, and so is nil.
type Positions struct {
	parts map[uint64]*part // by their number: part n has the positions from n*partWidth+1
	count uint64
	last  uint64
}

// partWidth is how many positions a part has: one bit for each.
const partWidth = 16384

type part [partWidth / 8]byte

// Add adds a position.
func (p *Positions) Add(position uint64) {
	if p.Has(position) {
		return
	}
	if p.parts == nil {
		p.parts = map[uint64]*part{}
	}
	n, bit := (position-1)/partWidth, (position-1)%partWidth
	if p.parts[n] == nil {
		p.parts[n] = new(part)
	}
	p.parts[n][bit/8] |= 1 << (bit % 8)
	p.count++
	p.last = max(p.last, position)
}

// addPart adds a stored part.
func (p *Positions) addPart(n uint64, stored []byte) {
	for at, b := range stored[:min(len(stored), partWidth/8)] {
		for ; b != 0; b &= b - 1 {
			p.Add(n*partWidth + uint64(at)*8 + uint64(bits.TrailingZeros8(b)) + 1) //nolint:gosec // not negative
		}
	}
}

// AddAll adds the positions of another set.
func (p *Positions) AddAll(other *Positions) {
	if other == nil {
		return
	}
	for n, one := range other.parts {
		p.addPart(n, one[:])
	}
}

// Has reports whether a position is in the set.
func (p *Positions) Has(position uint64) bool {
	if p == nil || position == 0 {
		return false
	}
	n, bit := (position-1)/partWidth, (position-1)%partWidth
	one := p.parts[n]
	return one != nil && one[bit/8]&(1<<(bit%8)) != 0
}

// Count returns how many positions are in the set.
func (p *Positions) Count() uint64 {
	if p == nil {
		return 0
	}
	return p.count
}

// Last returns the last position in the set, 0 when it is empty.
func (p *Positions) Last() uint64 {
	if p == nil {
		return 0
	}
	return p.last
}

// Others returns the ranges of positions between two, both included, that are not in the set.
func (p *Positions) Others(from, to uint64) (others []Range) {
	if p.Count() == 0 && from <= to {
		return []Range{{from, to}}
	}
	for position := from; position <= to; position++ {
		if p.Has(position) {
			continue
		}
		if n := len(others); n > 0 && others[n-1].To+1 == position {
			others[n-1].To = position
		} else {
			others = append(others, Range{position, position})
		}
	}
	return others
}

// upTo returns the positions of the set up to one.
func (p *Positions) upTo(position uint64) *Positions {
	kept := &Positions{}
	if p == nil {
		return kept
	}
	for n, one := range p.parts {
		for at := range uint64(partWidth) {
			if one[at/8]&(1<<(at%8)) != 0 && n*partWidth+at+1 <= position {
				kept.Add(n*partWidth + at + 1)
			}
		}
	}
	return kept
}

// Hash returns the SHA-256 of the set in hex: of each part in order, its number as 8 bytes, big
// endian, and its bits, the first position in the lowest bit of the first byte.
func (p *Positions) Hash() string {
	sum := sha256.New()
	if p != nil {
		for _, n := range slices.Sorted(maps.Keys(p.parts)) {
			_, _ = sum.Write(binary.BigEndian.AppendUint64(nil, n)) // writing to a hash never fails
			_, _ = sum.Write(p.parts[n][:])
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
