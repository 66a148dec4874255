// Package approvals keeps calls that need somebody's decision: it takes what was asked for,
// lets another than the asker decide, and has an approved call made.
//
// Its promise: a call is sent once at most, with exactly the parameters and the version that
// were approved, whichever processes are killed. When it is not known what came of it, the
// state is outcome_unknown. What is sent and what comes back is sealed, and destroyed after a
// day.
package approvals

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/internal/tracing"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/vault"
)

// DefaultWait is how long an approval waits for a decision, and MaxWait the longest: the
// parameters are destroyed then.
const (
	DefaultWait = time.Hour
	MaxWait     = domain.KeepApproved
)

// MaxWaiting is how many approvals of a workspace may wait, over all processes.
const MaxWaiting = 100

const (
	claimBucket = "APPROVAL_REQUESTS"
	requestTime = 5 * time.Second // for one request to NATS
	keepClaim   = 2*domain.KeepApproved + time.Hour
	showWithin  = time.Second // for the read model to show what was asked for
)

// Config is what approvals need.
type Config struct {
	Events   *eventstore.Store
	Vault    *vault.Vault
	Shown    func(ctx context.Context, position uint64) error // waits until the read model shows a position
	Wait     time.Duration                                    // for a decision; 0: DefaultWait
	Replicas int
	Now      func() time.Time // UTC
	NewID    func() string    // unique, of letters, digits and hyphens
	Log      *slog.Logger
}

// Approvals asks, decides and makes calls. It is safe for concurrent use, also by several
// processes that share the streams.
type Approvals struct {
	Config

	claims  jetstream.KeyValue
	nc      *nats.Conn
	hashKey []byte

	mu     sync.Mutex
	making map[key]string // the attempts of this process that are running
}

// key identifies an approval.
type key struct {
	workspace domain.Workspace
	id        string
}

// Open returns the approvals, and creates their bucket if it doesn't exist.
func Open(ctx context.Context, nc *nats.Conn, c Config) (*Approvals, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open approvals: %w", err)
	}
	a := &Approvals{Config: c, nc: nc, making: map[key]string{}}
	if a.Wait == 0 {
		a.Wait = DefaultWait
	}
	if a.claims, err = streams.EnsureBucket(ctx, js, jetstream.KeyValueConfig{Bucket: claimBucket, Replicas: max(c.Replicas, 1), TTL: keepClaim}); err != nil {
		return nil, fmt.Errorf("open approvals: %w", err)
	}
	if a.hashKey, err = c.Vault.DeriveKey("approvals"); err != nil {
		return nil, fmt.Errorf("open approvals: %w", err)
	}
	return a, nil
}

// An Ask is a call that needs an approval.
type Ask struct {
	Integration domain.Integration
	Endpoint    domain.Endpoint
	Kind        domain.CallKind
	Key         string // that asks
	Request
}

// A Request is what the call sends, and who asked for it. It is sealed.
type Request struct {
	Params      map[string]any `json:"params"`
	Subject     string         `json:"subject,omitempty"`
	MayExec     bool           `json:"may_exec,omitempty"`
	Address     string         `json:"address,omitempty"`
	RequestID   string         `json:"request_id,omitempty"`
	TraceParent string         `json:"traceparent,omitempty"`
}

// mac returns an HMAC of texts: a plain hash of parameters could be guessed.
func (a *Approvals) mac(parts ...string) string {
	m := hmac.New(sha256.New, a.hashKey)
	for _, part := range parts {
		_, _ = m.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = m.Write([]byte(part))
	}
	return hex.EncodeToString(m.Sum(nil))
}

// SubjectMAC returns what approvals hold in place of a subject, "" for none.
func (a *Approvals) SubjectMAC(w domain.Workspace, subject string) string {
	if subject == "" {
		return ""
	}
	return a.mac("subject", string(w), subject)
}

