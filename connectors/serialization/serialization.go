// Package serialization writes the parameters of a call into a request by the styles of
// OpenAPI 3.1 (Parameter Object, style), and its body by its format.
//
// Its promise: a value never leaves its place. What a place can't carry is a Misfit,
// and null is no value.
package serialization

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/domain"
)

// Misfit is a value that can't be written.
type Misfit struct {
	At     string // a JSON pointer below the parameter, "" for itself
	Detail string // such as: must be a string
}

// Member is a member of a query, of a form or of a cookie, not yet escaped.
type Member struct {
	Name      string
	Values    []string
	Separator string // between the values, as it is written
	Reserved  bool   // reserved characters of the values are not escaped
}

// text returns the member with its name and its values escaped.
func (m Member) text(escape func(string) string) string {
	escapeValue := escape
	if m.Reserved {
		escapeValue = escapeButReserved
	}
	return escape(m.Name) + "=" + strings.Join(mapped(m.Values, escapeValue), m.Separator)
}

// Encode returns members as a query or as a form (application/x-www-form-urlencoded).
func Encode(members []Member) string {
	all := make([]string, len(members))
	for n, m := range members {
		all[n] = m.text(url.QueryEscape)
	}
	return strings.Join(all, "&")
}

func mapped(values []string, f func(string) string) []string {
	all := make([]string, len(values))
	for n, v := range values {
		all[n] = f(v)
	}
	return all
}

