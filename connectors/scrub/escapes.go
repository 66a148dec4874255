package scrub

import (
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxEscapedSize = 16 // bytes that one byte of a text takes when it is escaped
	maxEscapeDepth = 3  // times that escapes of escapes are undone
)

// escape is a way to write characters that begins with a mark. It has too many
// spellings to search for, such as &#39; &#039; &#x27; and &apos;, so they are undone.
type escape struct {
	mark byte
	// one returns what the escape at the beginning of a text means, and how many
	// bytes it has; 0 where there is none.
	one func(string) (string, int)
}

var escapes = []escape{{'&', htmlEntity}, {'\\', backslash}, {'%', percentByte}, {'=', quotedPrintable}}

// unescaped is a text with escapes undone, and where its bytes were.
type unescaped struct {
	text string
	from []int32 // where each byte of text, and its end, was
}

// undo returns a text with escapes of this kind undone.
func (e escape) undo(in string) unescaped {
	var out strings.Builder
	out.Grow(len(in))
	from := make([]int32, 0, len(in)+1)
	for n := 0; n < len(in); {
		meaning, size := in[n:n+1], 1
		if in[n] == e.mark || e.mark == 0 {
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

// marked reports whether a text may have escapes.
func marked(in string) bool {
	return slices.ContainsFunc(escapes, func(kind escape) bool { return strings.IndexByte(in, kind.mark) >= 0 })
}

// undoAll returns a text with escapes of all kinds undone, once.
func undoAll(in string) unescaped {
	return escape{one: func(s string) (string, int) {
		for _, kind := range escapes {
			if kind.mark == s[0] {
				return kind.one(s)
			}
		}
		return "", 0
	}}.undo(in)
}

// within returns u, which was made of the text of outer, with its places in the
// original of outer.
func (u unescaped) within(outer unescaped) unescaped {
	if outer.from == nil {
		return u
	}
	for n, at := range u.from {
		u.from[n] = outer.from[at]
	}
	return u
}

// span returns where a part of the text was in the original, whole escapes included.
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
	if digits := bareReference(s); digits > 0 && (end < 0 || digits < end) { // which HTML takes without its end too
		return html.UnescapeString(s[:digits] + ";"), digits
	}
	if end < 0 {
		return "", 0
	}
	meaning := html.UnescapeString(s[:end+1])
	if meaning == s[:end+1] {
		return "", 0
	}
	return meaning, end + 1
}

// bareReference is how long a decimal reference is that has no semicolon; 0 where
// there is none.
func bareReference(s string) int {
	if !strings.HasPrefix(s, "&#") {
		return 0
	}
	digits := len(s[2:]) - len(strings.TrimLeft(s[2:min(len(s), 10)], "0123456789")) - len(s[min(len(s), 10):])
	if digits == 0 || len(s) > digits+2 && s[digits+2] == ';' {
		return 0
	}
	return digits + 2
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
		if meaning, size := longCode(s); size > 0 {
			return meaning, size
		}
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
	if len(s) >= 4 && strings.Trim(s[1:4], "01234567") == "" {
		if code, err := strconv.ParseUint(s[1:4], 8, 8); err == nil {
			return string([]byte{byte(code)}), 4
		}
	}
	if at := strings.IndexByte("bfnrt", s[1]); at >= 0 {
		return "\b\f\n\r\t"[at : at+1], 2
	}
	return "", 0
}

// longCode reads \u{41} and \U00000041.
func longCode(s string) (string, int) {
	if inside, ok := strings.CutPrefix(s[2:min(len(s), 12)], "{"); ok {
		digits, _, closed := strings.Cut(inside, "}")
		if code, err := strconv.ParseUint(digits, 16, 31); closed && err == nil {
			return string(rune(code)), len(digits) + 4
		}
	}
	if code, ok := hexCode(s, 2, 8); ok && s[1] == 'U' && strings.HasPrefix(s[2:], "00") {
		return string(code), 10
	}
	return "", 0
}

// quotedPrintable reads an escape of RFC 2045, 6.7.
func quotedPrintable(s string) (string, int) {
	if code, ok := hexCode(s, 1, 2); ok {
		return string([]byte{byte(code)}), 3 //nolint:gosec // two digits
	}
	return "", 0
}

func percentByte(s string) (string, int) {
	if code, ok := hexCode(s, 2, 4); ok && (s[1] == 'u' || s[1] == 'U') {
		return string(code), 6
	}
	code, ok := hexCode(s, 1, 2)
	if !ok {
		return "", 0
	}
	return string([]byte{byte(code)}), 3 //nolint:gosec // two digits
}

// hexCode reads a number of hexadecimal digits at a place.
func hexCode(s string, at, digits int) (rune, bool) {
	if len(s) < at+digits {
		return 0, false
	}
	code, err := strconv.ParseUint(s[at:at+digits], 16, 32)
	return rune(code), err == nil //nolint:gosec // at most four digits
}