// parametersMAC returns what recognises the same call: it has the same caller, integration,
// endpoint and parameters.
func (a *Approvals) parametersMAC(p domain.Approval, r Request) (string, error) {
	params, err := json.Marshal(r.Params) // members are sorted
	if err != nil {
		return "", fmt.Errorf("encode parameters: %w", err)
	}
	return a.mac("call", string(p.Workspace), string(p.Integration), fmt.Sprint(p.Incarnation), p.Endpoint, string(p.Kind), p.Key, r.Subject, string(params)), nil
}

// requestRef and answerRef are the references of the sealed values of an approval.
func requestRef(id string) domain.SecretRef {
	return domain.SecretRef{ID: valuePrefix + id + "-request", Field: "approval_request", Version: 1}
}

func answerRef(id string) domain.SecretRef {
	return domain.SecretRef{ID: valuePrefix + id + "-answer", Field: "approval_answer", Version: 1}
}

const valuePrefix = "approval-"

// Get returns an approval of a workspace, unless the scope of ctx hides its endpoint.
func (a *Approvals) Get(ctx context.Context, w domain.Workspace, id string) (domain.Approval, error) {
	p, _, err := a.find(ctx, w, id)
	return p.Shown(a.Now()), err
}

func (a *Approvals) find(ctx context.Context, w domain.Workspace, id string) (domain.Approval, uint64, error) {
	if !isID(id) {
		return domain.Approval{}, 0, domain.NoSuchApproval()
	}
	c, err := a.Events.FindApproval(ctx, w, id)
	if err != nil {
		return domain.Approval{}, 0, err
	}
	p, ok := domain.ApprovalOf(c.Event)
	if !ok || !domain.ScopeOf(ctx).Shows(p.Name, p.Endpoint, p.Method) {
		return domain.Approval{}, 0, domain.NoSuchApproval()
	}
	return p, c.Position, nil
}

// isID reports whether a text may be part of a subject.
func isID(id string) bool {
	for _, c := range []byte(id) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// Request returns what the call of an approval sends. It is Invalid with the code
// secret_missing once that is destroyed.
func (a *Approvals) Request(ctx context.Context, p domain.Approval) (Request, error) {
	var r Request
	return r, a.open(ctx, p, requestRef(p.ID), &r)
}

// Answer returns what came back. It is Invalid with the code secret_missing when there is
// none, or once it is destroyed.
func (a *Approvals) Answer(ctx context.Context, p domain.Approval) (domain.CallResult, error) {
	var r domain.CallResult
	return r, a.open(ctx, p, answerRef(p.ID), &r)
}

func (a *Approvals) open(ctx context.Context, p domain.Approval, ref domain.SecretRef, into any) error {
	secret, err := a.Vault.Open(ctx, p.Owner(), ref)
	if err != nil {
		return err
	}
	return decodeExact(secret.Reveal(), into)
}

// Gone reports whether an error means that a sealed value is not there, or was destroyed.
func Gone(err error) bool { return domain.CodeOf(err) == "secret_missing" }

func unavailable(err error, doing string) error {
	return domain.Wrap(fmt.Errorf("%s: %w", doing, err), domain.Unavailable, "approvals_unavailable", "the approvals are unavailable; try again")
}

// append stores an event after the one at a position. It returns eventstore.ErrConflict when
// another one follows that. When the outcome is not known it is read back.
func (a *Approvals) append(ctx context.Context, after uint64, e domain.Event, m domain.Metadata) (uint64, error) {
	m.CommandID = a.NewID()
	p, _ := domain.ApprovalOf(e)
	ctx, span := tracing.StartAppend(ctx, p.Workspace, p.Integration, e, &m)
	position, err := a.Events.AppendApproval(ctx, after, e, m)
	span.SetPosition(position)
	span.End(err)
	if err == nil || errors.Is(err, eventstore.ErrConflict) || ctx.Err() != nil {
		return position, err
	}
	last, failed := a.Events.LoadApproval(ctx, p.Workspace, p.Integration, p.ID)
	if failed == nil && last.Meta.CommandID == m.CommandID {
		return last.Position, nil
	}
	return 0, err
}
