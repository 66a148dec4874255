package scrub

import "strings"

// needleIndex finds many needles in a text at once. A text that holds none of
// them, which is nearly every one, is passed over once, whatever their number.
type needleIndex struct {
	may     [1 << 10]uint64 // which hashes of a beginning there are
	byStart map[uint32][]string
}

func newNeedleIndex(needles []string) *needleIndex {
	if len(needles) == 0 {
		return nil
	}
	x := &needleIndex{byStart: map[uint32][]string{}}
	for _, needle := range needles {
		start := startOf(needle)
		x.byStart[start] = append(x.byStart[start], needle)
		hash := hashOf(start)
		x.may[hash>>6] |= 1 << (hash & 63)
	}
	return x
}

// startOf returns the first four bytes of a text, which has as many.
func startOf(s string) uint32 {
	return uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
}

// hashOf returns 16 bits.
func hashOf(start uint32) uint32 { return start * 0x9E3779B1 >> 16 }

// find returns where needles stand in a text, in no particular order.
func (x *needleIndex) find(in string) []span {
	if len(in) < minLength {
		return nil
	}
	var found []span
	var done map[uint32]bool // beginnings whose needles were looked for
	start := startOf(in) >> 8
	for n := minLength; n <= len(in); n++ {
		start = start<<8 | uint32(in[n-1])
		hash := hashOf(start)
		if x.may[hash>>6]&(1<<(hash&63)) == 0 || done[start] {
			continue
		}
		for _, needle := range x.byStart[start] {
			for _, at := range occurrences(in[n-minLength:], needle) {
				found = append(found, span{at.from + n - minLength, at.to + n - minLength})
			}
		}
		if done == nil {
			done = map[uint32]bool{}
		}
		done[start] = true
	}
	return found
}

// span is a part of a text, from its first byte to the one after its last.
type span struct{ from, to int }

// occurrences returns where needle stands in text, overlapping ones merged. It
// is Knuth, Morris and Pratt's search, so that a hostile echo of a repetitive
// secret costs no more than any other.
func occurrences(text, needle string) []span {
	start := strings.Index(text, needle)
	if start < 0 {
		return nil
	}
	borders := make([]int, len(needle)+1)
	borders[0] = -1
	for n, k := 0, -1; n < len(needle); {
		for k >= 0 && needle[n] != needle[k] {
			k = borders[k]
		}
		n, k = n+1, k+1
		borders[n] = k
	}
	var found []span
	for n, k := start, 0; n < len(text); {
		for k >= 0 && text[n] != needle[k] {
			k = borders[k]
		}
		n, k = n+1, k+1
		if k < len(needle) {
			continue
		}
		if last := len(found) - 1; last >= 0 && found[last].to >= n-len(needle) {
			found[last].to = n
		} else {
			found = append(found, span{from: n - len(needle), to: n})
		}
		k = borders[k]
	}
	return found
}
