package connectors

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxEscape is how many bytes one byte of a text may take when it is escaped.
const maxEscape = 8

// escape is a way to write characters that begins with a mark. There is no end to
// its spellings, such as &#39; &#039; &#x27; and &apos;, so they are undone.
type escape struct {
	mark byte
	// one returns what the escape at the beginning of a text means, and how many
	// bytes it has; 0 where there is none.
	one func(string) (string, int)
}

var escapes = []escape{{'&', htmlEntity}, {'\\', backslash}, {'%', percentByte}}

// unescaped is a text with escapes undone, and where its bytes were.
type unescaped struct {
	text string
	from []int32 // where each byte of text, and its end, was
}

// undo returns a text, of which it copies nothing but escapes differently.
func (e escape) undo(in string) unescaped {
	var out strings.Builder
	out.Grow(len(in))
	from := make([]int32, 0, len(in)+1)
	for n := 0; n < len(in); {
		meaning, size := in[n:n+1], 1
		if in[n] == e.mark {
			if m, s := e.one(in[n:]); s > 0 {
				meaning, size = m, s
			}
		}
		for range len(meaning) {
			from = append(from, int32(n))
		}
		out.WriteString(meaning)
		n += size
	}
	return unescaped{out.String(), append(from, int32(len(in)))} //nolint:gosec // a text has a few MiB
}

// span returns where a part of the text was, whole escapes with it.
func (u unescaped) span(part span) span {
	to := part.to
	for to < len(u.text) && u.from[to] == u.from[to-1] {
		to++
	}
	return span{int(u.from[part.from]), int(u.from[to])}
}

// htmlEntity reads a character reference of HTML: named, decimal or hexadecimal.
func htmlEntity(s string) (string, int) {
	const longest = 34 // of the names
	end := strings.IndexByte(s[:min(len(s), longest)], ';')
	if end < 0 {
		return "", 0
	}
	meaning := html.UnescapeString(s[:end+1])
	if meaning == s[:end+1] {
		return "", 0
	}
	return meaning, end + 1
}

// backslash reads an escape of JSON, and of the languages that write \x41.
func backslash(s string) (string, int) {
	if len(s) < 2 {
		return "", 0
	}
	switch s[1] {
	case '"', '\\', '/', '\'':
		return s[1:2], 2
	case 'x', 'X':
		if code, ok := hexCode(s, 2, 2); ok {
			return string(code), 4
		}
	case 'u', 'U':
		code, ok := hexCode(s, 2, 4)
		if !ok {
			return "", 0
		}
		if low, isPair := hexCode(s, 8, 4); isPair && s[6] == '\\' && (s[7] == 'u' || s[7] == 'U') {
			if r := utf16.DecodeRune(code, low); r != utf8.RuneError {
				return string(r), 12
			}
		}
		return string(code), 6
	}
	if at := strings.IndexByte("bfnrt", s[1]); at >= 0 {
		return "\b\f\n\r\t"[at : at+1], 2
	}
	return "", 0
}

func percentByte(s string) (string, int) {
	code, ok := hexCode(s, 1, 2)
	if !ok {
		return "", 0
	}
	return string([]byte{byte(code)}), 3 //nolint:gosec // two digits
}

// hexCode reads so many hexadecimal digits at a place.
func hexCode(s string, at, digits int) (rune, bool) {
	if len(s) < at+digits {
		return 0, false
	}
	code, err := strconv.ParseUint(s[at:at+digits], 16, 32)
	return rune(code), err == nil //nolint:gosec // at most four digits
}
