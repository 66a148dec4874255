package imports

import (
	"errors"
	"strings"
)

// isCmd reports whether a text is one for cmd.exe, whose escape is ^.
func isCmd(text string) bool {
	return strings.Contains(text, "^\n") || strings.Contains(text, `^"`)
}

// cmdWords splits a text as cmd.exe and the C runtime of Windows do.
func cmdWords(text string) ([][]string, error) {
	plain, quoted := strings.Builder{}, false
	var lines []string
	for n := 0; n < len(text); n++ {
		switch c := text[n]; {
		case c == '^' && !quoted && n+1 < len(text):
			n++
			if text[n] != '\n' {
				plain.WriteByte(text[n])
			} else if n+1 < len(text) && text[n+1] == '\n' { // a line break of the argument itself
				plain.WriteByte('\n')
				n++
			}
		case c == '\n' && !quoted || c == '&' && !quoted:
			lines = append(lines, plain.String())
			plain.Reset()
		default:
			if c == '"' && (n == 0 || text[n-1] != '\\') {
				quoted = !quoted
			}
			plain.WriteByte(c)
		}
	}
	lines = append(lines, plain.String())
	var commands [][]string
	count := 0
	for _, line := range lines {
		command := runtimeWords(line)
		if count += len(command); count > maxWords {
			return nil, errors.New("it has too many words")
		}
		if len(command) > 0 {
			commands = append(commands, command)
		}
	}
	return commands, nil
}

// runtimeWords splits a command line as the C runtime of Windows does.
func runtimeWords(line string) []string {
	var all []string
	var word strings.Builder
	open, quoted := false, false
	for n := 0; n < len(line); n++ {
		c := line[n]
		switch {
		case c == '\\':
			slashes := 0
			for n < len(line) && line[n] == '\\' {
				slashes, n = slashes+1, n+1
			}
			open = true
			if n < len(line) && line[n] == '"' {
				word.WriteString(strings.Repeat(`\`, slashes/2))
				if slashes%2 == 1 {
					word.WriteByte('"')
					continue
				}
			} else {
				word.WriteString(strings.Repeat(`\`, slashes))
			}
			n--
		case c == '"' && quoted && n+1 < len(line) && line[n+1] == '"':
			word.WriteByte('"')
			n++
		case c == '"':
			quoted, open = !quoted, true
		case (c == ' ' || c == '\t') && !quoted:
			if open {
				all = append(all, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if open {
		all = append(all, word.String())
	}
	return all
}
