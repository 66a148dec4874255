package transport

import (
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

// compressed compresses answers to GET from a kilobyte on, if the caller accepts gzip.
//
// An answer to another method can hold a secret that is shown once beside what the caller
// sent, and the length of a compressed answer shows whether the two are alike (BREACH).
// An answer with an ETag is not compressed either: a strong ETag promises the same bytes
// (RFC 9110, 8.8.3.3). Neither is a stream of events.
func compressed(next http.Handler) http.Handler {
	const smallest = 1024
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(smallest), gzhttp.ContentTypeFilter(func(media string) bool {
		return gzhttp.DefaultContentTypeFilter(media) && !strings.HasPrefix(media, "text/event-stream")
	}))
	if err != nil {
		panic(err) // the options are constants
	}
	zipped := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			zipped.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
