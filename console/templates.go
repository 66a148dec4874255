package console

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed assets templates
var files embed.FS

// pages are the templates by the names of the pages. Each is parsed when it is first shown: all of
// them take 5 MB, and most processes show none.
type pages map[string]func() (*template.Template, error)

// newPages finds the pages. Each has the layout and the parts that all share.
func newPages(funcs template.FuncMap) (pages, error) {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := pages{}
	for _, name := range names {
		all[strings.TrimSuffix(path.Base(name), ".html")] = sync.OnceValues(func() (*template.Template, error) {
			return template.New("").Funcs(funcs).ParseFS(files, "templates/shared/*.html", name)
		})
	}
	return all, nil
}

// execute writes a part of a page.
func (p pages) execute(to io.Writer, name, part string, data any) error {
	parse, ok := p[name]
	if !ok {
		return fmt.Errorf("there is no page %q", name)
	}
	page, err := parse()
	if err != nil {
		return err
	}
	return page.ExecuteTemplate(to, part, data)
}
