package connectors

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// masked is what stands in place of a secret.
const masked = "[secret]"

// shortest is the length from which a text is looked for by value: below it,
// most of what would be found is not the secret.
const shortest = 4

// scrubber takes secrets out of what upstreams say before it is shown, in every
// form an upstream is known to echo them in: as they are, without the white space
// at their edges, in another character set, base64 (standard and URL alphabet,
// wherever in a longer text they stand), URL-encoded, hex, and escaped as JSON or
// HTML, some times over, and by their letters and digits alone. What a caller chose is not for it: whoever sees what becomes of a guess
// learns whether it was right. The zero value knows no secret.
type scrubber struct {
	needles []string
	index   *needleIndex
	folded  *needleIndex // of the needles in lower case, for what has lost its own
	letters *needleIndex // of the letters and digits of secrets, in lower case
	tail    int          // bytes at a cut that may hold the beginning of a secret
}

// newScrubber returns a scrubber for the given secrets.
func newScrubber(secrets ...string) scrubber {
	var needles, skeletons []string
	tail := 0
	for _, secret := range secrets {
		if len(secret) < shortest {
			continue
		}
		for _, variant := range variants(secret) {
			needles = append(needles, forms(variant)...)
			skeletons = append(skeletons, lettersOf(variant)...)
		}
		tail = max(tail, maxEscape*len(secret))
	}
	needles = slices.DeleteFunc(needles, func(n string) bool { return len(n) < shortest })
	slices.Sort(needles)
	needles = slices.Compact(needles)
	folded := make([]string, len(needles))
	for n, needle := range needles {
		folded[n] = strings.ToLower(needle)
		tail = max(tail, len(needle))
	}
	slices.Sort(skeletons)
	return scrubber{
		needles: needles, index: newNeedleIndex(needles), folded: newNeedleIndex(folded),
		letters: newNeedleIndex(slices.Compact(skeletons)), tail: roundUp(tail),
	}
}

// roundUp returns the least power of two from 1 KiB on that is no less than n, so
// that where a text is cut doesn't show how long a secret is. 0 stays 0.
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

// text returns in without secrets. Forms that overlap become one mask.
func (s scrubber) text(in string) string { return blank(in, s.find(in)) }

// cut is text for a text whose end is missing. Its last bytes go, whatever they
// are: a mask there would show that they begin a secret.
func (s scrubber) cut(in string) string {
	keep := max(0, len(in)-s.tail)
	var within []span
	for _, found := range s.find(in) {
		if found.from < keep {
			within = append(within, span{found.from, min(found.to, keep)})
		}
	}
	return blank(in[:keep], within)
}

// find returns where secrets stand in a text, as it is, with each kind of escape
// undone, and with all kinds undone some times over.
func (s scrubber) find(in string) []span {
	if s.index == nil || len(in) < shortest {
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
	for range mostEscaped {
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

// byLetters returns where the letters of secrets stand in a text.
func (s scrubber) byLetters(in string) []span {
	if s.letters == nil || len(in) < fewestLetters {
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
		out.WriteString(masked)
		done = merged.to
	}
	out.WriteString(in[done:])
	return out.String()
}

// value returns decoded JSON without secrets, in its keys and its numbers too. What
// holds none is not copied.
func (s scrubber) value(v any) any {
	if len(s.needles) == 0 {
		return v
	}
	clean, _ := s.clean(v)
	return clean
}

// clean is value, and reports whether it is another than v.
func (s scrubber) clean(v any) (any, bool) {
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

// headers returns a copy of h without secrets. Cookies are credentials that the
// upstream minted, and go whole.
func (s scrubber) headers(h http.Header) http.Header {
	clean := make(http.Header, len(h))
	for name, values := range h {
		shown := s.name(name)
		for _, v := range values {
			if name == "Set-Cookie" {
				v = masked
			}
			clean[shown] = append(clean[shown], s.text(v))
		}
	}
	return clean
}

// name returns the name of a header without secrets, in lower case where it
// held one: net/http writes names in a case of its own.
func (s scrubber) name(in string) string {
	lower := strings.ToLower(in)
	if s.folded == nil {
		return in
	}
	if found := s.folded.find(lower); len(found) > 0 {
		return blank(lower, found)
	}
	return in
}
