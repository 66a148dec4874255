package toolformat

import (
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// portable returns a pattern as ECMA-262 has it with the flag u, which JSON Schema
// 2020-12 asks for and clients compile with. Other engines take more: an escape that
// stands for its character, such as \:, a lone brace, [\w-.], [[:alpha:]]. A pattern that
// engines without backtracking refuse, such as one with a look-ahead, is not ok, since
// some providers have such an engine; nor is one that ECMA-262 can't express.
func portable(pattern string) (string, bool) {
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		return "", false
	}
	t := translation{rest: pattern}
	for t.rest != "" {
		if !t.step() {
			return "", false
		}
	}
	return t.out.String(), true
}

// translation is a pattern that is being translated.
type translation struct {
	rest string
	out  strings.Builder
}

// take moves n bytes to the translation as they are.
func (t *translation) take(n int) bool {
	t.out.WriteString(t.rest[:n])
	t.rest = t.rest[n:]
	return true
}

// put writes text in place of n bytes.
func (t *translation) put(n int, text string) bool {
	t.out.WriteString(text)
	t.rest = t.rest[n:]
	return true
}

// step translates what comes next outside of a class.
func (t *translation) step() bool {
	switch t.rest[0] {
	case '\\':
		return t.escape(`^$\.*+?()[]{}|/`, true)
	case '[':
		return t.class()
	case ']', '}':
		return t.put(1, `\`+t.rest[:1])
	case '{':
		if n := repetition(t.rest); n > 0 {
			return t.take(n)
		}
		return t.put(1, `\{`)
	case '^', '$':
		return t.put(1, t.rest[:1]) && !t.repeated()
	case '(':
		switch {
		case !strings.HasPrefix(t.rest, "(?"), strings.HasPrefix(t.rest, "(?:"):
		case strings.HasPrefix(t.rest, "(?P<"), strings.HasPrefix(t.rest, "(?<"):
			return t.put(strings.IndexByte(t.rest, '>')+1, "(") // nothing refers to its name
		default:
			return false // flags
		}
	}
	return t.take(1)
}

// repeated reports whether a repetition follows, which ECMA-262 refuses after an assertion.
func (t *translation) repeated() bool {
	return t.rest != "" && (strings.IndexByte("*+?", t.rest[0]) >= 0 || t.rest[0] == '{' && repetition(t.rest) > 0)
}

// repetition returns how long a repetition such as {1,3} is, 0 for other text.
func repetition(s string) int {
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return 0
	}
	least, most, _ := strings.Cut(s[1:end], ",")
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	if least == "" || !digits(least) || !digits(most) {
		return 0
	}
	return end + 1
}

// escape translates an escape, which outside of a class may be an assertion. Before a
// character of special it stays.
func (t *translation) escape(special string, outside bool) bool {
	c := t.rest[1]
	switch {
	case strings.IndexByte(special, c) >= 0, strings.IndexByte("dDwWsSfnrtv", c) >= 0:
		return t.take(2)
	case c == 'a':
		return t.put(2, `\x07`)
	case outside && (c == 'b' || c == 'B'):
		return t.take(2) && !t.repeated()
	case outside && c == 'A':
		return t.put(2, "^") && !t.repeated()
	case outside && c == 'z':
		return t.put(2, "$") && !t.repeated()
	case c == 'x':
		return t.hexadecimal()
	case c == 'p' || c == 'P':
		return t.property()
	case c >= utf8.RuneSelf || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return false
	}
	return t.put(2, string(c))
}

func (t *translation) hexadecimal() bool {
	if len(t.rest) > 2 && t.rest[2] == '{' {
		end := strings.IndexByte(t.rest, '}')
		return t.put(end+1, `\u{`+t.rest[3:end]+"}")
	}
	return t.take(4)
}

// property translates a class of Unicode: \pL, \p{^L} and \p{Greek}.
func (t *translation) property() bool {
	negated, name, n := t.rest[1] == 'P', t.rest[2:3], 3
	if name == "{" {
		n = strings.IndexByte(t.rest, '}') + 1
		name = t.rest[3 : n-1]
	}
	if after, ok := strings.CutPrefix(name, "^"); ok {
		negated, name = !negated, after
	}
	letter := `\p{`
	if negated {
		letter = `\P{`
	}
	switch {
	case unicode.Scripts[name] != nil:
		letter += "Script="
	case unicode.Categories[name] == nil && name != "Any":
		return false
	}
	return t.put(n, letter+name+"}")
}

// namedClasses are those of POSIX, as members of a class.
var namedClasses = map[string]string{
	"alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": `\x00-\x7F`, "blank": `\t `, "cntrl": `\x00-\x1F\x7F`, "digit": "0-9", "graph": "!-~",
	"lower": "a-z", "print": " -~", "punct": `!-\/:-@\[-` + "`" + `\{-~`, "space": `\t\n\v\f\r `, "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}

// class translates a class such as [a-z].
func (t *translation) class() bool {
	t.take(1)
	if strings.HasPrefix(t.rest, "^") {
		t.take(1)
	}
	for first := true; first || !strings.HasPrefix(t.rest, "]"); first = false {
		isSet, ok := t.member()
		if !ok {
			return false
		}
		if !strings.HasPrefix(t.rest, "-") || strings.HasPrefix(t.rest, "-]") {
			continue
		}
		if isSet { // the hyphen of [\w-.] is itself
			t.put(1, `\-`)
			continue
		}
		t.take(1)
		if _, ok := t.member(); !ok {
			return false
		}
	}
	return t.take(1)
}

// member translates one member of a class, and reports whether it is a set of characters.
func (t *translation) member() (isSet, ok bool) {
	switch c := t.rest[0]; {
	case strings.HasPrefix(t.rest, "[:") && strings.Contains(t.rest, ":]"):
		name, _, _ := strings.Cut(t.rest[2:], ":]")
		members := namedClasses[name]
		return true, members != "" && t.put(len(name)+4, members)
	case c == '\\':
		return strings.IndexByte("dDwWsSpP", t.rest[1]) >= 0, t.escape(`^$\.*+?()[]{}|/-`, false)
	case c == ']':
		return false, t.put(1, `\]`)
	case c == '-' && !strings.HasPrefix(t.rest, "-]"):
		return false, t.put(1, `\-`)
	}
	_, size := utf8.DecodeRuneInString(t.rest)
	return false, t.take(size)
}

// patterns writes the patterns of a schema as ECMA-262 has them, and removes the others.
func patterns(s object) {
	if text, isText := s["pattern"].(string); isText {
		if s["pattern"], isText = portable(text); !isText {
			delete(s, "pattern")
		}
	}
	given, _ := s["patternProperties"].(object)
	made := make(object, len(given))
	for pattern, part := range given {
		if text, ok := portable(pattern); ok {
			made[text] = part
		}
	}
	if given != nil {
		s["patternProperties"] = made
	}
}
