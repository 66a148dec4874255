package transport

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui/v5/static"
	"github.com/swaggest/swgui/v5emb"

	"github.com/seed677028b5/integrations/domain"
)

//go:embed docs
var docsPage embed.FS

// docsPolicy lets the page load from and connect to this service only, run no script but its
// files, and be in no frame. Swagger UI sets styles and draws its icons in the page.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// serveDocs serves openapi.yaml as a page, with forms to try it.
func (s *Server) serveDocs(r *gin.Engine) {
	own := func(name string) gin.HandlerFunc {
		return func(c *gin.Context) {
			c.Header("Content-Security-Policy", docsPolicy)
			http.ServeFileFS(c.Writer, c.Request, docsPage, "docs/"+name)
		}
	}
	get(r, "/docs", own("index.html"))
	get(r, "/docs/start.js", own("start.js"))
	ui := v5emb.New("", "", "/docs") // of which only the files are served
	get(r, "/docs/:file", func(c *gin.Context) {
		if !isDocsFile(c.Param("file")) {
			s.refuse(c, domain.Errorf(domain.NotFound, "route_not_found", "there is no such route"))
			return
		}
		c.Header("Cache-Control", "no-cache") // cached, and revalidated by its ETag
		ui.ServeHTTP(c.Writer, c.Request)
	})
}

// isDocsFile reports whether Swagger UI has a file, uncompressed or compressed.
func isDocsFile(name string) bool {
	for _, stored := range []string{name, name + ".gz"} {
		if _, err := fs.Stat(static.FS, stored); err == nil {
			return true
		}
	}
	return false
}
