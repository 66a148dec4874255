// Package transport serves the HTTP API. A handler decodes, calls one thing and
// encodes; it decides nothing. Whatever goes wrong is answered as a problem
// document with the place and the reason.
package transport

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/access/oidcauth"
	"github.com/seed677028b5/integrations/accesslog"
	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/audit"
	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/ratelimit"
	"github.com/seed677028b5/integrations/internal/tracing"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/transparency/trees"
	"github.com/seed677028b5/integrations/usage"
	"github.com/seed677028b5/integrations/webhooks"
)

// Server is the HTTP API over commands and read models.
type Server struct {
	Commands *commands.Service
	Read     projections.Reader
	Cursors  projections.Cursors
	Audit    audit.Log
	Live     *audit.Live

	LiveCalls *audit.Live // of calls

	LiveProbes *audit.Live // of results of probes

	LiveApprovals *audit.Live // of approvals
	Usage         *usage.Store
	Proofs        *trees.Reader
	Accesses      *accesslog.Log // nil: denied requests and the use of keys are not recorded
	Keys          *access.Keys
	Tokens        *oidcauth.Tokens // of those who sign in with an OpenID provider; nil: API keys only
	Webhooks      *webhooks.Webhooks
	Health        func(context.Context, commands.Caller, time.Duration) (domain.HealthReport, error)

	Wait            func(ctx context.Context, position uint64) error // returns once the read model shows a position
	WaitForProbe    func(ctx context.Context, position uint64) error // the same in the log of probes
	WaitForApproval func(ctx context.Context, position uint64) error // the same in the log of approvals
	WriteWait       time.Duration                                    // how long a write waits for the read model; 0: it doesn't
	Ready           func(context.Context) (Readiness, error)         // whether the service can write and read

	TakeWithin time.Duration // how long a listener of live events may take nothing; 0: 10 s

	Gate    *admission.Gate // what requests may hold in memory together; nil: no bound
	Limits  Limits
	Rates   *ratelimit.Limiter // of Limits, with those of other processes; nil: of this one alone
	Hosts   []string           // the Host names that are answered; empty: any
	Home    string             // where GET / leads; empty: /docs
	Proxies Proxies            // who may report the address of a caller
	Version string             // of the product, for MCP clients; "": dev
	Metrics *prometheus.Registry
	Traces  tracing.Tracer // default: nothing is traced
	NewID   func() string
	Now     func() time.Time
	Log     *slog.Logger

	mcp, mcpStreams http.Handler // the second answers in a stream of events

	pages *sync.Pool // of *[]byte: buffers of lists
}

// request is a request from someone who may make it. As a context it is the one
// of net/http: gin gives its own to another request afterwards, while what was
// begun here may still be looking at it.
type request struct {
	*gin.Context
	ctx       context.Context
	key       access.Key
	workspace domain.Workspace
	caller    commands.Caller
	another   func() error // takes one more request from the limits of the key and the workspace
}

// Deadline is that of the request.
func (r *request) Deadline() (time.Time, bool) { return r.ctx.Deadline() }

// Done is closed when the caller has gone.
func (r *request) Done() <-chan struct{} { return r.ctx.Done() }

// Err returns why Done is closed.
func (r *request) Err() error { return r.ctx.Err() }

// Value is that of the request.
func (r *request) Value(key any) any { return r.ctx.Value(key) }

// id returns the integration that the path means, by its id or its name.
func (r *request) id() domain.ID { return domain.ParseID(r.workspace, r.Param("id")) }

// answer is the response of a handler.
type answer struct {
	status int
	body   any // nil: none
	header map[string]string
	done   bool // the handler has written the response itself

	written func() // is called once the body is written; nil: nobody asks
}

// encoded is a body that is JSON already.
type encoded []byte

func (a answer) write(c *gin.Context) {
	if a.done {
		return
	}
	for name, value := range a.header {
		c.Header(name, value)
	}
	if data, is := a.body.(encoded); is {
		c.Data(a.status, "application/json; charset=utf-8", data)
		if a.written != nil {
			a.written()
		}
		return
	}
	if a.body == nil {
		c.Status(a.status)
		c.Writer.WriteHeaderNow()
		return
	}
	c.PureJSON(a.status, a.body) // which is written from one copy, and escapes no more than it must
}
