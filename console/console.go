// Package console serves the pages at /console: integrations, what changed before one broke,
// calls, events, webhooks, keys.
//
// Its promise: it can do nothing that the HTTP API does not let the key of its session do.
// It is a client of that API, which it calls in process, and has no other way to anything.
package console

import (
	"crypto/cipher"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Config is what a console needs.
type Config struct {
	API       http.Handler // the HTTP API, which answers every request that is not for a page
	Key       []byte       // 32 bytes that seal sessions; the same in all processes of a service
	PublicURL string       // under which browsers reach the service; "": the address they use
	Sessions  Sessions     // the ended ones
	SignIn    SignIn       // nil: people sign in with API keys only
	Version   string       // of the product
	Now       func() time.Time
	Log       *slog.Logger
}

// Console serves the pages, and passes every other request on to the API.
type Console struct {
	api       http.Handler
	seal      cipher.AEAD
	secure    bool   // browsers reach it by https
	publicURL string // without a slash at its end
	version   string
	now       func() time.Time
	log       *slog.Logger

	pages    pages
	assets   map[string]asset
	sessions Sessions
	provider SignIn
	links    *links
	watchers *atomic.Int64 // how many timelines are watched
	drafts   *drafts
	handler  http.Handler
}

// An asset is a file that pages load. Its address has its hash, so that browsers keep it for
// ever, and never mix two versions.
type asset struct {
	name    string // with the hash
	content []byte
}

// Path is where the pages begin.
const Path = "/console"

// policy lets a page load and connect to this service only, and run and be styled by its files
// alone.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
