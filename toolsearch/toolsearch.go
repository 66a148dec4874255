// Package toolsearch ranks tools by the words of a query, with the full-text search of
// SQLite (FTS5, bm25) in memory: no model, no state.
//
// Its promise: what a search costs is bounded by the tools that it is given and by the
// length of the query, and ends with its context.
package toolsearch

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/ext/fts5"

	"github.com/seed677028b5/integrations/domain"
)

const (
	// maxWords is how many words of a query count.
	maxWords = 32
	// maxText is how many bytes of a tool's description count.
	maxText = 4096
)

var (
	word  = regexp.MustCompile(`[\p{L}\p{N}]+`)
	camel = regexp.MustCompile(`(\p{Ll})(\p{Lu})`)
)

// Rank returns the indexes of up to limit tools that have a word of the query, best first.
// Words count in any of their forms, most in a name, then in a description, then in the
// names of parameters. A tool whose name is the query is the first.
func Rank(ctx context.Context, tools []domain.Tool, query string, limit int) ([]int, error) {
	match := expression(query)
	if match == "" || len(tools) == 0 {
		return nil, nil
	}
	db, err := sqlite3.Open(":memory:")
	if err != nil {
		return nil, fmt.Errorf("open an index of tools: %w", err)
	}
	defer func() { _ = db.Close() }()
	db.SetInterrupt(ctx)
	if err := fts5.Register(db); err != nil {
		return nil, fmt.Errorf("register FTS5: %w", err)
	}
	if err := fill(db, tools); err != nil {
		return nil, fmt.Errorf("index tools: %w", err)
	}
	ranked, err := search(db, match, limit)
	if err != nil {
		return nil, fmt.Errorf("search tools: %w", err)
	}
	if exact := slices.IndexFunc(tools, func(t domain.Tool) bool { return t.Name == strings.TrimSpace(query) }); exact >= 0 {
		ranked = append([]int{exact}, slices.DeleteFunc(ranked, func(n int) bool { return n == exact })...)
	}
	return ranked[:min(len(ranked), limit)], nil
}

// expression returns a query as one of FTS5: any of its words, each as it is or as the
// beginning of one.
func expression(query string) string {
	var terms []string
	for _, w := range word.FindAllString(camel.ReplaceAllString(query, "$1 $2"), maxWords) {
		terms = append(terms, `"`+w+`"`)
		if len([]rune(w)) > 3 {
			terms = append(terms, `"`+w+`"*`)
		}
	}
	return strings.Join(terms, " OR ")
}

func fill(db *sqlite3.Conn, tools []domain.Tool) error {
	if err := db.Exec(`CREATE VIRTUAL TABLE tools USING fts5(name, description, parameters, tokenize = 'porter unicode61'); BEGIN`); err != nil {
		return err //nolint:wrapcheck // wrapped by the caller
	}
	insert, _, err := db.Prepare(`INSERT INTO tools (rowid, name, description, parameters) VALUES (?, ?, ?, ?)`)
	if err != nil {
		return err //nolint:wrapcheck // the same
	}
	defer func() { _ = insert.Close() }()
	for n, t := range tools {
		name := t.Integration.DisplayName + " " + t.Name + " " + camel.ReplaceAllString(t.Endpoint.Name, "$1 $2") + " " + t.Endpoint.Title
		about := t.Description[:min(len(t.Description), maxText)]
		for _, err := range []error{
			insert.BindInt(1, n+1), insert.BindText(2, name), insert.BindText(3, strings.ToValidUTF8(about, "")), insert.BindText(4, strings.Join(parameters(t), " ")),
			insert.Exec(), insert.Reset(),
		} {
			if err != nil {
				return err
			}
		}
	}
	return db.Exec(`COMMIT`) //nolint:wrapcheck // the same
}

// parameters returns the names of a tool's parameters.
func parameters(t domain.Tool) []string {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(t.InputSchema, &schema) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(schema.Properties))
}

func search(db *sqlite3.Conn, match string, limit int) (ranked []int, err error) {
	find, _, err := db.Prepare(`SELECT rowid FROM tools WHERE tools MATCH ? ORDER BY bm25(tools, 4.0, 2.0, 1.0), rowid LIMIT ?`)
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by the caller
	}
	defer func() { _ = find.Close() }()
	if err := find.BindText(1, match); err != nil {
		return nil, err //nolint:wrapcheck // the same
	}
	if err := find.BindInt(2, limit); err != nil {
		return nil, err //nolint:wrapcheck // the same
	}
	for find.Step() {
		ranked = append(ranked, find.ColumnInt(0)-1)
	}
	return ranked, find.Err() //nolint:wrapcheck // the same
}
