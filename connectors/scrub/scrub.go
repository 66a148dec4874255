// Package scrub masks secrets in what upstreams answer.
//
// Its promise: no form of a known secret that an upstream may echo is left in a
// text, in time that grows with the length of the text only.
package scrub

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Mask replaces a secret.
const Mask = "[secret]"

// minLength is the length of the shortest secret that is searched for: most
// matches of a shorter one would be something else.
const minLength = 4

// Scrubber masks secrets in every form in which upstreams are known to echo them:
// as they are, without white space at the edges, in another character set, in
// base64 (standard and URL alphabet, anywhere in a longer text), URL-encoded, in
// hex, escaped as JSON or HTML up to three times over, and by their letters and
// digits alone.
//
// It must not be used on a text that a caller chose: anybody who sees whether a guess
// is masked learns whether it was right. The zero value knows no secret.
type Scrubber struct {
	needles []string
	index   *needleIndex
	folded  *needleIndex // of the needles in lower case, for what has lost its own
	letters *needleIndex // of the letters and digits of secrets, in lower case
	tail    int          // bytes at the end of a truncated text that may begin a secret
}

// New returns a Scrubber for these secrets.
func New(secrets ...string) Scrubber {
	var needles, skeletons []string
	tail := 0
	for _, secret := range distinct(secrets) {
		if len(secret) < minLength {
			continue
		}
		for _, variant := range variants(secret) {
			needles = append(needles, forms(variant)...)
			skeletons = append(skeletons, lettersOf(variant)...)
		}
		tail = max(tail, maxEscapedSize*len(secret))
	}
	needles = slices.DeleteFunc(needles, func(n string) bool { return len(n) < minLength })
	slices.Sort(needles)
	needles = slices.Compact(needles)
	folded := make([]string, len(needles))
	for n, needle := range needles {
		folded[n] = strings.ToLower(needle)
		tail = max(tail, len(needle))
	}
	slices.Sort(skeletons)
	return Scrubber{
		needles: needles, index: newNeedleIndex(needles), folded: newNeedleIndex(folded),
		letters: newNeedleIndex(slices.Compact(skeletons)), tail: roundUp(tail),
	}
}

// distinct returns each of some texts once.
func distinct(texts []string) []string {
	sorted := slices.Sorted(slices.Values(texts))
	return slices.Compact(sorted)
}

// roundUp returns the least power of two from 1 KiB on that is no less than n, so
// that the end of a truncated text doesn't show the length of a secret. 0 stays 0.
func roundUp(n int) int {
	if n == 0 {
		return 0
	}
	rounded := 1 << 10
	for rounded < n {
		rounded *= 2
	}
	return rounded
}

// Text returns in with secrets masked. Overlapping forms become one mask.
func (s Scrubber) Text(in string) string { return blank(in, s.find(in)) }

// Finds reports whether in holds a secret.
func (s Scrubber) Finds(in string) bool { return len(s.find(in)) > 0 }

// Truncated is Text for a text whose end is missing. It drops the last bytes,
// whatever they are: a mask there would show that they begin a secret.
func (s Scrubber) Truncated(in string) string {
	keep := max(0, len(in)-s.tail)
	var within []span
	for _, found := range s.find(in) {
		if found.from < keep {
			within = append(within, span{found.from, min(found.to, keep)})
		}
	}
	return blank(in[:keep], within)
}

// find returns where secrets are in a text: as it is, with each kind of escape
// undone, and with all kinds undone up to maxEscapeDepth times.
func (s Scrubber) find(in string) []span {
	if s.index == nil || len(in) < minLength {
		return nil
	}
	found := append(s.index.find(in), s.byLetters(in)...)
	if !marked(in) {
		return found
	}
	for _, kind := range escapes {
		if strings.IndexByte(in, kind.mark) < 0 {
			continue
		}
		plain := kind.undo(in)
		for _, inside := range s.index.find(plain.text) {
			found = append(found, plain.span(inside))
		}
	}
	whole := unescaped{text: in}
	for range maxEscapeDepth {
		plain := undoAll(whole.text)
		if len(plain.text) == len(whole.text) { // nothing was escaped
			break
		}
		whole = plain.within(whole)
		for _, inside := range append(s.index.find(whole.text), s.byLetters(whole.text)...) {
			found = append(found, whole.span(inside))
		}
	}
	return found
}

// byLetters returns where the letters and digits of secrets are in a text.
func (s Scrubber) byLetters(in string) []span {
	if s.letters == nil || len(in) < minLetters {
		return nil
	}
	only := letters(in)
	found := s.letters.find(only.text)
	for n := range found {
		found[n] = only.end(found[n])
	}
	return found
}

// blank returns in with the mask in place of spans.
func blank(in string, spans []span) string {
	if len(spans) == 0 {
		return in
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var out strings.Builder
	done := 0
	for n := 0; n < len(spans); {
		merged := spans[n]
		for n++; n < len(spans) && spans[n].from <= merged.to; n++ {
			merged.to = max(merged.to, spans[n].to)
		}
		out.WriteString(in[done:merged.from])
		out.WriteString(Mask)
		done = merged.to
	}
	out.WriteString(in[done:])
	return out.String()
}

// Value returns decoded JSON with secrets masked, in its keys and numbers too. It
// does not copy what holds none.
func (s Scrubber) Value(v any) any {
	masked, _ := s.Clean(v)
	return masked
}

// Clean is Value, and reports whether there was a secret.
func (s Scrubber) Clean(v any) (masked any, changed bool) {
	if len(s.needles) == 0 {
		return v, false
	}
	return s.clean(v)
}

func (s Scrubber) clean(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		found := s.find(v)
		return blank(v, found), len(found) > 0
	case json.Number:
		if found := s.find(v.String()); len(found) > 0 {
			return blank(v.String(), found), true
		}
	case []any:
		var copied []any
		for n := range v {
			element, changed := s.clean(v[n])
			if changed && copied == nil {
				copied = slices.Clone(v)
			}
			if changed {
				copied[n] = element
			}
		}
		if copied != nil {
			return copied, true
		}
	case map[string]any:
		var copied map[string]any
		for key, member := range v {
			name := s.find(key)
			value, changed := s.clean(member)
			if len(name) == 0 && !changed {
				continue
			}
			if copied == nil {
				copied = maps.Clone(v)
			}
			if len(name) > 0 {
				delete(copied, key)
			}
			copied[blank(key, name)] = value
		}
		if copied != nil {
			return copied, true
		}
	}
	return v, false
}

// Headers returns a copy of h with secrets masked. Cookies are credentials that the
// upstream issued, so they are masked as a whole.
func (s Scrubber) Headers(h http.Header) http.Header {
	clean := make(http.Header, len(h))
	for name, values := range h {
		shown := s.name(name)
		for _, v := range values {
			if name == "Set-Cookie" {
				v = Mask
			}
			clean[shown] = append(clean[shown], s.Text(v))
		}
	}
	return clean
}

// name returns the name of a header with secrets masked, in lower case if there
// was one: net/http changes the case of names.
func (s Scrubber) name(in string) string {
	lower := strings.ToLower(in)
	if s.folded == nil {
		return in
	}
	if found := s.folded.find(lower); len(found) > 0 {
		return blank(lower, found)
	}
	return in
}
