package workspacefile

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/terminal"
)

// Differences are what differs between two workspaces or files.
type Differences struct {
	Same         int          `json:"same"` // integrations that don't differ
	Integrations []Difference `json:"integrations"`
}

// Difference is what differs of one integration. Secrets are not compared.
type Difference struct {
	Name    string          `json:"name"`
	In      Place           `json:"in"`
	Changed []domain.Change `json:"changed"` // from the first to the second, if it is in both
}

// Place is where an integration is.
type Place string

// Places.
const (
	InFirst  Place = "first"
	InSecond Place = "second"
	InBoth   Place = "both"
)

// Compare returns what differs, sorted by name. Entries of a file are compared as they are written:
// export writes every member, so that two exports differ only where their workspaces do.
func Compare(first, second []Entry) Differences {
	before, after := byName(first), byName(second)
	names := maps.Clone(before)
	maps.Copy(names, after)
	d := Differences{Integrations: []Difference{}}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, inFirst := before[name]
		b, inSecond := after[name]
		switch {
		case !inSecond:
			d.Integrations = append(d.Integrations, Difference{name, InFirst, []domain.Change{}})
		case !inFirst:
			d.Integrations = append(d.Integrations, Difference{name, InSecond, []domain.Change{}})
		default:
			if changes := domain.DocumentChanges(a.public(), b.public()); len(changes) > 0 {
				d.Integrations = append(d.Integrations, Difference{name, InBoth, changes})
			} else {
				d.Same++
			}
		}
	}
	return d
}

func byName(all []Entry) map[string]Entry {
	named := map[string]Entry{}
	for _, e := range all {
		named[e.Name] = e
	}
	return named
}

// public returns a copy of the document without the secrets. Of those that have a name, it shows
// that they are there.
func (e Entry) public() domain.Document {
	document, _ := clone(map[string]any(e.Document)).(map[string]any)
	objects := []any{document}
	endpoints, _ := document["endpoints"].([]any)
	for _, object := range append(objects, endpoints...) {
		members, _ := object.(map[string]any)
		auth, _ := members["auth"].(map[string]any)
		for name := range auth {
			if strings.HasSuffix(name, "_value") {
				delete(auth, name)
			}
		}
		for _, group := range []any{members["headers"], auth["token_params"], auth["token_headers"]} {
			values, _ := group.(map[string]any)
			for name, value := range values {
				if _, text := value.(string); !text {
					values[name] = hidden()
				}
			}
		}
	}
	headers, _ := document["mcp_headers"].(map[string]any)
	for name := range headers {
		delete(headers, name)
		headers[strings.ToLower(name)] = hidden()
	}
	return document
}

// hidden stands for a secret. No text is the same, and no absent value.
func hidden() any { return map[string]any{"secret": true} }

// WriteText writes the differences for people, who know the two by these names.
func (d Differences) WriteText(to io.Writer, first, second string) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(to, format+"\n", args...)
		}
	}
	count := map[Place]int{}
	for _, i := range d.Integrations {
		count[i.In]++
		name := terminal.Printable(i.Name)
		switch i.In {
		case InFirst:
			line("%s is only in %s", name, first)
		case InSecond:
			line("%s is only in %s", name, second)
		case InBoth:
			line("%s differs", name)
		}
		for _, c := range i.Changed {
			line("        %s: %s -> %s", terminal.Printable(c.Pointer), terminal.ShortJSON(c.Old), terminal.ShortJSON(c.New))
		}
	}
	line("%d only in %s, %d only in %s, %d different, %d the same; secrets are not compared", count[InFirst], first, count[InSecond], second, count[InBoth], d.Same)
	return err
}
