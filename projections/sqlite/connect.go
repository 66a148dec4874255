package sqlite

import (
	"database/sql"
	"net/url"

	"github.com/ncruces/go-sqlite3/driver"
)

// pageSize is the pragma for the pages of a new file: a configuration of 1 KB takes 2.7 KB, so in
// pages of 4 KB there would be one in each.
const pageSize = "page_size(8192)"

// usualCache is the pragma for the memory of a connection.
const usualCache = "cache_size(-16000)"

// readOnly is the pragma for connections that only read.
const readOnly = "query_only(true)"

// logged are the pragmas for the connection that writes a file that is read.
var logged = []string{pageSize, "journal_mode(wal)", "synchronous(normal)"}

func connect(path string, pragmas ...string) (*sql.DB, error) {
	return driver.Open(location(path, pragmas...))
}

// location returns the URL of a file for SQLite.
func location(path string, pragmas ...string) string {
	settings := url.Values{"_pragma": append([]string{"busy_timeout(10000)", usualCache}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}).String()
}
