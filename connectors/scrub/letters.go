package scrub

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// minLetters is from how many letters and digits on a text is looked for by
// them alone.
const minLetters = 8

// letters returns the ASCII letters and digits of a text, in lower case. An echo
// that was folded, wrapped, set apart by separators, quoted again or read in another
// character set has the same ones.
func letters(in string) unescaped {
	out := make([]byte, 0, len(in))
	from := make([]int32, 0, len(in)+1)
	for n := range len(in) {
		c := in[n]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'z':
		default:
			continue
		}
		out, from = append(out, c), append(from, int32(n))
	}
	return unescaped{string(out), append(from, int32(len(in)))} //nolint:gosec // a text has a few MiB
}

// lettersOf returns the letters of the forms of secret that they suffice to find.
func lettersOf(secret string) []string {
	wide := make([]byte, 0, 2*len(secret)) // UTF-16, which some tools write base64 of
	var decimal, hexadecimal []byte
	for _, c := range []byte(secret) {
		wide = append(wide, c, 0)
		decimal = strconv.AppendUint(decimal, uint64(c), 10)
		hexadecimal = hex.AppendEncode(append(hexadecimal, "0x"...), []byte{c})
	}
	all := []string{secret, hex.EncodeToString([]byte(secret)), string(decimal), string(hexadecimal), strings.TrimRight(base32.StdEncoding.EncodeToString([]byte(secret)), "=")}
	all = append(all, aligned(base64.StdEncoding, secret)...)
	all = append(all, aligned(base64.StdEncoding, string(wide))...)
	var found []string
	for _, form := range all {
		if l := letters(form).text; len(l) >= minLetters {
			found = append(found, l)
		}
	}
	return found
}

// end returns where a part of letters ends in the text they are of.
func (u unescaped) end(part span) span {
	return span{int(u.from[part.from]), int(u.from[part.to-1]) + 1}
}