// escapeButReserved escapes all but unreserved and reserved characters (RFC 3986, 2). Those
// that would end the value are escaped too: &, #, + and %.
func escapeButReserved(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c > 0x20 && c < 0x7f && !strings.ContainsRune("\"<>\\^`{|}&#+%", rune(c)) {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

const (
	scalarOnly   = "must be a string, a number or a boolean"
	noForm       = "must be a string, a number, a boolean or an array of them: it travels as query or form"
	noFormInside = "must hold strings, numbers and booleans only: it travels as query or form"
)

// separators are those of the styles whose values are not exploded, as they are written.
var separators = map[string]string{"spaceDelimited": "%20", "pipeDelimited": "%7C"}

// Query returns the members of a query, a form or a cookie that carry v.
func Query(name string, v any, p domain.Parameter) ([]Member, []Misfit) {
	explode := p.Style == "" || p.Style == "form"
	if p.Explode != nil {
		explode = *p.Explode
	}
	separator := ","
	if s := separators[p.Style]; s != "" {
		separator = s
	}
	switch {
	case v == nil:
		return nil, nil
	case p.Style == "json":
		text, err := jsonvalue.Compact(v)
		if err != nil {
			return nil, []Misfit{{"", "can't be written as JSON"}}
		}
		return []Member{{Name: name, Values: []string{text}}}, nil
	case p.Style == "deepObject":
		return deep(name, "", v, p.AllowReserved)
	}
	flat, keyed, misfits := flatten(v)
	switch {
	case misfits != nil:
		return nil, misfits
	case keyed != nil && p.In == "":
		return nil, []Misfit{{"", noForm}} // an object of a property that is not listed
	case explode && keyed != nil:
		var members []Member
		for n, key := range keyed {
			members = append(members, Member{Name: key, Values: flat[n : n+1], Reserved: p.AllowReserved})
		}
		return members, nil
	case explode:
		var members []Member
		for n := range flat {
			members = append(members, Member{Name: name, Values: flat[n : n+1], Reserved: p.AllowReserved})
		}
		return members, nil
	}
	if len(flat) == 0 {
		return nil, nil // as RFC 6570 has it for a list without values
	}
	return []Member{{Name: name, Values: interleave(keyed, flat), Separator: separator, Reserved: p.AllowReserved}}, nil
}

// flatten returns the texts of a scalar, of the elements of an array, or of the members
// of an object, with the keys of those. Null is left out.
func flatten(v any) (texts, keys []string, misfits []Misfit) {
	switch v := v.(type) {
	case []any:
		for n, element := range v {
			if element == nil {
				continue
			}
			text, ok := jsonvalue.Scalar(element)
			if !ok {
				misfits = append(misfits, Misfit{"/" + strconv.Itoa(n), noFormInside})
			}
			texts = append(texts, text)
		}
	case map[string]any:
		keys = []string{}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if v[key] == nil {
				continue
			}
			text, ok := jsonvalue.Scalar(v[key])
			if !ok {
				misfits = append(misfits, Misfit{"/" + domain.EscapePointer(key), scalarOnly})
			}
			texts, keys = append(texts, text), append(keys, key)
		}
	default:
		text, ok := jsonvalue.Scalar(v)
		if !ok {
			return nil, nil, []Misfit{{"", noForm}}
		}
		texts = []string{text}
	}
	return texts, keys, misfits
}

func interleave(keys, values []string) []string {
	if keys == nil {
		return values
	}
	var all []string
	for n, key := range keys {
		all = append(all, key, values[n])
	}
	return all
}

// maxDepth is how deep a value in the style deepObject may be.
const maxDepth = 8

// deep returns the members of the style deepObject. OpenAPI defines one level; deeper
// ones and arrays are written as most servers read them: a[b][c]=1, a[]=1, a[0][b]=1.
func deep(name, at string, v any, reserved bool) (members []Member, misfits []Misfit) {
	add := func(name, at string, v any) {
		more, wrong := deep(name, at, v, reserved)
		members, misfits = append(members, more...), append(misfits, wrong...)
	}
	switch v := v.(type) {
	case nil:
	case map[string]any:
		if strings.Count(at, "/") >= maxDepth {
			return nil, []Misfit{{at, "is nested too deep for a query or a form"}}
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			add(name+"["+key+"]", at+"/"+domain.EscapePointer(key), v[key])
		}
	case []any:
		if strings.Count(at, "/") >= maxDepth {
			return nil, []Misfit{{at, "is nested too deep for a query or a form"}}
		}
		for n, element := range v {
			index := ""
			if _, scalar := jsonvalue.Scalar(element); !scalar {
				index = strconv.Itoa(n)
			}
			add(name+"["+index+"]", at+"/"+strconv.Itoa(n), element)
		}
	default:
		text, _ := jsonvalue.Scalar(v)
		members = []Member{{Name: name, Values: []string{text}, Reserved: reserved}}
	}
	return members, misfits
}

// Header returns v as the value of a header (style simple), unescaped.
func Header(v any, p domain.Parameter) (string, []Misfit) {
	if p.Style == "json" {
		text, err := jsonvalue.Compact(v)
		if err != nil {
			return "", []Misfit{{"", "can't be written as JSON"}}
		}
		return text, nil
	}
	flat, keyed, misfits := flatten(v)
	if misfits != nil {
		return "", misfits
	}
	return strings.Join(simple(keyed, flat, p), ","), nil
}

// simple joins keys and values as the style simple does.
func simple(keys, values []string, p domain.Parameter) []string {
	if keys == nil || p.Explode == nil || !*p.Explode {
		return interleave(keys, values)
	}
	all := make([]string, len(keys))
	for n, key := range keys {
		all[n] = key + "=" + values[n]
	}
	return all
}

// Cookie returns the pairs of the header Cookie that carry v.
func Cookie(name string, v any, p domain.Parameter) ([]string, []Misfit) {
	members, misfits := Query(name, v, p)
	pairs := make([]string, len(members))
	for n, m := range members {
		pairs[n] = m.text(url.PathEscape)
	}
	return pairs, misfits
}

// Path returns v as a part of a path, escaped, and the texts that it is made of.
func Path(name string, v any, p domain.Parameter) (part string, texts []string, misfits []Misfit) {
	flat, keyed, misfits := flatten(v)
	composite := keyed != nil
	if _, list := v.([]any); list {
		composite = true
	}
	if misfits != nil || composite && p.In == "" {
		return "", nil, []Misfit{{"", scalarOnly + ": it is part of the path"}}
	}
	explode := p.Explode != nil && *p.Explode
	texts = slices.Concat(keyed, flat)
	values, keys := mapped(flat, url.PathEscape), mapped(keyed, url.PathEscape)
	if keyed == nil {
		keys = nil
	}
	switch p.Style {
	case "label":
		if explode {
			return "." + strings.Join(simple(keys, values, p), "."), texts, nil
		}
		return "." + strings.Join(interleave(keys, values), ","), texts, nil
	case "matrix":
		return matrix(url.PathEscape(name), keys, values, explode), texts, nil
	}
	return strings.Join(simple(keys, values, p), ","), texts, nil
}

func matrix(name string, keys, values []string, explode bool) string {
	if !explode {
		return ";" + name + "=" + strings.Join(interleave(keys, values), ",")
	}
	var b strings.Builder
	for n, v := range values {
		key := name
		if keys != nil {
			key = keys[n]
		}
		b.WriteString(";" + key + "=" + v)
	}
	return b.String()
}
