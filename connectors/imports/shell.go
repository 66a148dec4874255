package imports

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

const maxWords = 20_000 // of a text of commands

// words splits a text into the words of its commands, as a POSIX shell does (IEEE
// 1003.1, Shell Command Language, 2.2 and 2.3) with the $'…' of bash, or cmd.exe where the text
// is one for that. A variable becomes {{NAME}}. An error is the rest of a sentence.
func words(text string) ([][]string, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if isCmd(text) {
		return cmdWords(text)
	}
	l := lexer{in: text}
	for l.at < len(l.in) {
		if err := l.next(); err != nil {
			return nil, err
		}
		if l.count > maxWords {
			return nil, errors.New("it has too many words")
		}
	}
	l.endCommand()
	return l.commands, nil
}

// lexer reads a text of a POSIX shell.
type lexer struct {
	in       string
	at       int
	word     strings.Builder
	open     bool // a word has begun, which may be empty
	command  []string
	commands [][]string
	count    int
}

func (l *lexer) endWord() {
	if l.open {
		l.command = append(l.command, l.word.String())
		l.count++
	}
	l.word.Reset()
	l.open = false
}

func (l *lexer) endCommand() {
	l.endWord()
	if len(l.command) > 0 {
		l.commands = append(l.commands, l.command)
	}
	l.command = nil
}

// next reads one character, or what is quoted.
func (l *lexer) next() error {
	c := l.in[l.at]
	l.at++
	switch c {
	case ' ', '\t':
		l.endWord()
	case '\n', ';', '|', '&':
		l.endCommand()
	case '<', '>':
		l.endWord()
		for l.at < len(l.in) && strings.IndexByte(" \t>&", l.in[l.at]) >= 0 {
			l.at++
		}
		for l.at < len(l.in) && strings.IndexByte(" \t\n;|&", l.in[l.at]) < 0 { // the file
			l.at++
		}
	case '#':
		if l.open {
			l.write("#")
			break
		}
		l.until("\n")
	case '\\':
		l.escaped()
	case '\'':
		quoted, ok := l.until("'")
		if !ok {
			return errors.New("a ' is not closed")
		}
		l.at++
		l.write(quoted)
	case '"':
		return l.double()
	case '$':
		return l.dollar()
	default:
		l.write(string([]byte{c}))
	}
	return nil
}

func (l *lexer) write(s string) {
	l.word.WriteString(s)
	l.open = true
}

// until returns what is before the next of an end, where the lexer then is.
func (l *lexer) until(end string) (string, bool) {
	n := strings.Index(l.in[l.at:], end)
	if n < 0 {
		rest := l.in[l.at:]
		l.at = len(l.in)
		return rest, false
	}
	l.at += n
	return l.in[l.at-n : l.at], true
}

// escaped reads what is behind a backslash outside of quotes.
func (l *lexer) escaped() {
	if l.at == len(l.in) {
		return
	}
	if rest := strings.TrimLeft(l.in[l.at:], " \t"); strings.HasPrefix(rest, "\n") { // also with blanks that a page added
		l.at = len(l.in) - len(rest) + 1
		return
	}
	l.write(l.in[l.at : l.at+1])
	l.at++
}

// double reads what is between double quotes.
func (l *lexer) double() error {
	l.open = true
	for l.at < len(l.in) {
		c := l.in[l.at]
		l.at++
		switch {
		case c == '"':
			return nil
		case c == '\\' && l.at < len(l.in) && strings.IndexByte("\"\\$`\n", l.in[l.at]) >= 0:
			if l.in[l.at] != '\n' {
				l.word.WriteByte(l.in[l.at])
			}
			l.at++
		case c == '$':
			if err := l.variable(); err != nil {
				return err
			}
		default:
			l.word.WriteByte(c)
		}
	}
	return errors.New(`a " is not closed`)
}

// dollar reads what is behind a dollar outside of quotes.
func (l *lexer) dollar() error {
	l.open = true
	switch {
	case strings.HasPrefix(l.in[l.at:], "'"):
		l.at++
		return l.ansi()
	case strings.HasPrefix(l.in[l.at:], `"`):
		l.at++
		return l.double()
	}
	return l.variable()
}

// variable reads $NAME, ${NAME} or $(command), and writes {{NAME}}.
func (l *lexer) variable() error {
	rest := l.in[l.at:]
	switch {
	case strings.HasPrefix(rest, "{"):
		name, ok := l.until("}")
		if !ok {
			return errors.New("a ${ is not closed")
		}
		l.at++
		l.word.WriteString("{{" + identifier(name) + "}}")
	case strings.HasPrefix(rest, "("):
		depth := 0
		for n := range len(rest) {
			switch rest[n] {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				l.at += n + 1
				l.word.WriteString("{{command}}")
				return nil
			}
		}
		return errors.New("a $( is not closed")
	default:
		size := 0
		for size < len(rest) && (rest[size] == '_' || rest[size] >= 'A' && rest[size] <= 'Z' || rest[size] >= 'a' && rest[size] <= 'z' || size > 0 && rest[size] >= '0' && rest[size] <= '9') {
			size++
		}
		if size == 0 {
			l.word.WriteByte('$')
			return nil
		}
		l.word.WriteString("{{" + rest[:size] + "}}")
		l.at += size
	}
	return nil
}

// ansi reads the rest of $'…'.
func (l *lexer) ansi() error {
	for l.at < len(l.in) {
		c := l.in[l.at]
		l.at++
		switch {
		case c == '\'':
			return nil
		case c != '\\' || l.at == len(l.in):
			l.word.WriteByte(c)
		default:
			l.ansiEscape()
		}
	}
	return errors.New("a $' is not closed")
}

func (l *lexer) ansiEscape() {
	c := l.in[l.at]
	l.at++
	if n := strings.IndexByte("abfnrtve", c); n >= 0 {
		l.word.WriteByte("\a\b\f\n\r\t\v\x1b"[n])
		return
	}
	var size int
	base := 16
	switch {
	case c == 'x':
		size = 2
	case c == 'u':
		size = 4
	case c == 'U':
		size = 8
	case c >= '0' && c <= '7':
		l.at--
		size, base = 3, 8
	default: // \\, \', \" and \?
		l.word.WriteByte(c)
		return
	}
	end := l.at
	for end < len(l.in) && end-l.at < size {
		if _, err := strconv.ParseUint(l.in[end:end+1], base, 8); err != nil {
			break
		}
		end++
	}
	code, err := strconv.ParseUint(l.in[l.at:end], base, 32)
	switch {
	case err != nil:
		l.word.WriteByte(c)
	case c == 'u' || c == 'U':
		l.word.WriteString(string(utf8.AppendRune(nil, rune(code)))) //nolint:gosec // a wrong one becomes U+FFFD
	default:
		l.word.WriteByte(byte(code)) //nolint:gosec // three octal digits may be more, as in bash
	}
	l.at = end
}
